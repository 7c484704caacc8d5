"""CSV files of emission factors → typed rows; a factor never comes without who said it, when, and for when."""

from __future__ import annotations

import csv
import difflib
import io
import itertools
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from config.errors import ConfigError, Problem
from config.explain import explain
from config.points import GasReference

_LIMIT = 16 * 1024 * 1024  # largest table that is read [bytes]
_FUELS = "fuels.csv"
Text = Annotated[str, StringConstraints(min_length=1)]


class _Row(BaseModel):
    """What every factor carries: its value and where that comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)

    value: Annotated[float, Field(ge=0)]
    gas: Literal["co2", "co2e"]
    data_year: Annotated[int, Field(ge=1990, le=2100)]
    publisher: Text
    publication: Text
    published_on: Annotated[str, StringConstraints(pattern=r"^(\d{4}(-\d{2}(-\d{2})?)?)?$")]  # as far as known
    source: Text
    confidence: Text
    licence: str = ""


class GridRow(_Row):
    """The grid's emission factor [kg/kWh] of a region from the first to the last day it is meant for."""

    region: Text
    region_name: str = ""
    kind: Text  # location_average, ex_market, residual_mix, …
    unit: Literal["kg/kWh"]
    valid_from: date
    valid_to: date

    @model_validator(mode="after")
    def _ordered(self) -> GridRow:
        if self.valid_from > self.valid_to:
            raise ValueError("valid_from must not be later than valid_to")
        return self


class FuelRow(_Row):
    """The emission factor of a carrier; per m³ only together with the gas state it refers to."""

    carrier: Text
    fuel: str
    scope: Literal[1, 2]
    unit: Literal["kg/kWh", "kg/m3"]
    kwh_per_unit: Annotated[float, Field(gt=0)]  # net calorific value per m³; 1 where the unit is energy
    reference_celsius: float | None = None
    reference_kpa: float | None = None

    @field_validator("reference_celsius", "reference_kpa", mode="before")
    @classmethod
    def _blank(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("scope", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return int(value) if value in ("1", "2") else value

    @model_validator(mode="after")
    def _state(self) -> FuelRow:
        if self.unit == "kg/m3" and (self.reference_celsius is None or self.reference_kpa is None):
            raise ValueError("a factor per m3 needs reference_celsius and reference_kpa")
        return self

    @property
    def reference(self) -> GasReference | None:
        if self.reference_celsius is None or self.reference_kpa is None:
            return None
        return GasReference(celsius=self.reference_celsius, kpa=self.reference_kpa)


def grid_rows(region: str, kind: str, extra_tables: Sequence[Path] = ()) -> tuple[GridRow, ...]:
    """Return the factors of a region by valid_from, all of one publisher; empty when there is none.

    A table of the user's own that knows the region and kind replaces the shipped rows, so that two publishers'
    series never mix. Raises ConfigError for a table that cannot be read and for two publishers in the user's tables.
    """
    own = [row for table in extra_tables for row in read_table(table) if (row.region, row.kind) == (region, kind)]
    rows = own or [row for row in shipped() if (row.region, row.kind) == (region, kind)]
    publishers = sorted({row.publisher for row in rows})
    if len(publishers) > 1:
        message = f"{kind} of {region} comes from {' and '.join(publishers)}; publishers must not mix, keep one"
        raise ConfigError([Problem(str(extra_tables[0]) if extra_tables else "", 1, region, message)])
    return tuple(sorted(rows, key=lambda row: (row.valid_from, row.published_on)))


def nearest_regions(region: str, kind: str, extra_tables: Sequence[Path] = ()) -> list[str]:
    """Return the regions with factors of that kind whose codes or names look most like `region`, best first."""
    rows = itertools.chain(shipped(), *(read_table(table) for table in extra_tables))
    names = {row.region: row.region_name for row in rows if row.kind == kind}
    wanted = region.casefold()
    named = [code for code, name in names.items() if len(wanted) > 2 and wanted in name.casefold()]
    folded = {code.casefold(): code for code in names}
    alike = [folded[code] for code in difflib.get_close_matches(wanted, folded, n=4, cutoff=0.5)]
    country = [code for code in (wanted[:2].upper(),) if code in names]
    return list(dict.fromkeys(named + alike + country))[:5]


def fuel_row(carrier: str) -> FuelRow:
    """Return the factor of a carrier; raises KeyError for one without (electricity has grid rows)."""
    return _fuels()[carrier]


@cache
def shipped() -> tuple[GridRow, ...]:
    """Return all grid rows that come with tanflow."""
    tables = sorted(f.name for f in files("config.factors").iterdir() if f.name.endswith(".csv"))
    return tuple(
        row for name in tables if name != _FUELS for row in _parse(GridRow, files("config.factors") / name, name)
    )


@cache
def _fuels() -> dict[str, FuelRow]:
    return {row.carrier: row for row in _parse(FuelRow, files("config.factors") / _FUELS, _FUELS)}


@cache
def read_table(path: Path) -> tuple[GridRow, ...]:
    """Return the grid rows of a user's table; raises ConfigError with file and line of every bad row."""
    try:
        if path.stat().st_size > _LIMIT:
            raise ConfigError([Problem(str(path), 1, "table", "larger than 16 MiB; that is no factor table")])
        return tuple(_parse(GridRow, path, str(path)))
    except OSError as error:
        raise ConfigError([Problem(str(path), 1, "table", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(path), 1, "table", "is not UTF-8 text; save it as CSV UTF-8")]) from None


RowType = TypeVar("RowType", GridRow, FuelRow)


def _parse(model: type[RowType], file: Any, name: str) -> Iterator[RowType]:
    text = file.read_text("utf-8-sig")
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    missing = [
        c for c, field in model.model_fields.items() if field.is_required() and c not in (reader.fieldnames or ())
    ]
    if missing:
        raise ConfigError([Problem(name, 1, "table", f"columns missing: {', '.join(missing)}")])
    problems: list[Problem] = []
    try:
        for record in reader:
            try:
                yield model.model_validate(record)
            except ValidationError as error:
                problems += [
                    Problem(name, reader.line_num, str(e["loc"][0]) if e["loc"] else "row", explain(e, model))
                    for e in error.errors(include_url=False)
                ]
    except csv.Error as error:
        problems.append(Problem(name, reader.line_num, "table", f"is not CSV: {error}"))
    if problems:
        raise ConfigError(problems)
