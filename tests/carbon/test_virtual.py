"""Virtual meters: sums, differences and shares in integers, and what is not known of them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.entries import MICRO, Activity
from carbon.virtual import Formula, combine, formula, in_order, uncertainty
from config.accounting import VirtualMeter
from pipeline import quality as q

HOUR_NS = 3600 * 10**9
A, B, C, REST, OFFICE = range(5)


def rows(stream: int, amounts: list[int], **more: object) -> Activity:
    start = np.arange(len(amounts)) * HOUR_NS
    return Activity.make(start, HOUR_NS, [stream] * len(amounts), amounts, **more)  # type: ignore[arg-type]


def join(*parts: Activity) -> Activity:
    columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in Activity.__slots__}
    return Activity(**columns)


def test_a_difference_and_a_share_of_it() -> None:
    # 100 − (30 + 20) = 50 kWh; 15 % of it is 7.5 kWh.
    meters = [Formula(OFFICE, (REST,), (), Fraction("0.15")), Formula(REST, (A,), (B, C), Fraction(1))]
    found = combine(meters, join(rows(A, [100 * MICRO]), rows(B, [30 * MICRO]), rows(C, [20 * MICRO])))
    assert found.stream.tolist() == [REST, OFFICE]  # what it is made of comes first
    assert found.amount.tolist() == [50 * MICRO, 7_500_000]
    assert np.isnan(found.peak).all()


def test_the_share_is_the_decimal_that_was_written() -> None:
    meter = VirtualMeter(asset="hall", plus=("a.electricity",), share=0.1)
    made = formula(meter, OFFICE, {"a.electricity": A})
    assert made.share == Fraction(1, 10)
    # 10¹⁷ + 5 has no float of its own; a tenth of it is 10¹⁶ + ½, and halves go upward.
    assert combine([made], rows(A, [10**17 + 5, 14, 15, -15])).amount.tolist() == [10**16 + 1, 1, 2, -1]


def test_what_is_not_known_adds_up() -> None:
    a = rows(A, [100, 100], estimated=[10, 0], substituted=[0, 40], covered_ns=[HOUR_NS, HOUR_NS // 4])
    b = rows(B, [60, 60], estimated=[5, 0], substituted=[0, 30], covered_ns=[HOUR_NS // 2, HOUR_NS])
    found = combine([Formula(REST, (A,), (B,), Fraction(1))], join(a, b))
    assert found.amount.tolist() == [40, 40]
    assert found.estimated.tolist() == [15, 0]
    assert found.substituted.tolist() == [0, 70]  # more than there is of it: such a difference is not known at all
    assert found.covered_ns.tolist() == [HOUR_NS // 2, HOUR_NS // 4]


def test_a_part_without_entry_covers_nothing() -> None:
    found = combine([Formula(REST, (A,), (B,), Fraction(1))], join(rows(A, [100, 100]), rows(B, [60])))
    assert found.amount.tolist() == [40, 100]
    assert found.covered_ns.tolist() == [HOUR_NS, 0]


def test_the_worst_quality_and_all_reasons_are_carried() -> None:
    a, b = rows(A, [100], quality=q.LATE), rows(B, [60], quality=q.UNCERTAIN | q.SUBSTITUTED)
    (quality,) = combine([Formula(REST, (A,), (B,), Fraction(1))], join(a, b)).quality.tolist()
    assert quality == q.UNCERTAIN | q.SUBSTITUTED | q.LATE


def test_a_negative_result_is_flagged_and_kept() -> None:
    found = combine([Formula(REST, (A,), (B,), Fraction(1))], join(rows(A, [10]), rows(B, [60])))
    assert found.amount.tolist() == [-50]
    assert q.describe(int(found.quality[0])) == "uncertain (range)"


def test_a_circle_is_refused() -> None:
    circle = [Formula(REST, (OFFICE,), (), Fraction(1)), Formula(OFFICE, (A,), (REST,), Fraction(1))]
    with pytest.raises(ValueError, match="circle"):
        in_order(circle)


def test_nothing_comes_of_nothing() -> None:
    assert len(combine([], rows(A, [1]))) == 0
    assert len(combine([Formula(REST, (B,), (), Fraction(1))], rows(A, [1]))) == 0


def test_the_difference_of_two_big_meters_is_hardly_known() -> None:
    # Two meters of ±1 %: 1,000 − 980 = 20 kWh, ± √(10² + 9.8²) = 14.0 kWh, 70 % of it.
    assert uncertainty([(1000.0, 0.01), (980.0, 0.01)]) == pytest.approx(14.0014, abs=1e-4)
    assert uncertainty([(1000.0, 0.01), (980.0, 0.01)], 0.5) == pytest.approx(7.0007, abs=1e-4)


amounts = st.lists(st.integers(-(10**12), 10**12), min_size=4, max_size=4)


@given(amounts, amounts, amounts)
def test_the_rest_and_its_parts_are_the_whole(a: list[int], b: list[int], c: list[int]) -> None:
    whole = join(rows(A, a), rows(B, b), rows(C, c))
    rest = combine([Formula(REST, (A,), (B, C), Fraction(1))], whole)
    assert (rest.amount + b + c).tolist() == a


@given(amounts, st.integers(1, 999))
def test_shares_of_intervals_are_within_half_a_unit_each(a: list[int], mille: int) -> None:
    share = Fraction(mille, 1000)
    hours = combine([Formula(REST, (A,), (), share)], rows(A, a)).amount
    assert all(abs(part - share * value) <= Fraction(1, 2) for part, value in zip(hours.tolist(), a, strict=True))


@given(amounts, amounts)
def test_longer_intervals_give_the_same_totals(a: list[int], b: list[int]) -> None:
    meter = [Formula(REST, (A,), (B,), Fraction(1))]
    once = join(rows(A, [sum(a)]), rows(B, [sum(b)]))
    day = combine(meter, replace(once, span_ns=once.span_ns * 4, covered_ns=once.covered_ns * 4))
    assert combine(meter, join(rows(A, a), rows(B, b))).amount.sum() == day.amount.sum()
