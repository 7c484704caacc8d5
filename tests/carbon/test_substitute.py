"""Each step of the ladder by hand, the order of the steps, and that filling errs to the safe side only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.entries import MICRO, Activity
from carbon.filling.like_windows import like_windows, needed
from carbon.filling.regression import fit as fit_line
from carbon.filling.regression import student
from carbon.filling.stretch import Hole, Stretch, spread
from carbon.filling.substitute import Evidence, Filling, fill, substitute
from pipeline import quality as q

HOUR_NS = 3600 * 10**9
WEEK = 168


def stretch(kwh: object, hole: Hole | None = None, unit: str = "kWh") -> Stretch:
    """Return hourly amounts, those in the hole hidden as far as it says."""
    amount = np.rint(np.asarray(kwh, float) * MICRO).astype(np.int64)
    missing = np.zeros(len(amount))
    if hole is not None:
        missing[hole.rows] = hole.missing
        amount[hole.rows] = np.rint(amount[hole.rows] * (1 - hole.missing)).astype(np.int64)
    return Stretch(amount, missing, HOUR_NS, unit)


def kwh(filling: Filling | str) -> list[float]:
    assert isinstance(filling, Filling), filling
    return (filling.amounts / MICRO).tolist()


# ── integers ──────────────────────────────────────────────────────────────────────────────────────


@given(
    st.integers(-(10**15), 10**15),
    st.lists(st.floats(0, 1e9, allow_subnormal=False), min_size=1, max_size=200),
)
def test_what_is_spread_sums_to_the_whole(total: int, shape: list[float]) -> None:
    parts = spread(total, shape)
    assert parts.sum() == total
    if total >= 0:
        assert (parts >= 0).all()


def test_a_filled_interval_keeps_what_was_measured() -> None:
    rows = Activity.make([0, HOUR_NS], HOUR_NS, [0, 0], [3 * MICRO, 0], covered_ns=[HOUR_NS // 2, 0])
    filled = fill(rows, np.array([2 * MICRO, 7 * MICRO]))
    assert filled.amount.tolist() == [5 * MICRO, 7 * MICRO]
    assert filled.substituted.tolist() == [2 * MICRO, 7 * MICRO]
    assert filled.covered_ns.tolist() == [HOUR_NS // 2, 0]  # filling is not measuring
    assert q.describe(int(filled.quality[0])) == "uncertain (quantity-estimated, substituted)"


# ── the steps ─────────────────────────────────────────────────────────────────────────────────────


def test_a_counter_read_on_both_sides_goes_before_everything() -> None:
    hole = Hole(1, np.array([1.0, 0.5]))
    given_ = Evidence(counted=9 * MICRO, rated_kw=100)
    found = substitute(stretch([5, 5, 5, 5], hole), hole, given_)
    assert kwh(found) == [6, 3]
    assert isinstance(found, Filling)
    assert found.method == "counter"


def test_a_parent_less_siblings_and_what_was_measured() -> None:
    # Hour 1 lacks all, hour 2 half: 100 − 30 − 0 = 70 and 100 − 40 − 30 (measured of 60) = 30.
    hole = Hole(1, np.array([1.0, 0.5]))
    own = stretch([90, 70, 60, 90], hole)
    given_ = Evidence(parent=stretch([100] * 4), siblings=(stretch([10, 30, 40, 10]),), rated_kw=1)
    assert kwh(substitute(own, hole, given_)) == [70, 30]


@pytest.mark.parametrize(
    ("parent", "own", "why"),
    [
        ([100, 20, 20, 100], 90, "the meter above less 1 siblings shows less than what was measured"),
        ([100, 100, 100, 100], 30, "the meter above less 1 siblings has shown 3.000 of the meter"),
        (None, 90, "no meter above it counts the same"),
    ],
)
def test_a_parent_that_does_not_add_up_is_left_for_the_next_step(
    parent: list[float] | None, own: float, why: str
) -> None:
    hole = Hole(1, np.ones(2))
    siblings = (stretch([10, 30, 40, 10]),)
    given_ = Evidence(parent=stretch(parent) if parent else None, siblings=siblings, rated_kw=15)
    found = substitute(stretch([own] * 4, hole), hole, given_)
    assert kwh(found) == [15, 15]
    assert isinstance(found, Filling)
    assert why in found.reason


def test_nothing_is_claimed_of_what_is_made_on_site() -> None:
    hole = Hole(1, np.ones(2))
    assert kwh(substitute(stretch([20] * 4, hole), hole, Evidence(rated_kw=90), "down")) == [0, 0]


def test_a_check_meter_counts_by_the_ratio_that_errs_safely() -> None:
    hole = Hole(2, np.ones(2))
    own = stretch([102, 102, 102, 102, 102, 102], hole)
    shows = Evidence(check=stretch([100, 100, 50, 60, 100, 100]))
    assert kwh(substitute(own, hole, shows)) == pytest.approx([51, 61.2])  # the meter showed 2 % more than it
    assert kwh(substitute(own, hole, shows, "down")) == pytest.approx([50, 60])
    another = substitute(own, hole, Evidence(check=stretch([50] * 6), rated_kw=1))
    assert isinstance(another, Filling)
    assert "which is not the same flow" in another.reason


def test_student_is_that_of_the_tables() -> None:
    # One-sided 95 %: 1.812 at 10, 1.725 at 20, 1.671 at 60 degrees of freedom (any table of Student's t).
    assert [round(student(0.95, n), 3) for n in (10, 20, 60)] == [1.812, 1.725, 1.671]


def test_the_bound_of_a_line_is_the_one_worked_by_hand() -> None:
    # x = 1 … 12, y = 10 + 2x ± 1 alternating from +1: by hand x̄ 6.5, Σ(x−x̄)² 143, ȳ 23,
    # Σ(x−x̄)(y−ȳ) = 286 − 6 = 280, slope 280/143 = 1.958042, left Σ = 12 − 36/143 = 11.748252,
    # s = √(11.748252 / 10) = 1.083893.
    # At x = 6.5: 23 + 1.812461 · 1.083893 · √(13/12) = 25.04473.
    x = np.arange(1.0, 13.0)
    line = fit_line(x, 10 + 2 * x + np.where(np.arange(12) % 2, -1.0, 1.0))
    assert line is not None
    assert line.slope == pytest.approx(280 / 143)
    assert line.error == pytest.approx(1.0838934)
    assert line.bound(6.5, 1, 0.95) == pytest.approx(25.0447, abs=1e-3)


def test_a_driver_needs_enough_points_enough_fit_and_no_extrapolation() -> None:
    rng = np.random.default_rng(1)
    product = rng.uniform(10, 20, 40)
    used = 50 + 8 * product + rng.normal(0, 5, 40)
    hole = Hole(20, np.ones(1))
    own = stretch(used, hole)
    (up,) = kwh(substitute(own, hole, Evidence(driver=stretch(product))))
    (down,) = kwh(substitute(own, hole, Evidence(driver=stretch(product)), "down"))
    assert down < 50 + 8 * product[20] < up < 1.2 * used[20]
    beyond = product.copy()
    beyond[20] = 30
    for driver, why in (
        (stretch(beyond), "outside of what it has been"),
        (stretch(rng.uniform(10, 20, 40)), "R² is"),
        (stretch(product, Hole(25, np.ones(10))), ""),
    ):
        found = substitute(own, hole, Evidence(driver=driver, rated_kw=1))
        assert isinstance(found, Filling)
        assert why in found.reason
    few = substitute(
        stretch(used[:12], Hole(6, np.ones(1))), Hole(6, np.ones(1)), Evidence(driver=stretch(product[:12]))
    )
    assert isinstance(few, str)
    assert "11 windows of this length are measured, 12 are needed" in few


def test_rated_power_counts_the_time_it_ran() -> None:
    hole = Hole(0, np.array([1.0, 0.5, 1.0]))
    own = stretch([0] * 3, hole)
    assert kwh(substitute(own, hole, Evidence(rated_kw=90))) == [90, 45, 90]
    assert kwh(substitute(own, hole, Evidence(rated_kw=90, running=np.array([0.5, 1.0, 0.0])))) == [45, 45, 0]
    none = substitute(stretch([0] * 3, hole, "m3"), hole, Evidence(rated_kw=90))
    assert isinstance(none, str)
    assert none.endswith("rated power: it counts no kWh")
    assert none.count(";") == 5  # each of the six steps has said why not


# ── like windows ──────────────────────────────────────────────────────────────────────────────────


def weeks(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return hours of weeks of two shifts, Sundays off, each hour and each week a little different."""
    day = np.where((np.arange(24) >= 6) & (np.arange(24) < 22), 100.0, 10.0)
    week = np.concatenate([np.tile(day, 6), np.full(24, 10.0)])
    return np.tile(week, count) * np.repeat(rng.normal(1, 0.1, count), WEEK) * rng.normal(1, 0.1, count * WEEK)


def test_nineteen_like_windows_are_needed() -> None:
    assert needed(0.95) == 19  # of n equal chances the largest is passed once in n + 1: 1/20
    rng = np.random.default_rng(2)
    hole = Hole(9 * WEEK + 40, np.ones(24))
    for count, enough in ((20, True), (19, False)):
        starts = hole.first + WEEK * np.arange(-30, 31)
        found = like_windows(stretch(weeks(count, rng), hole), hole, starts, "up", 0.95)
        assert isinstance(found, str) is not enough
    assert found == "18 windows like it are measured, 19 are needed"


def test_the_filling_has_the_shape_of_the_week_and_only_where_something_is_missing() -> None:
    rng = np.random.default_rng(3)
    year = weeks(40, rng)
    shares = np.ones(24)
    shares[3:6] = (0.5, 0.0, 0.25)
    hole = Hole(20 * WEEK + 3, shares)
    starts = hole.first + WEEK * np.arange(-52, 53)
    found = substitute(stretch(year, hole), hole, Evidence(like=starts))
    amounts = np.array(kwh(found))
    assert amounts[4] == 0
    true = year[hole.rows] * shares
    assert true.sum() < amounts.sum() < 1.4 * true.sum()
    # By hours: 3 o'clock on a Monday morning is not 3 o'clock in the afternoon.
    assert amounts[12] > 5 * amounts[0]


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from(["up", "down"]))
def test_years_of_equal_weeks_are_filled_with_exactly_their_truth(seed: int, length: int, direction: str) -> None:
    """Windows that are the truth itself never lower, nor raise, what was there."""
    rng = np.random.default_rng(seed)
    year = np.tile(rng.integers(0, 10**9, WEEK), 30)
    first = int(rng.integers(0, len(year) - length))
    hole = Hole(first, np.ones(length))
    missing = np.zeros(len(year))
    missing[hole.rows] = 1
    own = Stretch(np.where(missing > 0, 0, year), missing, HOUR_NS)
    found = like_windows(own, hole, first + WEEK * np.arange(-52, 53), direction, 0.95)  # type: ignore[arg-type]
    assert not isinstance(found, str)
    assert found.total == year[hole.rows].sum()
    assert (spread(round(found.total), found.shape) == year[hole.rows]).all()


def test_lower_bounds_lie_below_and_never_below_zero() -> None:
    rng = np.random.default_rng(4)
    sun = np.maximum(rng.normal(3, 4, 40 * WEEK), 0)
    for first in range(1000, 1400, 7):
        hole = Hole(first, np.ones(5))
        starts = first + WEEK * np.arange(-52, 53)
        up = like_windows(stretch(sun, hole), hole, starts, "up", 0.95)
        down = like_windows(stretch(sun, hole), hole, starts, "down", 0.95)
        assert not isinstance(up, str)
        assert not isinstance(down, str)
        assert 0 <= down.total <= up.total


def test_windows_that_overlap_are_not_taken_for_two() -> None:
    rng = np.random.default_rng(6)
    hole = Hole(20 * WEEK, np.ones(8 * 24))  # longer than a week: every other week only
    found = like_windows(stretch(weeks(42, rng), hole), hole, hole.first + WEEK * np.arange(-52, 53), "up", 0.95)
    assert not isinstance(found, str)
    assert found.count == 20


def test_other_gaps_are_not_taken_for_like_windows() -> None:
    rng = np.random.default_rng(5)
    year = weeks(40, rng)
    hole = Hole(20 * WEEK, np.ones(24))
    own = stretch(year, hole)
    for week in (18, 19, 22):  # whole weeks that look like zero
        own.amount[week * WEEK : week * WEEK + 30] = 0
        own.missing[week * WEEK : week * WEEK + 30] = 1
    found = like_windows(own, hole, hole.first + WEEK * np.arange(-52, 53), "up", 0.95)
    assert not isinstance(found, str)
    assert found.count == 36
    assert found.total > year[hole.rows].sum()
