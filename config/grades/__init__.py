"""Grade tables of energy-efficiency standards as data: facts of a machine → the limits of its grades, or why none.

The tables hold common sizes. A size that is not listed has no limit here: none is taken from its neighbours, and a row
with a blank limit is never graded.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Grading:
    """The limits of grades 1, 2 and 3 [unit of the standard], None where there are none; `said` tells why or which,
    `source` where the row was taken from.
    """

    limits: tuple[float, float, float] | None
    said: str
    source: str = ""


def grading(standard: str, facts: Facts) -> Grading:
    """Return the limits a standard sets for a machine; `facts` are named as the table's columns."""
    table = STANDARDS[standard]
    wanted = (*table.words, *table.sizes)
    missing = [name for name in wanted if name not in facts]
    if missing:
        return Grading(None, f"no grade by {table.title}: {', '.join(missing)} not stated")
    found = [row for row in _rows(table.file) if all(str(row[w]) == str(facts[w]) for w in table.words)]
    if not found:
        asked = ", ".join(str(facts[w]) for w in table.words)
        return Grading(None, f"{table.title} has no table for {asked}; known: {_known(table)}")
    for size in table.sizes:
        found, listed = [r for r in found if _same(r[size], facts[size])], found
        if not found:
            return Grading(None, f"no limit for this size: {table.title} lists {size} {_around(listed, size, facts)}")
    for name in table.ranges:
        found = [row for row in found if _within(row, name, facts)]
        if not found:
            return Grading(None, f"no limit for this size: {table.title} has no row for {name} {facts.get(name)}")
    return _limits(table, found[0], wanted, facts)


def _limits(table: Standard, row: Mapping[str, str], wanted: tuple[str, ...], facts: Facts) -> Grading:
    asked = ", ".join(f"{v:g}" if isinstance(v := facts[w], float) else str(v) for w in wanted)
    if not all(row[column] for column in table.grades):
        return Grading(None, f"no grade: the row of {table.title} for {asked} is not complete in our source")
    first, second, third = (float(row[column]) for column in table.grades)
    said = f"{table.title}, {asked}: {first:g}, {second:g}, {third:g} {table.unit}"
    return Grading((first, second, third), said, row["source"])


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


def _around(rows: list[dict[str, str]], size: str, facts: Facts) -> str:
    """Return the listed sizes next to a stated one."""
    listed = sorted({float(row[size]) for row in rows})
    try:
        stated = float(facts[size])
    except ValueError:
        return ", ".join(f"{s:g}" for s in listed)
    below, above = [s for s in listed if s < stated][-1:], [s for s in listed if s > stated][:1]
    return f"{' and '.join(f'{s:g}' for s in (*below, *above))}, not {stated:g}"


def _known(table: Standard) -> str:
    words = dict.fromkeys("/".join(row[w] for w in table.words) for row in _rows(table.file))
    return ", ".join(words)


@cache
def _rows(file: str) -> list[dict[str, str]]:
    return list(csv.DictReader((files(__name__) / file).read_text("utf-8").splitlines()))
