"""Running quarter hours by hand: what they will end with, what is unknown, and that a new one begins anew."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.demand import Course, Demands, Interval
from pipeline.calendar import Calendar
from pipeline.quality import BAD, CLOCK, UNCERTAIN
from tests.pipeline.alerts.walk import CLEAR, EXCESS, FIRING, TICK, VALUE, at, in_time, rows, split, stage, ticks, told
from tests.pipeline.tables import HOUR, SECOND

POWER = 1
QUARTER = 900


def demands(limit_kw: float = 100.0, after_share: float = 0.2, every: str = "15min", zone: str = "UTC") -> Demands:
    calendar = Calendar(ZoneInfo(zone), every)
    return Demands([Interval(0, "a.x.alert", POWER, 60 * SECOND, calendar, limit_kw, after_share)], TICK)


def test_a_load_above_the_limit_is_told_when_its_share_of_the_interval_is_over() -> None:
    """120 kW from the beginning, samples each 10 s: the projection is 120 at once, said at 20 % of 900 s = 180 s."""
    steady = rows(range(0, 600, 10), POWER, [120.0] * 60)
    assert told(stage("demand", demands()), [steady]) == [(180, FIRING)]
    assert told(stage("demand", demands()), [steady], VALUE)[0] == (180, pytest.approx(120))
    assert told(stage("demand", demands()), [steady], EXCESS)[0] == (180, pytest.approx(20))


def test_what_was_used_so_far_counts() -> None:
    """60 kW for 600 s are 10 kWh. At 180 kW for the other 300 s there come 15 more: 25 kWh in a quarter are 100 kW.

    The rise lasts from 600 to 610 s: (60 + 184) / 2 · 10 s = 0.34 kWh, and 184 kW · 290 s = 14.82: 100.6 kW in all.
    """
    rising = [60.0] * 61 + [184.0] * 5
    found = told(stage("demand", demands()), [rows(range(0, 660, 10), POWER, rising)], VALUE)
    kwh = 60 * 600 / 3_600 + (60 + 184) / 2 * 10 / 3_600
    assert found[0] == (610, pytest.approx((kwh + 184 * 290 / 3_600) / 0.25))
    assert told(stage("demand", demands()), [rows(range(0, 660, 10), POWER, [60.0] * 61 + [179.0] * 5)]) == []


def test_it_is_over_when_the_load_goes_down_and_at_the_latest_with_its_interval() -> None:
    """After 300 s at 200 kW (16.7 of 25 kWh) 50 kW are (16.7 + 8.3) / 0.25 = 100: between; 30 kW are below 95."""
    down = rows(range(0, 900, 10), POWER, [200.0] * 31 + [50.0] * 20 + [30.0] * 39)
    found = told(stage("demand", demands()), [down])
    assert [status for _, status in found] == [FIRING, CLEAR]
    assert found[1][0] >= 510
    high = in_time(rows(range(0, 901, 10), POWER, [200.0] * 91), ticks(899.5, 900.5, 901.0))
    assert told(stage("demand", demands()), [high]) == [(180, FIRING), (900, CLEAR)]


def test_the_end_of_an_interval_needs_no_sample() -> None:
    """The power falls silent: the interval's end is told by a tick, at the time it had."""
    steady = rows(range(0, 400, 10), POWER, [200.0] * 40)
    batches = [steady, ticks(899.0, 900.0, 901.0, 902.0)]
    assert told(stage("demand", demands()), batches) == [(180, FIRING), (900, CLEAR)]


def test_a_hole_means_unknown() -> None:
    """Nothing from 100 to 500 s: of the elapsed time never 80 % are known. After a hole of 64 s they are."""
    holed = rows([*range(0, 101, 10), *range(500, 900, 10)], POWER, [120.0] * 51)
    assert told(stage("demand", demands()), [holed]) == []
    small = rows([*range(0, 301, 10), *range(365, 900, 10)], POWER, [90.0] * 31 + [150.0] * 54)
    found = told(stage("demand", demands()), [small], VALUE)
    assert found[0] == (365, pytest.approx((90 / 3_600 * 365 + 150 / 3_600 * 535) / 0.25))  # the hole is like the rest


def test_bad_samples_and_those_of_an_untrusted_clock_say_nothing() -> None:
    for quality in (BAD, CLOCK | UNCERTAIN):
        assert told(stage("demand", demands()), [rows(range(0, 600, 10), POWER, [120.0] * 60, quality)]) == []


def test_a_sample_over_the_edge_counts_from_it_on() -> None:
    """From 40 kW at 885 s to 100 kW at 915 s: at the edge 70 kW, so the new quarter has 15 s of (70 + 100) / 2."""
    course = Course().into(demands().intervals[0], at(885)).sampled(60 * SECOND, at(885), 40.0)
    course = course.into(demands().intervals[0], at(915)).sampled(60 * SECOND, at(915), 100.0)
    assert (course.start, course.covered) == (at(900), 15 * SECOND)
    assert course.kwh == pytest.approx(85 * 15 / 3_600)


def test_intervals_are_those_of_the_sites_clock() -> None:
    """An hour of Kathmandu (UTC+5:45) begins at :15 UTC; 45 minutes of an hour that began before START are unknown."""
    calendar = demands(every="60min", zone="Asia/Kathmandu").intervals[0]
    course = Course().into(calendar, at(10))
    assert (course.start, course.end) == (at(0) - HOUR * 3 // 4, at(0) + HOUR // 4)


@given(
    st.lists(st.tuples(st.integers(1, 90), st.floats(0, 300)), min_size=2, max_size=40),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_however_rows_are_batched_the_transitions_are_the_same(steps: list[tuple[int, float]], cuts: list[int]) -> None:
    """And the energy counted is never more than the greatest power over the time covered."""
    times = [sum(dt for dt, _ in steps[: n + 1]) for n in range(len(steps))]
    batch = in_time(rows(times, POWER, [kw for _, kw in steps]), ticks(*[float(t) for t in range(0, times[-1], 7)]))
    whole = told(stage("demand", demands()), [batch])
    assert told(stage("demand", demands()), split(batch, cuts)) == whole
    state, _ = demands().fold({}, batch)
    course = Course(*state["a.x.alert"])
    assert 0 <= course.covered <= QUARTER * SECOND
    assert course.kwh <= max(kw for _, kw in steps) * course.covered / HOUR + 1e-9
