"""A hole and windows like it elsewhere in the same stream → the bound its total does not pass, and its shape.

Like windows begin on the same weekday and hour. Their totals, not single intervals, are what a bound is taken of: the
95th percentile of each hour, summed, lies far beyond that of the sum. How the bound is reached: docs/substitution.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from carbon.filling.stretch import Direction, Hole, Shares, Stretch

NEAREST: Final = 8  # like windows whose median is the level about a window: four weeks on either side
MOST: Final = 52  # like windows looked at, the nearest ones
DAY_NS: Final = 86_400_000_000_000
Indices = npt.NDArray[np.int64]
Totals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Like:
    """The bound of a hole's total [1e-6 unit], the shape of its course float64[L], and of how many windows they are."""

    total: float
    shape: Shares
    count: int


def needed(confidence: float) -> int:
    """Return the fewest windows one of which can be a bound of that confidence: (n + 1) · confidence ≤ n."""
    return math.ceil(round(confidence / (1 - confidence), 6))


def like_windows(stretch: Stretch, hole: Hole, starts: Indices, direction: Direction, confidence: float) -> Like | str:
    """Return the one-sided bound of the hole's total from windows that begin at `starts`, or why there is none.

    The level about a window is the median of the nearest like windows, plus β times by how much the day before and
    after it exceeds the median of theirs. The bound is the hole's own level plus the ⌈(n + 1) · confidence⌉-th smallest
    of what the like windows exceed their levels by, each judged without itself (jackknife residuals; Barber, Candès,
    Ramdas & Tibshirani, Predictive inference with the jackknife+, Ann. Statist. 49, 2021).
    """
    windows = _measured(stretch, hole, starts)
    count, fewest = len(windows), needed(confidence)
    if count < fewest:
        return f"{count} windows like it are measured, {fewest} are needed"
    rows = stretch.amount[windows[:, None] + np.arange(len(hole.missing))]
    sign = 1.0 if direction == "up" else -1.0
    near, near_hole = _nearest(windows, hole.first)
    totals = sign * (rows @ hole.missing)
    above = totals - np.median(totals[near], axis=1)
    beside, beside_hole = _flanks(stretch, hole, windows, near, near_hole)
    slopes, slope = _slopes(sign * beside, above)
    left = np.sort(above - slopes * sign * beside)
    rank = math.ceil(round((count + 1) * confidence, 6))
    level = float(np.median(totals[near_hole])) + slope * sign * beside_hole
    bound = max(sign * (level + float(left[rank - 1])), 0.0)
    return Like(bound, rows[near_hole].mean(axis=0).clip(0) * hole.missing, count)


def _measured(stretch: Stretch, hole: Hole, starts: Indices) -> Indices:
    """Return the nearest of the windows that lie within the stretch, have no gap, and touch neither hole nor another.

    Windows that overlap would be judged by what they have in common: their residuals would be too small.
    """
    length = len(hole.missing)
    inside = starts[(starts >= 0) & (starts + length <= len(stretch.amount))]
    gaps = np.concatenate([[0], np.cumsum(stretch.missing > 0)])
    whole = inside[gaps[inside + length] == gaps[inside]]
    sides = np.sort(whole[whole > hole.first]), np.sort(whole[whole < hole.first])[::-1]
    apart = np.array([start for side in sides for start in _apart(side, hole.first, length)], np.int64)
    nearest: Indices = apart[np.argsort(np.abs(apart - hole.first), kind="stable")[:MOST]]
    return nearest


def _apart(starts: Indices, first: int, length: int) -> Iterator[int]:
    """Yield the starts, each further from `first` than the one before, that are a window's length apart."""
    last = first
    for start in starts.tolist():
        if abs(start - last) >= length:
            yield start
            last = start


def _nearest(windows: Indices, first: int) -> tuple[Indices, Indices]:
    """Return the rows of the windows nearest to each window (itself left out), and to the hole."""
    away = np.abs(windows[:, None] - windows).astype(np.float64)
    np.fill_diagonal(away, np.inf)
    near = np.argsort(away, axis=1, kind="stable")[:, :NEAREST]
    return near, np.argsort(np.abs(windows - first), kind="stable")[:NEAREST]


def _flanks(stretch: Stretch, hole: Hole, windows: Indices, near: Indices, near_hole: Indices) -> tuple[Totals, float]:
    """Return by how much the days beside each window, and beside the hole, exceed those of their nearest windows.

    A side not measured beside the hole is not looked at; a window's own that is not measured counts as usual.
    """
    day, length = max(DAY_NS // stretch.interval_ns, 1), len(hole.missing)
    upto = np.concatenate([[0], np.cumsum(stretch.amount)])
    gaps = np.concatenate([[0], np.cumsum(stretch.missing > 0)])
    every, size = np.append(windows, hole.first), len(stretch.amount)
    beside, beside_hole = np.zeros(len(windows)), 0.0
    for begin in (every - day, every + length):
        inside = (begin >= 0) & (begin + day <= size)
        low, high = np.clip(begin, 0, size), np.clip(begin + day, 0, size)
        known = inside & (gaps[high] == gaps[low])
        if not known[-1] or not known[:-1].any():
            continue
        sums = (upto[high] - upto[low]).astype(np.float64)
        usual = np.median(sums[:-1][known[:-1]])
        sides = np.where(known, sums, usual)
        beside += sides[:-1] - np.median(sides[near], axis=1)
        beside_hole += float(sides[-1] - np.median(sides[near_hole]))
    return beside, beside_hole


def _slopes(x: Totals, y: Totals) -> tuple[Totals, float]:
    """Return Σxy / Σx², not below 0, of all pairs but each one, and of all."""
    xy, xx = x * y, x * x
    rest = xx.sum() - xx
    without = np.divide(xy.sum() - xy, rest, out=np.zeros_like(x), where=rest > 0)
    whole = float(xy.sum() / xx.sum()) if xx.any() else 0.0
    return np.maximum(without, 0.0), max(whole, 0.0)
