"""Sums of a window → the figures (KPIs) made of them, each with its completeness, quality and grade."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from config.formula_plan import Expression, Over
from pipeline import quality as q
from pipeline.accumulate import HOUR_NS, Sums
from pipeline.calendar import Calendar
from pipeline.computed import Ints
from pipeline.formula import Function, compiled, leaves
from pipeline.pieces import Signal

_UNGRADED = -1


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of grades 1, 2 and 3 in a figure's unit; `higher` is better.

    Only what is worse than grade 3 by more than `tolerance` (a share) is grade 4.
    """

    grades: tuple[float, float, float]
    higher: bool = False
    tolerance: float = 0.0

    def grade(self, value: float) -> int:
        """Return 1, 2, 3 or, beyond the tolerance of the third limit, 4."""
        sign = -1.0 if self.higher else 1.0
        best, good, least = (sign * limit for limit in self.grades)
        slack = abs(least) * self.tolerance
        return 1 if sign * value <= best else 2 if sign * value <= good else 3 if sign * value <= least + slack else 4


@dataclass(frozen=True, slots=True)
class Kpi:
    """One figure: its plan, its windows, and the ids of the series it appends (grade −1: none).

    A value outside `sane` is told as uncertain.
    """

    key: str
    plan: Expression
    calendar: Calendar
    grace_ns: int
    keep_ns: int
    value: int
    completeness: int
    grade: int = _UNGRADED
    sane: tuple[float, float] = (-np.inf, np.inf)
    limits: Limits | None = None

    @property
    def digest(self) -> str:
        """What tells this definition from others: what was summed for another is never told as this."""
        return digest(f"{self.key} {self.plan} {self.calendar.name}")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Row(NamedTuple):
    """One row told of a window."""

    series: int
    value: float
    quality: int


@dataclass(frozen=True)
class Group:
    """The KPIs of one calendar, closed and kept together; each signal any of them needs has one slot of the sums."""

    calendar: Calendar
    grace_ns: int
    keep_ns: int
    kpis: Sequence[Kpi]

    @cached_property
    def name(self) -> str:
        return f"{self.calendar.name} {self.grace_ns} {self.keep_ns}"

    @cached_property
    def digests(self) -> list[str]:
        return [kpi.digest for kpi in self.kpis]

    @cached_property
    def terms(self) -> list[Over]:
        found = {leaf: None for kpi in self.kpis for leaf in leaves(kpi.plan)}
        return [leaf for leaf in found if isinstance(leaf, Over)]

    @cached_property
    def signals(self) -> list[Signal]:
        return list(dict.fromkeys(t.signal for t in self.terms if t.signal is not None))

    @cached_property
    def signal_digests(self) -> list[str]:
        return [digest(str(signal)) for signal in self.signals]

    @cached_property
    def _functions(self) -> list[tuple[Function, Ints]]:
        place = {term: n for n, term in enumerate(self.terms)}
        found = []
        for kpi in self.kpis:
            mine = leaves(kpi.plan)
            at = np.array([place[t] for t in mine if isinstance(t, Over)], np.int64)
            found.append((compiled(kpi.plan, mine), at))
        return found

    @cached_property
    def _needed(self) -> tuple[Ints, Ints]:
        """The slots of all KPIs one after another, and where each KPI's begin."""
        slot = {signal: n for n, signal in enumerate(self.signals)}
        each = [[slot[t.signal] for t in leaves(k.plan) if isinstance(t, Over) and t.signal] for k in self.kpis]
        return np.array([s for slots in each for s in slots], np.int64), np.cumsum([0, *map(len, each[:-1])])

    def concerned(self, touched: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return which KPIs need any of the slots that were touched."""
        needed, begins = self._needed
        result: npt.NDArray[np.bool_] = np.logical_or.reduceat(touched[needed], begins)
        return result

    def rows(self, sums: Sums, length_ns: int, wanted: npt.NDArray[np.bool_]) -> Iterator[Row]:
        """Yield the rows of the wanted KPIs of a window of `length_ns`."""
        columns = self._columns(sums, length_ns)
        needed, begins = self._needed
        share = np.minimum.reduceat(np.minimum(1.0, sums.covered[needed] / length_ns), begins)
        severity = np.maximum.reduceat(sums.quality[needed] & q.SEVERITY, begins)
        reasons = np.bitwise_or.reduceat(sums.quality[needed] & (0xFFFF ^ q.SEVERITY), begins)
        for n in np.flatnonzero(wanted).tolist():
            run, at = self._functions[n]
            yield from _told(self.kpis[n], float(run(columns[at])), float(share[n]), int(severity[n] | reasons[n]))

    def _columns(self, sums: Sums, length_ns: int) -> npt.NDArray[np.float64]:
        """Return the value of each term: what the window says of a signal."""
        slot = {signal: n for n, signal in enumerate(self.signals)}
        hours = np.where(sums.covered > 0, sums.covered, np.nan) / HOUR_NS
        # Over no time nothing is known of a level; amounts that did not come are none, and incomplete.
        known = np.where(sums.covered > 0, sums.total, np.nan)
        by_how: dict[str, Any] = {
            "mean": known / hours,
            "integral": known,
            "sum": sums.total,
            "min": sums.low,
            "max": sums.high,
            "first": sums.first,
            "last": sums.last,
        }
        length = length_ns / HOUR_NS
        return np.array([length if t.signal is None else by_how[t.how][slot[t.signal]] for t in self.terms])


def _told(kpi: Kpi, value: float, share: float, quality: int) -> Iterator[Row]:
    yield Row(kpi.completeness, share, quality)
    if not np.isfinite(value):
        return
    low, high = kpi.sane
    if not low <= value <= high:
        quality = (quality & (0xFFFF ^ q.SEVERITY)) | max(quality & q.SEVERITY, q.UNCERTAIN) | q.RANGE
    yield Row(kpi.value, value, quality)
    if kpi.limits is not None and kpi.grade != _UNGRADED:
        yield Row(kpi.grade, float(kpi.limits.grade(value)), quality)
