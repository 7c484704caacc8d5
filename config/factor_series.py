"""A file of hourly or quarter-hour grid factors (CSV or Parquet) → instants and values; gaps stay gaps."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from pydantic import Field, StringConstraints, field_validator

from config.errors import ConfigError, Problem
from config.explain import nearest
from config.factor_tables import HIGHEST, GridKind
from config.sourced import LIMIT
from config.strict import Strict

SECOND_NS: Final = 1_000_000_000
_MINUTES: Final = {"60min": 60, "30min": 30, "15min": 15}
_TOLD: Final = 20  # mistakes of one file that are listed


class FactorSeries(Strict):
    """A grid's factor by the hour or quarter hour, and who says so."""

    file: Path  # CSV or Parquet
    region: str
    kind: GridKind = "location_average"
    unit: Literal["kg/kWh", "g/kWh", "kg/MWh"]
    gas: Literal["co2", "co2e"]
    publisher: Annotated[str, StringConstraints(min_length=1)]
    publication: Annotated[str, StringConstraints(min_length=1)]
    published_on: Annotated[str, StringConstraints(pattern=r"^(\d{4}(-\d{2}(-\d{2})?)?)?$")] = ""
    licence: str = ""
    data_year: Annotated[int, Field(ge=1990, le=2100)] | None = None  # default: each step's own
    uncertainty: Annotated[float, Field(gt=0)] | None = None  # half the 95 % interval, as a share
    time_column: str = ""  # default: the first
    value_column: str = ""  # default: the second
    step: Literal["60min", "30min", "15min"] = "60min"
    stamps: Literal["start", "end"] = "start"  # which end of its step a time names
    zone: str = "UTC"  # of times written without an offset; of a doubled autumn hour the first comes first

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"'{zone}' is not an IANA time zone; write e.g. Europe/Berlin") from error
        return zone

    @property
    def step_ns(self) -> int:
        return _MINUTES[self.step] * 60 * SECOND_NS


class Steps(NamedTuple):
    """start_ns int64[n] ascending, value float64[n] [kg/kWh]; where nothing is known there is no step."""

    start_ns: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


Cells = Iterator[tuple[int, "str | int", str]]  # line, time as text or [ns], value as text


@cache
def read_series(series: FactorSeries) -> Steps:
    """Return the steps of a file. Raises ConfigError with file and line of each mistake."""
    file = str(series.file)
    try:
        if series.file.suffix == ".parquet":
            return _steps(series, _parquet(series))
        if series.file.stat().st_size > LIMIT:
            raise ConfigError([Problem(file, 1, "series", "larger than 16 MiB; write one file a year, or Parquet")])
        return _steps(series, _csv(series, series.file.read_text("utf-8-sig")))
    except OSError as error:
        raise ConfigError([Problem(file, 1, "series", f"cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(file, 1, "series", "is not UTF-8 text; save it as CSV UTF-8")]) from None


def edge_mistake(series: FactorSeries, interval: str, zone: str) -> str:
    """Return why steps of a series do not fit the account's intervals on the clock of `zone`, "" if they do."""
    wanted = _MINUTES[interval]
    if _MINUTES[series.step] < wanted:
        return (
            f"steps of {series.step} are finer than the account's intervals of {interval}, within which no factor may "
            f"change; write accounting: {{interval: {series.step}}}"
        )
    minutes = read_series(series).start_ns // (60 * SECOND_NS)
    off = _offsets(minutes, ZoneInfo(zone))
    wrong = np.flatnonzero((minutes + off) % wanted)
    if not len(wrong):
        return ""
    at = datetime.fromtimestamp(int(minutes[wrong[0]]) * 60, UTC).astimezone(ZoneInfo(zone))
    return (
        f"a step begins at {at:%Y-%m-%d %H:%M} on the site's clock, in the middle of an interval of {interval}; write "
        "accounting: {interval: 15min}, or check zone: and stamps:"
    )


def _offsets(minutes: npt.NDArray[np.int64], zone: ZoneInfo) -> npt.NDArray[np.int64]:
    """Return the offset of the zone's clock at each instant [min]."""
    hours, where = np.unique(minutes // 15, return_inverse=True)
    told = (datetime.fromtimestamp(int(h) * 900, UTC).astimezone(zone).utcoffset() for h in hours)
    return np.array([0 if o is None else round(o.total_seconds() / 60) for o in told], np.int64)[where]


def _csv(series: FactorSeries, text: str) -> Cells:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        time, value = _places(series, header)
        for cells in reader:
            if cells:
                padded = [*cells, *[""] * (len(header) - len(cells))]
                yield reader.line_num, padded[time].strip(), padded[value].strip()
    except csv.Error as error:
        raise ConfigError([Problem(str(series.file), reader.line_num, "series", f"is not CSV: {error}")]) from None


def _parquet(series: FactorSeries) -> Cells:
    import duckdb  # here: a CSV needs none of it

    file = str(series.file)
    with duckdb.connect(":memory:") as connection:
        try:
            about = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [file]).fetchall()
            names, types = [str(row[0]) for row in about], [str(row[1]) for row in about]
            time, value = _places(series, names)
            column = '"' + names[time].replace('"', '""') + '"'
            number = '"' + names[value].replace('"', '""') + '"'
            shown = {
                "TIMESTAMP WITH TIME ZONE": f"epoch_ns({column})",
                "VARCHAR": column,
            }.get(types[time], f"strftime({column}::TIMESTAMP, '%Y-%m-%d %H:%M:%S')")
            rows = connection.execute(
                f"SELECT {shown}, coalesce({number}::VARCHAR, '') FROM read_parquet(?)", [file]
            ).fetchall()
        except duckdb.Error as error:
            message = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
            raise ConfigError([Problem(file, 1, "series", message)]) from None
    for line, (at, cell) in enumerate(rows, 1):
        yield line, at, cell


def _places(series: FactorSeries, header: list[str]) -> tuple[int, int]:
    """Return where time and value stand; raises ConfigError that names the columns there are."""
    found = []
    for default, name in enumerate((series.time_column, series.value_column)):
        if name and name not in header:
            message = f"there is no column '{name}'{nearest(name, header)}"
            raise ConfigError([Problem(str(series.file), 1, "series", message)])
        found.append(header.index(name) if name else default)
    if max(found) >= len(header):
        raise ConfigError([Problem(str(series.file), 1, "series", "needs a column of times and one of values")])
    return found[0], found[1]


def _steps(series: FactorSeries, cells: Cells) -> Steps:
    scale = 1.0 if series.unit == "kg/kWh" else 1e-3
    shift = series.step_ns if series.stamps == "end" else 0
    zone, problems = ZoneInfo(series.zone), []
    starts: list[int] = []
    values: list[float] = []
    for line, at, cell in cells:
        if cell == "":
            continue
        try:
            start = _instant(at, zone, starts[-1] + shift if starts else None) - shift
            value = _value(cell, scale)
            _in_order(starts, start, series)
        except ValueError as error:
            problems.append(Problem(str(series.file), line, "series", str(error)))
            continue
        starts.append(start)
        values.append(value)
    if not starts and not problems:
        problems.append(Problem(str(series.file), 1, "series", "has no values"))
    if problems:
        raise ConfigError(list(_first(problems)))
    return Steps(np.array(starts, np.int64), np.array(values, np.float64))


def _first(problems: list[Problem]) -> Iterable[Problem]:
    yield from problems[:_TOLD]
    if len(problems) > _TOLD:
        last = problems[_TOLD]
        yield Problem(last.file, last.line, "series", f"and {len(problems) - _TOLD} more mistakes")


def _instant(at: str | int, zone: ZoneInfo, before: int | None) -> int:
    """Return a time as instant [ns]; of a doubled hour the second reading is the one after what came before."""
    if isinstance(at, int):
        return at
    try:
        when = datetime.fromisoformat(at)
    except ValueError:
        raise ValueError(f"'{at}' is not a time; write e.g. 2025-03-01T14:00 or 2025-03-01T14:00+01:00") from None
    if when.tzinfo is not None:
        return round(when.timestamp()) * SECOND_NS
    instant = round(when.replace(tzinfo=zone).timestamp()) * SECOND_NS
    if before is not None and instant <= before:
        instant = round(when.replace(tzinfo=zone, fold=1).timestamp()) * SECOND_NS
    return instant


def _value(cell: str, scale: float) -> float:
    try:
        value = float(cell) * scale
    except ValueError:
        raise ValueError(f"'{cell}' is not a number; leave the cell empty where nothing is known") from None
    if not 0 <= value <= HIGHEST or math.isnan(value):
        raise ValueError(f"{value:g} kg/kWh is not a grid's factor; is unit: right?")
    return value


def _in_order(starts: list[int], start: int, series: FactorSeries) -> None:
    if starts and start <= starts[-1]:
        raise ValueError("times must go up, and each may come once")
    if starts and start - starts[-1] < series.step_ns:
        raise ValueError(f"is less than {series.step} after the line before; is step: right?")
