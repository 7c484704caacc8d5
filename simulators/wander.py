"""A seed and a time enter, a smooth random number leaves: the one source of chance of all simulated physics."""

from __future__ import annotations

import math
import random


class Wander:
    """A mean-reverting random walk x(t) [1] with mean 0, variance 1 and correlation exp(−Δt/τ).

    First-order autoregression x' = a·x + √(1 − a²)·ε with a = exp(−Δ/τ) on a lattice of Δ = `every_s` anchored to
    the epoch, straight between its points: the course depends on seed and first time asked, not on the step.
    """

    def __init__(self, seed: str, tau_s: float, every_s: float) -> None:
        self._random = random.Random(seed)
        self._every_ns = int(every_s * 1e9)
        self._keep = math.exp(-every_s / tau_s)
        self._shock = math.sqrt(1.0 - self._keep**2)
        self._cell: int | None = None
        self._left = self._random.gauss(0.0, 1.0)
        self._right = self._next(self._left)

    def _next(self, value: float) -> float:
        return self._keep * value + self._shock * self._random.gauss(0.0, 1.0)

    def at(self, now_ns: int) -> float:
        """Return x at `now_ns`; times must not decrease (an earlier one gets the start of the current cell)."""
        cell, within = divmod(now_ns, self._every_ns)
        if self._cell is None:
            self._cell = cell
        while self._cell < cell:
            self._left, self._right = self._right, self._next(self._right)
            self._cell += 1
        if self._cell > cell:
            return self._left
        return self._left + (self._right - self._left) * (within / self._every_ns)
