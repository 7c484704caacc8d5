"""CSV and YAML tables of facts → typed rows; a number never comes without who said it, when, and for when."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from config.errors import ConfigError, Problem
from config.explain import explain
from config.yaml_lines import Unreadable, locate, read

LIMIT: Final = 16 * 1024 * 1024  # largest table that is read [bytes]
Text = Annotated[str, StringConstraints(min_length=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Sourced(BaseModel):
    """What every fact carries: for which year it is meant, who published it, when and where, and how sure it is."""

    # Built when first used: what stands within a configuration is built with it, and never a second time alone.
    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False, defer_build=True
    )

    data_year: Annotated[int, Field(ge=1990, le=2100)]
    publisher: Text
    publication: Text
    published_on: Annotated[str, StringConstraints(pattern=r"^(\d{4}(-\d{2}(-\d{2})?)?)?$")]  # as far as known
    source: Text
    confidence: Text
    licence: str = ""


RowType = TypeVar("RowType", bound=Sourced)


def shipped_rows(model: type[RowType], prefix: str, **wanted: str) -> tuple[RowType, ...]:
    """Return the rows of all tables that come with tanflow and whose names begin with `prefix`.

    Only rows whose columns are as `wanted` are made: of some tables few are ever used.
    """
    folder = files("config.factors")
    names = sorted(f.name for f in folder.iterdir() if f.name.startswith(prefix) and f.name.endswith(".csv"))
    return tuple(row for name in names for row in _rows(model, folder / name, name, wanted))


@cache
def user_rows(model: type[RowType], path: Path) -> tuple[RowType, ...]:
    """Return the rows of a user's table; raises ConfigError with file and line of every mistake."""
    return tuple(_rows(model, path, str(path)))


@cache
def columns(path: Path) -> frozenset[str]:
    """Return all names of columns a user's table uses; raises ConfigError for one that cannot be read."""
    return frozenset(str(key) for _, record in _records(path, str(path)) for key in record)


def _rows(
    model: type[RowType], file: Traversable, name: str, wanted: Mapping[str, str] | None = None
) -> Iterator[RowType]:
    needed = [key for key, field in model.model_fields.items() if field.is_required()]
    problems: list[Problem] = []
    for line, record in _records(file, name, needed):
        if wanted and any(record.get(key) != value for key, value in wanted.items()):
            continue
        said = {key: value for key, value in record.items() if value != "" or key in needed}
        try:
            yield model.model_validate(said)
        except ValidationError as error:
            problems += [
                Problem(name, line, str(e["loc"][0]) if e["loc"] else "row", explain(e, model))
                for e in error.errors(include_url=False)
            ]
    if problems:
        raise ConfigError(problems)


def _records(file: Traversable, name: str, needed: Sequence[str] = ()) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield (line, row as it is written) of a table."""
    text = _text(file, name)
    yield from _yaml(text, name) if name.endswith((".yaml", ".yml")) else _csv(text, name, needed)


def _text(file: Traversable, name: str) -> str:
    try:
        if isinstance(file, Path) and file.stat().st_size > LIMIT:
            raise ConfigError([Problem(name, 1, "table", "larger than 16 MiB; that is no factor table")])
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError([Problem(name, 1, "table", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(name, 1, "table", "is not UTF-8 text; save it as CSV UTF-8")]) from None


def _csv(text: str, name: str, needed: Sequence[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        missing = [column for column in needed if column not in (reader.fieldnames or ())]
        if missing:
            raise ConfigError([Problem(name, 1, "table", f"columns missing: {', '.join(missing)}")])
        for record in reader:
            yield reader.line_num, {key: value for key, value in record.items() if value is not None}
    except csv.Error as error:
        raise ConfigError([Problem(name, reader.line_num, "table", f"is not CSV: {error}")]) from None


def _yaml(text: str, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of `rows:`, each with what `common:` says for all of them."""
    try:
        data, top, issues = read(text)
    except Unreadable as error:
        raise ConfigError([Problem(name, error.line, "table", str(error))]) from None
    if issues:
        raise ConfigError([Problem(name, line, "table", message) for line, _, message in issues])
    rows, common = (data.get("rows"), data.get("common", {})) if isinstance(data, dict) else (None, {})
    if not isinstance(rows, list) or not isinstance(common, dict) or not all(isinstance(r, dict) for r in rows):
        message = "is written as 'rows:' with a list of '{key: value}' blocks, and 'common:' for what all of them share"
        raise ConfigError([Problem(name, 1, "table", message)])
    for index, row in enumerate(rows):
        yield locate(top, ("rows", index))[0], common | row
