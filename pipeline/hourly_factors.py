"""Series of hourly or quarter-hour factors, and the annual figures under them → one timeline without a gap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from config.factor_series import SECOND_NS, FactorSeries, read_series
from pipeline.batch import Times, Values
from pipeline.factors import FactorTimeline, Provenance

_EVER: Final = int(np.iinfo(np.int64).min)
_ALWAYS: Final = int(np.iinfo(np.int64).max)
_ENOUGH: Final = 0.5  # share of a month or year that must be known before its mean stands for the rest
Step = tuple[int, float, Provenance]


@dataclass(frozen=True, slots=True)
class _Known:
    """Steps that are known: start, end int64[n] [ns], value float64[n] [kg/kWh], said[n]."""

    start: Times
    end: Times
    value: Values
    said: tuple[Provenance, ...]


def over(name: str, series: Sequence[FactorSeries], annual: FactorTimeline | None, zone: str) -> FactorTimeline:
    """Return the timeline [kg/kWh] of one region's series.

    Where they have a gap: the mean of its month, of its year, else the annual figure; each flagged as a fallback.
    Months are those of `zone`. Raises ConfigError for a file that cannot be used.
    """
    known = _joined(series, ZoneInfo(zone))
    steps = list(_fill(known, annual, ZoneInfo(zone)))
    start = np.concatenate([known.start, np.array([s for s, _, _ in steps], np.int64)])
    order = np.argsort(start, kind="stable")
    value = np.concatenate([known.value, np.array([v for _, v, _ in steps])])
    said = (*known.said, *(p for _, _, p in steps))
    return FactorTimeline(name, "kg/kWh", start[order], value[order], tuple(said[i] for i in order))


def _joined(series: Sequence[FactorSeries], zone: ZoneInfo) -> _Known:
    parts = []
    for one in series:
        steps = read_series(one)
        years = _months(steps.start_ns, zone)[0] // 12
        said = {int(y): _said(one, int(y)) for y in np.unique(years)}
        parts.append((steps.start_ns, steps.start_ns + one.step_ns, steps.value, [said[int(y)] for y in years]))
    start, end, value = (np.concatenate([part[i] for part in parts]) for i in range(3))
    order = np.argsort(start, kind="stable")
    provenance = [said for part in parts for said in part[3]]
    return _Known(start[order], end[order], value[order], tuple(provenance[i] for i in order))


def _said(one: FactorSeries, year: int) -> Provenance:
    about = (one.publisher, one.publication, one.data_year or year, one.published_on, one.gas, one.file.name)
    return Provenance(*about, "exact", one.uncertainty)


def _months(time_ns: Times, zone: ZoneInfo) -> tuple[npt.NDArray[np.int64], Times]:
    """Return the local month of each instant (year · 12 + month − 1), and the instants all their years' months begin.

    The beginnings run from January of the first year to January after the last.
    """
    first, last = (datetime.fromtimestamp(int(t) // SECOND_NS, UTC).astimezone(zone).year for t in time_ns[[0, -1]])
    numbers = range(first * 12, (last + 1) * 12 + 1)
    edges = [int(datetime(n // 12, n % 12 + 1, 1, tzinfo=zone).timestamp()) * SECOND_NS for n in numbers]
    begins = np.array(edges, np.int64)
    return np.searchsorted(begins, time_ns, side="right") - 1 + numbers.start, begins


def _fill(known: _Known, annual: FactorTimeline | None, zone: ZoneInfo) -> Iterator[Step]:
    """Yield the steps of all gaps, before the first and after the last known step too."""
    month, begins = _months(known.start, zone)
    means = _Means(known, month - month[0] + int(np.searchsorted(begins, known.start[0], side="right")) - 1, begins)
    gaps = zip([_EVER, *known.end.tolist()], [*known.start.tolist(), _ALWAYS], strict=True)
    for begin, end in gaps:
        if begin >= end:
            continue
        inside = begins[(begins > begin) & (begins < end)].tolist()
        for piece, until in zip([begin, *inside], [*inside, end], strict=True):
            yield from means.of(piece) or _annual(annual, piece, until) or means.nearest(piece)


@dataclass(frozen=True, slots=True)
class _Means:
    """Means of what is known by month, numbered from January of the first year; begins: where each begins."""

    known: _Known
    month: npt.NDArray[np.int64]
    begins: Times

    def of(self, at: int) -> list[Step]:
        """Return the mean that stands for a gap: of its month, else of its year; none where too little is known."""
        month = int(np.searchsorted(self.begins, at, side="right")) - 1
        if not 0 <= month < len(self.begins) - 1:
            return []
        year = month // 12 * 12
        return self._mean(at, month, month + 1, _ENOUGH) or self._mean(at, year, year + 12, _ENOUGH)

    def nearest(self, at: int) -> list[Step]:
        """Return the mean of the nearest year, however little of it is known."""
        month = int(self.month[0 if at < self.known.start[0] else -1])
        year = month // 12 * 12
        return self._mean(at, year, year + 12, 0.0)

    def _mean(self, at: int, first: int, after: int, enough: float) -> list[Step]:
        """Return the mean of the months from `first` to before `after`, weighted by time."""
        low, high = np.searchsorted(self.month, (first, after))
        lasting = (self.known.end - self.known.start)[low:high]
        if not len(lasting) or lasting.sum() < enough * (self.begins[after] - self.begins[first]):
            return []
        mean = float(np.average(self.known.value[low:high], weights=lasting))
        said = self.known.said[low]
        what = f"{said.data_year}" if after - first > 1 else f"{said.data_year}-{first % 12 + 1:02d}"
        text = f"{said.publication}, mean of {what} for what is missing"
        return [(at, mean, replace(said, publication=text, variant="fallback"))]


def _annual(annual: FactorTimeline | None, begin: int, end: int) -> list[Step]:
    """Return the annual figures between two instants."""
    if annual is None:
        return []
    first = max(int(np.searchsorted(annual.start_ns, begin, side="right")) - 1, 0)
    last = int(np.searchsorted(annual.start_ns, end, side="left"))
    starts = [begin, *annual.start_ns[first + 1 : last].tolist()]
    rows = zip(starts, annual.value[first:last].tolist(), annual.provenance[first:last], strict=True)
    return [(start, value, replace(said, variant="fallback")) for start, value, said in rows]
