"""Device templates as data: every `*.yaml` in this folder, read once, by id."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml
from pydantic import ValidationError

from config.errors import ConfigError, Problem
from config.points import Template


@cache
def load_all() -> dict[str, Template]:
    """Return every shipped template by its id.

    Raises ConfigError for a file that is no template and for an id given twice.
    """
    templates: dict[str, Template] = {}
    problems: list[Problem] = []
    for file in sorted((f for f in files(__name__).iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name):
        try:
            template = Template.model_validate(yaml.load(file.read_text("utf-8"), _LOADER))
        except (yaml.YAMLError, ValidationError) as error:
            problems.append(Problem(file.name, 1, "", f"not a template: {error}"))
            continue
        if template.id in templates:
            problems.append(Problem(file.name, 1, "id", f"'{template.id}' is already another template's id"))
        templates[template.id] = template
    if problems:
        raise ConfigError(problems)
    return templates


_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
