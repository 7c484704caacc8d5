"""Device templates as data: each `*.yaml` in this folder, by its id, read when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

import yaml
from pydantic import ValidationError

from config.errors import ConfigError, Problem
from config.points import DeviceMap, Template


class Templates(Mapping[str, DeviceMap]):
    """What devices may name: a configuration's own device maps, then the shipped ones, of which it uses few."""

    def __init__(self, own: Mapping[str, DeviceMap]) -> None:
        self._own = own

    def __getitem__(self, name: str) -> DeviceMap:
        if name in self._own:
            return self._own[name]
        if name not in _names():
            raise KeyError(name)
        return _template(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*_names(), *self._own)))

    def __len__(self) -> int:
        return len({*_names(), *self._own})


def load_all() -> dict[str, Template]:
    """Return every shipped template by its id; raises ConfigError with all files that are no template."""
    templates: dict[str, Template] = {}
    problems: list[Problem] = []
    for name in _names():
        try:
            templates[name] = _template(name)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return templates


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files(__name__).iterdir() if f.name.endswith(".yaml")))


@cache
def _template(name: str) -> Template:
    file = files(__name__) / f"{name}.yaml"
    try:
        template = Template.model_validate(yaml.load(file.read_text("utf-8"), _LOADER))
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigError([Problem(file.name, 1, "", f"not a template: {error}")]) from None
    if template.id != name:
        raise ConfigError([Problem(file.name, 1, "id", f"must be the file's name, not '{template.id}'")])
    return template


_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
