"""Energy and product of many intervals → a machine's own baseline, and how far it has drifted from it since."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.float64]
LEAST_INTERVALS: Final = 12
LEAST_R2: Final = 0.75  # below this product does not explain the energy, and a drift would be told of noise


@dataclass(frozen=True, slots=True)
class Baseline:
    """E = idle · hours + slope · product [kWh]; r2 its share of variance explained, sigma the scatter [kWh].

    count intervals · inverse: (XᵀX)⁻¹ of (hours, product), by which the two numbers themselves are uncertain.
    """

    idle_kw: float
    slope_kwh: float  # for each unit of product
    r2: float
    sigma_kwh: float
    count: int
    inverse: Column = field(compare=False)

    def expected(self, product: Column, hours: Column) -> Column:
        """Return the energy the baseline says [kWh]."""
        result: Column = self.idle_kw * hours + self.slope_kwh * product
        return result

    def cusum(self, energy: Column, product: Column, hours: Column) -> Column:
        """Return Σ (actual − expected) after each interval [kWh]; a change of its slope is a change of the machine."""
        result: Column = np.cumsum(energy - self.expected(product, hours))
        return result

    def cusum_sigma(self, product: Column, hours: Column) -> Column:
        """Return the standard deviation of the CUSUM after each interval where nothing has drifted [kWh].

        σ · √(n + sᵀ (XᵀX)⁻¹ s), s = Σ (hours, product): the scatter of n independent intervals, and the baseline's
        own two numbers being estimates (the variance of a sum of predictions by least squares).
        """
        sums = np.cumsum(np.stack([hours, product], axis=1), axis=0)
        own = np.einsum("ni,ij,nj->n", sums, self.inverse, sums)
        result: Column = self.sigma_kwh * np.sqrt(np.arange(1, len(hours) + 1) + own)
        return result


def fit(energy: Column, product: Column, hours: Column) -> Baseline:
    """Return the least-squares baseline of n intervals: energy [kWh], product, length [h].

    Raises ValueError below 12 intervals or where product never changes.
    """
    if len(energy) < LEAST_INTERVALS:
        raise ValueError(f"a baseline needs at least {LEAST_INTERVALS} intervals, not {len(energy)}")
    design = np.stack([hours, product], axis=1)
    if np.linalg.matrix_rank(design) < 2:
        raise ValueError("a baseline needs intervals of different output for their length")
    (idle, slope), *_ = np.linalg.lstsq(design, energy, rcond=None)
    rest = energy - design @ np.array([idle, slope])
    spread = float(np.sum((energy - energy.mean()) ** 2))
    r2 = 1.0 - float(rest @ rest) / spread if spread > 0 else float("nan")
    sigma = float(np.sqrt(rest @ rest / (len(energy) - 2)))
    inverse = np.linalg.inv(design.T @ design).astype(np.float64)
    return Baseline(float(idle), float(slope), r2, sigma, len(energy), inverse)


def first_beyond(cusum: Column, sigma: Column) -> int | None:
    """Return from which interval on the CUSUM stays more than 2 σ from zero to the end; None where it does not.

    That it stays guards against chance: a sum looked at every day crosses 2 σ now and then without any drift.
    """
    within = np.flatnonzero(np.abs(cusum) <= 2 * sigma)
    first = int(within[-1]) + 1 if len(within) else 0
    return first if first < len(cusum) else None
