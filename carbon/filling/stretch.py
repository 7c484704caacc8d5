"""A stream's measured amounts on a grid of equal intervals, the hole in them, and integers spread over it exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from carbon.entries import Integers

Shares = npt.NDArray[np.float64]
# Which way a filling may err: up for what is consumed or emitted, down for what is made on site or given away.
Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """amount int64[n] [1e-6 unit], what was measured in each interval · missing float64[n]: the share of the interval
    nothing was measured in, 0 where all of it was."""

    amount: Integers
    missing: Shares
    interval_ns: int
    unit: str = "kWh"


@dataclass(frozen=True, slots=True)
class Hole:
    """Intervals from `first` on; `missing` float64[L]: the share of each that is to be filled."""

    first: int
    missing: Shares

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + len(self.missing))


def spread(total: int, shape: npt.ArrayLike) -> Integers:
    """Return integers in proportion to `shape` (float64[L], none negative) whose sum is exactly `total`.

    The rounded running sums are subtracted from each other, so each is within 1 of its exact share; all zeros: evenly.
    """
    weights = np.asarray(shape, np.float64)
    if not weights.any():
        weights = np.ones(len(weights))
    running = np.cumsum(weights / weights.sum())
    upto = np.rint(total * running).astype(np.int64)
    upto[-1] = total
    parts: Integers = np.diff(upto, prepend=0)
    return parts
