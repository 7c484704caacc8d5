"""Sharing out whole numbers: parts sum to the whole and follow their weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.apportion import apportion, apportion_groups


def test_the_largest_remainders_get_what_is_left() -> None:
    # 10 by weights 1 : 1 : 1 is 3.33 each → 3 + 3 + 3, and the one left goes to the first of equal remainders.
    assert apportion(10, np.array([1, 1, 1])).tolist() == [4, 3, 3]
    # 100 by 21 : 30 : 49 of 100 is exact; 7 by the same: 1.47, 2.1, 3.43 → 1 + 2 + 3, the one left to .47.
    assert apportion(7, np.array([21, 30, 49])).tolist() == [2, 2, 3]


def test_amounts_beyond_64_bits_when_multiplied() -> None:
    # A year of 100 GWh in two halves: 1e14 mWh × 5e13 mWh is 5e27.
    assert apportion(10**14, np.array([5 * 10**13, 5 * 10**13 + 1])).tolist() == [5 * 10**13, 5 * 10**13]


def test_nobody_to_give_to() -> None:
    assert apportion(0, np.array([0, 0])).tolist() == [0, 0]
    with pytest.raises(ValueError, match="weigh nothing"):
        apportion(1, np.array([0, 0]))


@given(st.data())
def test_parts_sum_exactly_and_never_exceed_their_weight(data: st.DataObject) -> None:
    weights = np.array(data.draw(st.lists(st.integers(0, 10**13), min_size=1, max_size=30)), np.int64)
    group = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(weights), max_size=len(weights))), np.int64)
    sums = np.array([weights[group == g].sum() for g in range(4)])
    totals = np.array([data.draw(st.integers(0, int(s))) for s in sums], np.int64)
    parts = apportion_groups(totals, weights, group)
    assert np.all(parts >= 0)
    assert np.all(parts <= weights)
    assert [int(parts[group == g].sum()) for g in range(4)] == totals.tolist()
