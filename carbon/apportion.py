"""A whole number shared out by weights into whole numbers that sum to it exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from carbon.entries import Integers


def apportion(total: int, weights: Integers) -> Integers:
    """Return int64[n] parts of `total` in proportion to weights int64[n] ≥ 0, by the largest remainder.

    Σ parts = total exactly, and no part exceeds its weight where total ≤ Σ weights. With no weight at all there is
    nobody to give to: raises ValueError unless total is 0.
    """
    return apportion_groups(np.array([total]), weights, np.zeros(len(weights), np.int64))


def apportion_groups(totals: Integers, weights: Integers, group: npt.NDArray[np.integer]) -> Integers:
    """Return int64[n] parts of totals int64[g], each shared among the rows whose `group` is its index.

    part = ⌊total · weight / Σ weights⌋, and what is left goes one by one to the rows with the largest remainders, of
    equal ones to the first. Raises ValueError for a total of a group that has no weight.
    """
    sums = np.zeros(len(totals), np.int64)
    np.add.at(sums, group, weights)
    if np.any((sums == 0) & (totals != 0)):
        raise ValueError("an amount cannot be shared out among rows that weigh nothing")
    whole = np.maximum(sums, 1)[group]
    products = totals[group].astype(object) * weights  # up to 1e31: beyond 64 bits
    parts: Integers = (products // whole).astype(np.int64)
    remainders = (products % whole).astype(np.int64)
    left = totals.astype(np.int64)
    np.subtract.at(left, group, parts)
    order = np.lexsort((np.arange(len(parts)), -remainders, group))
    first = np.searchsorted(group[order], np.arange(len(totals)))
    rank = np.arange(len(parts)) - first[group[order]]
    parts[order] += rank < left[group[order]]
    return parts
