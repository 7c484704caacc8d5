"""Sums of the ledger → how far they can be off: meters and factors that err together are added before squaring."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import sqrt

import numpy as np
import numpy.typing as npt

from carbon.entries import Integers, MeterVersion
from carbon.factor import Factor
from pipeline.batch import Series


def half_interval(
    amount: Integers, meter: Series, factor: Series, meters: Mapping[int, MeterVersion], factors: Mapping[int, Factor]
) -> float:
    """Return half the 95 % interval of Σ amount, in the unit of `amount`.

    U² = Σ_meters (Σ amount · u_meter)² + Σ_factors (Σ amount · u_factor)². A meter's error is the same all its life,
    so its amounts are added before squaring: class 1 stays ±1 % over a year. So are all amounts that rest on one
    factor, through however many meters. Different meters, and meters and factors, are independent. Years of one
    published factor count as one. What nobody states counts as 0; `unstated` says how much rests on it.
    Source: IPCC 2006 Guidelines, vol. 1 ch. 3, approach 1, with the covariance terms of the GUM (JCGM 100:2008, 5.2).
    """
    by_meter: dict[str, float] = defaultdict(float)
    by_factor: dict[str, float] = defaultdict(float)
    for number, total in _totals(meter, amount):
        if number in meters:
            by_meter[meters[number].meter] += total * meters[number].uncertainty
    for number, total in _totals(factor, amount):
        if number in factors:
            by_factor[stem(factors[number])] += total * (factors[number].uncertainty or 0.0)
    return sqrt(sum(u * u for u in (*by_meter.values(), *by_factor.values())))


def unstated(amount: Integers, factor: Series, factors: Mapping[int, Factor]) -> float:
    """Return the share of Σ |amount| whose factor comes without an uncertainty."""
    total = float(np.abs(amount).sum())
    silent = [n for n, f in factors.items() if f.uncertainty is None]
    return float(np.abs(amount[np.isin(factor, silent)]).sum()) / total if total else 0.0


def stem(factor: Factor) -> str:
    """Return what a factor is without its year: the same quantity by the same publisher.

    Instruments state no uncertainty, so a market blend is as uncertain as the uncovered factor, its last part; so is
    null power. Months of either err together.
    """
    name = factor.id
    if name.startswith("market/"):
        name = name.rpartition("+")[2]
    elif name.startswith("null_power/"):
        name = name.split("/", 2)[-1]
    return name.rpartition("/")[0] or name


def _totals(number: Series, amount: npt.NDArray[np.int64]) -> list[tuple[int, float]]:
    numbers, at = np.unique(number, return_inverse=True)
    sums = np.zeros(len(numbers), np.int64)
    np.add.at(sums, at, amount)
    return list(zip(numbers.tolist(), sums.astype(float).tolist(), strict=True))
