"""Tariffs as data: shipped schedules, every `*.yaml` of this folder, and a user's tariff file read against them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from config.errors import ConfigError, Problem
from config.explain import explain
from config.tariff import Loc, Schedule, Tariff, check, check_kinds, complete
from config.yaml_lines import Place, Unreadable, locate, read

_LIMIT: Final = 1024 * 1024  # largest file that is read [bytes]
Model = TypeVar("Model", bound=BaseModel)


@cache
def schedules() -> dict[str, Schedule]:
    """Return every shipped schedule by its id; raises ConfigError for a file that is none."""
    found: dict[str, Schedule] = {}
    for file in sorted((f for f in files(__name__).iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name):
        schedule, top = _parse(Schedule, file.read_text("utf-8"), file.name)
        _raise(file.name, top, check_kinds(schedule.kinds, set(schedule.ratios), 15))
        found[schedule.id] = schedule
    return found


def load_tariff(reference: Path | str, interval_minutes: int) -> Tariff:
    """Return the tariff of a file, complete: every version with hours and prices of its own.

    Raises ConfigError with file and line of every mistake, and for the name of a shipped schedule, which has no price.
    """
    if not isinstance(reference, Path):
        raise ConfigError([Problem("gateway.yaml", 1, "accounting.tariff", _named(reference))])
    path = reference
    tariff, top = _parse(Tariff, _text(path), str(path))
    _raise(str(path), top, check(tariff, schedules(), interval_minutes))
    whole = tuple(complete(version, schedules()) for version in tariff.versions)
    return tariff.model_copy(update={"versions": whole})


def _named(name: str) -> str:
    if name not in schedules():
        return f"'{name}' is no file and no shipped schedule; write the path of a file, e.g. tariff.yaml"
    how = f"write a file with 'like: {name}' and your contract's 'base_price:', and name that file"
    return f"the schedule '{name}' states hours and ratios but no price; {how}"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_LIMIT + 1)
    except OSError as error:
        raise ConfigError([Problem(str(path), 1, "tariff", f"cannot be read: {error.strerror}")]) from None
    if len(raw) > _LIMIT:
        raise ConfigError([Problem(str(path), 1, "tariff", "larger than 1 MiB; that is no tariff")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(path), 1, "tariff", "is not UTF-8 text; save it as UTF-8")]) from None


def _parse(model: type[Model], text: str, name: str) -> tuple[Model, Place]:
    try:
        data, top, issues = read(text)
    except Unreadable as error:
        raise ConfigError([Problem(name, error.line, "tariff", str(error))]) from None
    problems = [Problem(name, line, _dotted(where), message) for line, where, message in issues]
    try:
        return _valid(model, data, problems), top
    except ValidationError as error:
        for e in error.errors(include_url=False):
            where = e["loc"][:-1] if e["type"] == "missing" else e["loc"]
            line, where = locate(top, where)
            problems.append(Problem(name, line, _dotted(where), explain(e, model)))
    raise ConfigError(sorted(problems, key=lambda p: p.line))


def _valid(model: type[Model], data: Any, problems: list[Problem]) -> Model:
    found = model.model_validate(data)
    if problems:
        raise ConfigError(problems)
    return found


def _raise(name: str, top: Place, findings: Iterator[tuple[Loc, str]]) -> None:
    problems = []
    for loc, message in findings:
        line, where = locate(top, loc)
        problems.append(Problem(name, line, _dotted(where), message))
    if problems:
        raise ConfigError(sorted(problems, key=lambda p: p.line))


def _dotted(where: Loc) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return text.removeprefix(".") or "tariff"
