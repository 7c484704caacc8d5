"""Energy and product of many intervals → a machine's own baseline, and how far it has drifted from it since."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Baseline:
    """E = idle · hours + slope · product [kWh]; r2 its share of variance explained, sigma the scatter [kWh]."""

    idle_kw: float
    slope_kwh: float  # for each unit of product
    r2: float
    sigma_kwh: float

    def expected(self, product: Column, hours: Column) -> Column:
        """Return the energy the baseline says [kWh]."""
        result: Column = self.idle_kw * hours + self.slope_kwh * product
        return result

    def cusum(self, energy: Column, product: Column, hours: Column) -> Column:
        """Return Σ (actual − expected) after each interval [kWh]; a change of its slope is a change of the machine."""
        result: Column = np.cumsum(energy - self.expected(product, hours))
        return result


def fit(energy: Column, product: Column, hours: Column) -> Baseline:
    """Return the least-squares baseline of n intervals: energy [kWh], product, length [h].

    Raises ValueError below 10 intervals (ISO 50006 asks for enough to judge by) or where product never changes.
    """
    if len(energy) < 10:
        raise ValueError(f"a baseline needs at least 10 intervals, not {len(energy)}")
    design = np.stack([hours, product], axis=1)
    if np.linalg.matrix_rank(design) < 2:
        raise ValueError("a baseline needs intervals of different output for their length")
    (idle, slope), *_ = np.linalg.lstsq(design, energy, rcond=None)
    rest = energy - design @ np.array([idle, slope])
    spread = float(np.sum((energy - energy.mean()) ** 2))
    r2 = 1.0 - float(rest @ rest) / spread if spread > 0 else float("nan")
    return Baseline(float(idle), float(slope), r2, float(np.sqrt(rest @ rest / (len(energy) - 2))))
