"""Windows of a driver and of what depends on it → a straight line and the bound of what it predicts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from carbon.filling.stretch import Hole, Stretch

Totals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """y = at_zero + slope · x by least squares through `count` points."""

    at_zero: float
    slope: float
    r2: float
    error: float  # standard deviation about the line
    count: int
    mean: float  # x̄
    spread: float  # Σ(x − x̄)²

    def bound(self, x: float, side: int, confidence: float) -> float:
        """Return the one-sided bound of a new observation at x, the upper one for side 1, the lower one for −1.

        ŷ ± t · s · √(1 + 1/n + (x − x̄)² / Σ(x − x̄)²), n − 2 degrees of freedom.
        """
        wide = math.sqrt(1 + 1 / self.count + (x - self.mean) ** 2 / self.spread)
        return self.at_zero + self.slope * x + side * student(confidence, self.count - 2) * self.error * wide


def fit(x: Totals, y: Totals) -> Fit | None:
    """Return the least-squares line of three points or more; None where x or y never changes."""
    dx, dy = x - x.mean(), y - y.mean()
    if not dx.any() or not dy.any():
        return None
    slope = float(dx @ dy / (dx @ dx))
    left = float(((dy - slope * dx) ** 2).sum())
    return Fit(
        float(y.mean() - slope * x.mean()), slope, 1 - left / float(dy @ dy), math.sqrt(left / (len(x) - 2)),
        len(x), float(x.mean()), float(dx @ dx),
    )  # fmt: skip


def paired_windows(stretch: Stretch, driver: Stretch, hole: Hole) -> tuple[Totals, Totals]:
    """Return totals of (driver, stretch), weighted as the hole, of windows of its length end to end on both sides."""
    length, size = len(hole.missing), len(stretch.amount)
    before = np.arange(hole.first - length, -1, -length)[::-1]
    after = np.arange(hole.first + length, size - length + 1, length)
    rows = np.concatenate([before, after])[:, None] + np.arange(length)
    known = ((stretch.missing[rows] == 0) & (driver.missing[rows] == 0)).all(axis=1)
    return driver.amount[rows[known]] @ hole.missing, stretch.amount[rows[known]] @ hole.missing


def student(level: float, freedom: int) -> float:
    """Return the quantile of Student's t, within 0.001 from 10 degrees of freedom on (Abramowitz & Stegun 26.7.5)."""
    z = NormalDist().inv_cdf(level)
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + g1 / freedom + g2 / freedom**2 + g3 / freedom**3
