"""Pieces of time → sums of each window: total, covered time, extremes, first and last, by signal in columns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from pipeline import quality as q
from pipeline.calendar import DAY_NS, Calendar, Edges
from pipeline.computed import Ints, Pieces

HOUR_NS: Final = 3_600_000_000_000
Floats = npt.NDArray[np.float64]


class Sums(NamedTuple):
    """What one window holds of n signals: Σ amounts or ∫ level [unit·h], time covered [ns], extremes, quality.

    `touched`: something came since the window was last told.
    """

    total: Floats
    covered: Ints
    low: Floats
    high: Floats
    first: Floats
    last: Floats
    quality: npt.NDArray[np.uint16]
    touched: npt.NDArray[np.bool_]

    @classmethod
    def fresh(cls, n: int) -> Self:
        low, high, first, last = np.full((4, n), np.nan)
        quality, touched = np.zeros(n, np.uint16), np.zeros(n, bool)
        return cls(np.zeros(n), np.zeros(n, np.int64), low, high, first, last, quality, touched)

    @classmethod
    def copied(cls, window: Mapping[str, Any]) -> Self:
        """Return the sums of a window as the state has it; its arrays, or lists from JSON, stay as they are."""
        fresh = cls.fresh(0)
        return cls(*(np.array(window[name], getattr(fresh, name).dtype) for name in cls._fields))

    def placed(self, places: Ints, n: int) -> Self:
        """Return the sums of n signals of which the one at `places[i]` was number i before; −1: given up."""
        wider, kept = type(self).fresh(n), places >= 0
        for name in self._fields:
            getattr(wider, name)[places[kept]] = getattr(self, name)[kept]
        return wider


class Parts(NamedTuple):
    """Pieces cut at the edges of windows."""

    window: Ints  # row of the edges
    signal: Ints
    total: Floats  # share of the amount, or level times hours
    covered: Ints
    value: Floats
    quality: npt.NDArray[np.uint16]

    def take(self, rows: npt.NDArray[Any]) -> Parts:
        return Parts(*(column[rows] for column in self))


def edges_of(calendar: Calendar, pieces: Pieces) -> Edges:
    """Return the windows pieces may lie in."""
    days = np.unique(np.stack([pieces.start // DAY_NS, pieces.end // DAY_NS]), axis=1).T.tolist()
    return _edges(calendar, tuple((a * DAY_NS, b * DAY_NS) for a, b in days))


@lru_cache(maxsize=64)
def _edges(calendar: Calendar, spans: tuple[tuple[int, int], ...]) -> Edges:
    return calendar.windows(spans)


def cut(pieces: Pieces, edges: Edges, amounts: int) -> Parts:
    """Return the parts of pieces within windows; signals below `amounts` are amounts, shared by time."""
    starts, ends = edges
    span = pieces.end - pieces.start
    first = np.where(span > 0, np.searchsorted(ends, pieces.start, "right"), np.searchsorted(ends, pieces.end, "left"))
    count = np.maximum(0, np.searchsorted(starts, pieces.end, "left") - first)
    row = np.repeat(np.arange(len(span)), count)
    window = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    covered = np.minimum(pieces.end[row], ends[window]) - np.maximum(pieces.start[row], starts[window])
    span, signal, value = span[row], pieces.signal[row], pieces.value[row]
    share = np.where(span > 0, covered / np.maximum(span, 1), 1.0)
    total = value * np.where(signal < amounts, share, covered / HOUR_NS)
    return Parts(window, signal, total, covered, value, pieces.quality[row])


def add(sums: Sums, parts: Parts) -> None:
    """Add parts to the sums of their window, one after another: however rows are batched, sums are the same."""
    at = parts.signal
    np.add.at(sums.total, at, parts.total)
    np.add.at(sums.covered, at, parts.covered)
    np.fmin.at(sums.low, at, parts.value)
    np.fmax.at(sums.high, at, parts.value)
    began = np.isnan(sums.first[at])
    sums.first[at[began][::-1]] = parts.value[began][::-1]
    sums.last[at] = parts.value
    severity = sums.quality & q.SEVERITY
    np.maximum.at(severity, at, parts.quality & q.SEVERITY)
    np.bitwise_or.at(sums.quality, at, parts.quality)
    sums.quality[:] = (sums.quality & (0xFFFF ^ q.SEVERITY)) | severity
    sums.touched[at] = True
