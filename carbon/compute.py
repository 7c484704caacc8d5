"""Activity × factor → entries: the one place where an amount becomes kilograms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from carbon.entries import Activity, Entries, Integers
from carbon.factor import GASES, Factor, FactorSteps
from pipeline import quality as q
from pipeline.batch import Values


def weigh(amount: Integers, per_unit: Values) -> Integers:
    """Return amounts [1e-6 unit] × factors [kg or kWh per unit], rounded once, half to even [mg or mWh]."""
    weighed: Integers = np.rint(amount * per_unit).astype(np.int64)
    return weighed


def compute(
    activity: Activity, line: npt.ArrayLike, steps: FactorSteps, number: Callable[[Factor], int], meter: npt.ArrayLike
) -> Entries:
    """Return the entries of lines that share their factors; `line` and `meter`, one for all or one a row, are numbers
    of the ledger, and `number` gives each factor used its own.

    Each entry is rounded once: co2 [mg] = rint(amount [1e-6 unit] · kg per unit); a fallback factor is flagged.
    An interval takes the factor of its beginning: the caller cuts intervals where factors change.
    """
    used, at = np.unique(steps.at(activity.start_ns), return_inverse=True)
    factors = [steps.factors[step] for step in used.tolist()]
    numbers = np.array([number(f) for f in factors], np.int32)
    fallback = np.array([f.provenance.variant == "fallback" for f in factors], bool)

    def weighed(per_unit: Callable[[Factor], float]) -> Integers:
        values = np.array([per_unit(f) for f in factors], float)
        return weigh(activity.amount, values[at])

    gases = {gas: weighed(lambda f, i=i: f.kg[i]) for i, gas in enumerate(GASES)}  # type: ignore[misc]
    flagged = q.worsen(activity.quality | np.uint16(q.FACTOR_FALLBACK), q.UNCERTAIN)
    return Entries(
        start_ns=activity.start_ns,
        span_ns=activity.span_ns,
        line=np.broadcast_to(np.asarray(line, np.int32), len(activity)).copy(),
        amount=activity.amount,
        energy=weighed(lambda f: f.kwh),
        estimated=activity.estimated,
        substituted=activity.substituted,
        covered_ns=activity.covered_ns,
        factor=numbers[at],
        meter=np.broadcast_to(np.asarray(meter, np.int32), len(activity)).copy(),
        biogenic=weighed(lambda f: f.biogenic),
        quality=np.where(fallback[at], flagged, activity.quality),
        peak=activity.peak,
        **gases,
    )
