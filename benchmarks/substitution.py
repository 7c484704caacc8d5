"""Recorded years with random holes cut into them → how often and by how much each way of filling errs.

`python -m benchmarks.substitution` writes the tables of docs/substitution.md. Nothing here was chosen by these holes:
the bound's 95 % is a definition, and the design was settled on other holes of the steel year; Condat is a second year.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carbon.entries import MICRO
from carbon.filling.like_windows import NEAREST, like_windows
from carbon.filling.stretch import Direction, Hole, Stretch
from carbon.filling.substitute import CONFIDENCE

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
DOC = ROOT / "docs" / "substitution.md"
SEED, COUNT = 2018, 2_000
DAYS = (1, 3, 7)
OTHER_DAYS = (1 / 24, 1 / 4, 1 / 2, 10, 14)
HOUR_NS = 3_600_000_000_000

Numbers = npt.NDArray[np.float64]
# A way of filling: the stretch without the hole, the hole, starts of like windows → total of the hole [1e-6 unit].
Design = Callable[[Stretch, Hole, npt.NDArray[np.int64]], float]


def steel() -> Stretch:
    """Return the steel year, 35,040 quarter hours [kWh]. The row of 00:00 is the last quarter of the day it names."""
    with gzip.open(DATA / "steel" / "steel_2018_15min.csv.gz", "rt") as file:
        values = np.array([float(row["Usage_kWh"]) for row in csv.DictReader(file)])
    return Stretch(np.rint(values * MICRO).astype(np.int64), np.zeros(len(values)), HOUR_NS // 4)


def condat() -> Stretch:
    """Return the year of solar heat, 8,784 hours [kWh]; hours with fewer than 60 minutes are gaps of its own."""
    with gzip.open(DATA / "condat" / "heat_meter_2020_hourly.csv.gz", "rt") as file:
        rows = [(row[1], row[2]) for row in list(csv.reader(file))[1:]]
    known = np.array([bool(value) and float(minutes) == 60 for value, minutes in rows])
    values = np.array([float(value) if ok else 0.0 for (value, _), ok in zip(rows, known, strict=True)])
    return Stretch(np.rint(values * MICRO).astype(np.int64).clip(0), np.where(known, 0.0, 1.0), HOUR_NS)


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of many holes of one length: filled and true totals [1e-6 unit]."""

    days: float
    filled: Numbers
    true: Numbers

    @property
    def not_understated(self) -> float:
        return float(np.mean(self.filled >= self.true))

    @property
    def not_overstated(self) -> float:
        return float(np.mean(self.filled <= self.true))

    @property
    def of_all(self) -> float:
        """What all holes together are filled with, over what was in them, less 1."""
        return float(self.filled.sum() / self.true.sum() - 1)

    def over(self) -> Numbers:
        """Return by how much each hole is overstated, as a share of what was in it."""
        some = self.true > 0
        return self.filled[some] / self.true[some] - 1


def conservative(direction: Direction = "up") -> Design:
    """Return the step of the ladder as it is."""

    def fill(stretch: Stretch, hole: Hole, starts: npt.NDArray[np.int64]) -> float:
        found = like_windows(stretch, hole, starts, direction, CONFIDENCE)
        assert not isinstance(found, str), found
        return found.total

    return fill


def judge(year: Stretch, days: float, design: Design, *, seed: int = SEED, count: int = COUNT) -> Judged:
    """Cut `count` random holes of whole measured time into the year, one at a time, and fill each from the rest."""
    day = 24 * HOUR_NS // year.interval_ns
    length = round(days * day)
    gaps = np.concatenate([[0], np.cumsum(year.missing > 0)])
    filled, true = [], []
    for first in np.random.default_rng(seed).integers(0, len(year.amount) - length + 1, count).tolist():
        if gaps[first + length] > gaps[first]:
            continue  # what was in it is not known
        hole = Hole(first, np.ones(length))
        amount, missing = year.amount.copy(), year.missing.copy()
        amount[hole.rows], missing[hole.rows] = 0, 1.0
        stretch = Stretch(amount, missing, year.interval_ns)
        filled.append(design(stretch, hole, first + 7 * day * np.arange(-53, 54)))
        true.append(year.amount[hole.rows].sum())
    return Judged(days, np.array(filled), np.array(true, np.float64))


# ── what else was tried ───────────────────────────────────────────────────────────────────────────


def _like(stretch: Stretch, hole: Hole, starts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Numbers]:
    """Return the like windows that are measured, nearest first, and their rows float64[m, L]."""
    length = len(hole.missing)
    starts = starts[(starts >= 0) & (starts + length <= len(stretch.amount))]
    rows = starts[:, None] + np.arange(length)
    whole = (stretch.missing[rows] == 0).all(axis=1)
    order = np.argsort(np.abs(starts[whole] - hole.first), kind="stable")
    return starts[whole][order], stretch.amount[rows[whole][order]].astype(np.float64)


def _ranked(values: Numbers) -> float:
    """Return the ⌈(n + 1) · 95 %⌉-th smallest."""
    return float(np.sort(values)[min(int(np.ceil((len(values) + 1) * CONFIDENCE)), len(values)) - 1])


def each_interval(stretch: Stretch, hole: Hole, starts: npt.NDArray[np.int64]) -> float:
    """Return the sum of the 95th percentiles of each interval."""
    return float(np.quantile(_like(stretch, hole, starts)[1], CONFIDENCE, axis=0).sum())


def totals(stretch: Stretch, hole: Hole, starts: npt.NDArray[np.int64]) -> float:
    """Return the percentile of the totals of all like windows."""
    return _ranked(_like(stretch, hole, starts)[1].sum(axis=1))


def nearest(stretch: Stretch, hole: Hole, starts: npt.NDArray[np.int64]) -> float:
    """Return the percentile of the totals of the 19 like windows nearest in time: the largest of them."""
    return _ranked(_like(stretch, hole, starts)[1][:19].sum(axis=1))


def level(stretch: Stretch, hole: Hole, starts: npt.NDArray[np.int64]) -> float:
    """Return the median of the nearest like windows and the percentile of what others exceed theirs by."""
    begins, rows = _like(stretch, hole, starts)
    sums = rows.sum(axis=1)
    away = np.abs(begins[:, None] - begins).astype(np.float64)
    np.fill_diagonal(away, np.inf)
    near = np.argsort(away, axis=1, kind="stable")[:, :NEAREST]
    return float(np.median(sums[:NEAREST])) + _ranked(sums - np.median(sums[near], axis=1))


TRIED: dict[str, Design] = {
    "95th percentile of each interval, summed": each_interval,
    "95th percentile of the totals of like windows": totals,
    "largest of the 19 nearest like windows": nearest,
    "level of the nearest windows + percentile of the residuals": level,
    "the same, and the days on either side of the hole (the step)": conservative(),
}


# ── the document ──────────────────────────────────────────────────────────────────────────────────


def results() -> Iterator[str]:
    """Yield the table of the step on the steel year."""
    yield "| gap | not understated | overstatement, all gaps together | mean | median | p5 | p95 |"
    yield "|---|---|---|---|---|---|---|"
    for days in DAYS:
        judged = judge(steel(), days, conservative())
        over = judged.over()
        figures = (judged.of_all, over.mean(), *np.quantile(over, (0.5, 0.05, 0.95)))
        shown = " | ".join(f"{100 * figure:+.1f} %" for figure in figures)
        yield f"| {_days(days)} | {100 * judged.not_understated:.2f} % | {shown} |"


def others() -> Iterator[str]:
    """Yield the table of what was tried: not understated, and overstatement of all gaps together."""
    yield "| way of filling | " + " | ".join(map(_days, DAYS)) + " |"
    yield "|---|" + "---|" * len(DAYS)
    for name, design in TRIED.items():
        found = [judge(steel(), days, design) for days in DAYS]
        shown = " | ".join(f"{100 * j.not_understated:.1f} %, {100 * j.of_all:+.0f} %" for j in found)
        yield f"| {name} | {shown} |"


def elsewhere() -> Iterator[str]:
    """Yield the table of both years and both directions."""
    yield "| year | may err | " + " | ".join(map(_days, DAYS)) + " |"
    yield "|---|---|" + "---|" * len(DAYS)
    for name, year in (("steel, electricity", steel()), ("Condat, solar heat", condat())):
        up = [judge(year, days, conservative("up")) for days in DAYS]
        down = [judge(year, days, conservative("down")) for days in DAYS]
        for side, found in (("up", up), ("down", down)):
            held = [j.not_understated if side == "up" else j.not_overstated for j in found]
            shown = (f"{100 * h:.1f} %, {100 * j.of_all:+.0f} %" for h, j in zip(held, found, strict=True))
            yield f"| {name} | {side} | " + " | ".join(shown) + " |"


def lengths() -> Iterator[str]:
    """Yield the table of shorter and longer gaps of the steel year."""
    yield "| may err | " + " | ".join(map(_days, OTHER_DAYS)) + " |"
    yield "|---|" + "---|" * len(OTHER_DAYS)
    up = [judge(steel(), days, conservative("up")) for days in OTHER_DAYS]
    down = [judge(steel(), days, conservative("down")) for days in OTHER_DAYS]
    yield "| up | " + " | ".join(f"{100 * j.not_understated:.1f} %, {100 * j.of_all:+.0f} %" for j in up) + " |"
    yield "| down | " + " | ".join(f"{100 * j.not_overstated:.1f} %, {100 * j.of_all:+.0f} %" for j in down) + " |"


def _days(days: float) -> str:
    number, unit = (days, "day") if days >= 1 else (days * 24, "hour")
    return f"{number:g} {unit}" + "s" * (number > 1)


def main() -> None:
    """Write the tables into the document, between their marks."""
    text = DOC.read_text(encoding="utf-8")
    for name, table in (("results", results), ("others", others), ("lengths", lengths), ("elsewhere", elsewhere)):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + begin + "\n".join(table()) + "\n" + end + after
    DOC.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
