"""Grade tables of energy-efficiency standards as data: facts of a machine → the limits of its grades, or why none.

The tables hold common sizes. A size that is not listed has no limit here: none is taken from its neighbours, and a row
with a blank limit is never graded.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final, Literal

_SAME: Final = 0.01  # a size is the listed one within 1 %: 37 and 37.0 kW, 0.70 and 0.7 MPa
Facts = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Standard:
    """A table: which columns tell rows apart, which hold the limits, and how they are to be read.

    `tolerance` is the share beyond grade 3 within which no alarm is raised: measuring a machine in service is less
    exact than a test bench.
    """

    title: str
    file: str
    words: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()  # columns NAME_gt and NAME_le
    grades: tuple[str, str, str] = ("grade1", "grade2", "grade3")
    unit: str = "1"
    higher: bool = True
    tolerance: float = 0.0


STANDARDS: Final[dict[str, Standard]] = {
    "gb19153_2019": Standard(
        "GB 19153-2019",
        "gb19153_2019.csv",
        words=("drive", "cooling"),
        sizes=("rated_power_kw", "discharge_gauge_mpa"),
        grades=("grade1_kw_per_m3min", "grade2", "grade3_limit"),
        unit="kW/(m3/min)",
        higher=False,
        tolerance=0.05,  # of flow in ISO 1217's acceptance test for 1.5–15 m³/min
    ),
    "gb19577_2024": Standard(
        "GB 19577-2024", "gb19577_2024.csv", words=("use", "condenser", "index"), ranges=("cooling_kw",), tolerance=0.15
    ),
    "gb24500_2020": Standard(
        "GB 24500-2020",
        "gb24500_2020.csv",
        words=("boiler",),
        ranges=("capacity_t_h",),
        grades=("grade1_pct", "grade2_pct", "grade3_pct"),
        unit="%",
        tolerance=0.03,
    ),
    "gb18613_2020": Standard(
        "GB 18613-2020, 4 poles",
        "gb18613_2020.csv",
        sizes=("rated_kw",),
        grades=("grade1_pct", "grade2_pct", "grade3_pct"),
        unit="%",
    ),
}


Why = Literal["graded", "not_stated", "no_table", "no_size", "no_row", "incomplete"]


@dataclass(frozen=True, slots=True)
class Reason:
    """By which row a machine is graded, or why by none: `why`, with the facts it is about.

    `stated` what the machine states of it, `facts` what is missing or fits no row, `listed` the sizes next to it.
    """

    why: Why
    standard: str
    stated: Facts = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    listed: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Grading:
    """The limits of grades 1, 2 and 3 [unit], None where there are none; `source` where the row was taken from."""

    limits: tuple[float, float, float] | None
    reason: Reason
    unit: str = ""
    source: str = ""


def grading(standard: str, facts: Facts, called: Mapping[str, str] | None = None) -> Grading:
    """Return the limits a standard sets for a machine; `facts` are named as the table's columns, `called` renames them
    for whoever is told.
    """
    table, names = STANDARDS[standard], called or {}

    def ungraded(why: Why, *columns: str, listed: tuple[float, ...] = (), about: tuple[str, ...] = ()) -> Grading:
        stated = {names.get(c, c): facts[c] for c in about or columns if c in facts}
        return Grading(None, Reason(why, table.title, stated, tuple(names.get(c, c) for c in columns), listed))

    wanted = (*table.words, *table.sizes)
    missing = [name for name in wanted if name not in facts]
    if missing:
        return ungraded("not_stated", *missing)
    found = [row for row in _rows(table.file) if all(str(row[w]) == str(facts[w]) for w in table.words)]
    if not found:
        return ungraded("no_table", about=table.words)
    for size in table.sizes:
        found, listed = [r for r in found if _same(r[size], facts[size])], found
        if not found:
            return ungraded("no_size", size, listed=_around(listed, size, facts))
    for name in table.ranges:
        found = [row for row in found if _within(row, name, facts)]
        if not found:
            return ungraded("no_row" if name in facts else "not_stated", name)
    row = found[0]
    if not all(row[column] for column in table.grades):
        return ungraded("incomplete", about=wanted)
    first, second, third = (float(row[column]) for column in table.grades)
    reason = Reason("graded", table.title, {names.get(c, c): facts[c] for c in wanted})
    return Grading((first, second, third), reason, table.unit, row["source"])


def _same(listed: str, stated: float | str) -> bool:
    try:
        return abs(float(listed) - float(stated)) <= _SAME * float(listed)
    except ValueError:
        return False


def _within(row: Mapping[str, str], name: str, facts: Facts) -> bool:
    low, high = row[f"{name}_gt"], row[f"{name}_le"]
    if not low and not high:
        return True
    if name not in facts:
        return False
    size = float(facts[name])
    return (not low or size > float(low)) and (not high or size <= float(high))


def _around(rows: list[dict[str, str]], size: str, facts: Facts) -> tuple[float, ...]:
    """Return the listed sizes next to a stated one."""
    listed = sorted({float(row[size]) for row in rows})
    try:
        stated = float(facts[size])
    except ValueError:
        return tuple(listed)
    return (*[s for s in listed if s < stated][-1:], *[s for s in listed if s > stated][:1])


@cache
def _rows(file: str) -> list[dict[str, str]]:
    return list(csv.DictReader((files(__name__) / file).read_text("utf-8").splitlines()))
