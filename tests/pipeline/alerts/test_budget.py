"""Months by hand: what is used, what the rest will bring, and the months that are longer or shorter than they seem."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.budget import Budgets, Plan
from pipeline.batch import DERIVED, Batch, Header, make
from pipeline.calendar import DAY_NS, Calendar
from pipeline.quality import BAD
from tests.pipeline.alerts.walk import CLEAR, EXCESS, FIRING, STATE, TICK, VALUE, in_time, split, stage, told
from tests.pipeline.tables import HEADER, HOUR, SECOND, START

MAIN, OTHER = 1, 2
DAY_S = 86_400
FROM_METER = Header("m", 1, "boot", START, 0, DERIVED)


def budgets(limit: float, after_days: float = 3.0, zone: str = "UTC", is_energy: bool = True) -> Budgets:
    plan = Plan(0, "a.x.alert", (MAIN, OTHER), limit, round(after_days * DAY_NS), is_energy)
    return Budgets([plan], Calendar(ZoneInfo(zone), "month"), TICK)


def hours(begin_ns: int, kw: float, n: int, series: int = MAIN, quality: int = 0) -> Batch:
    """Return n hours of an energy at a steady power."""
    ends = [begin_ns + (k + 1) * HOUR for k in range(n)]
    return make(FROM_METER, ends, [series] * n, kw, quality, HOUR)


def daily(begin_ns: int, n: int) -> Batch:
    """Return a tick at the end of each of n days, a second after it."""
    return make(HEADER, [begin_ns + (k + 1) * DAY_NS + SECOND for k in range(n)], [TICK] * n, 0.0)


def days(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(round(t / DAY_S, 2), value) for t, value in found]


def test_a_months_projection_at_a_steady_load() -> None:
    """January 2018 has 744 h: 100 kW are 74,400 kWh. A limit of 74,000 is crossed, and said once three days are over.

    The excess is 400 kWh over the 28 days left: 0.595 kW less would keep to the plan.
    """
    month = in_time(hours(START, 100.0, 24 * 10), daily(START, 10))
    alerts = stage("budget", budgets(74_000))
    assert days(told(alerts, [month])) == [(3, FIRING)]
    assert told(alerts, [month], VALUE)[0][1] == pytest.approx(74_400)
    assert told(alerts, [month], EXCESS)[0][1] == pytest.approx(400 / (28 * 24), rel=1e-4)
    assert told(stage("budget", budgets(74_500)), [month]) == []
    assert told(stage("budget", budgets(74_000, is_energy=False)), [month], EXCESS) == []


def test_only_the_last_seven_days_say_what_comes() -> None:
    """100 kW for ten days, then 50: after 17.5 days at the latest only 50 kW count.

    So far 24,000 + 7 · 1,200 = 32,400 kWh on the 17th day; 14 days · 1,200 come: 49,200 kWh.
    """
    month = in_time(hours(START, 100.0, 240), hours(START + 10 * DAY_NS, 50.0, 24 * 8), daily(START, 18))
    found = dict(days(told(stage("budget", budgets(1.0)), [month], VALUE)))
    assert found[17.0] == pytest.approx(49_200, rel=1e-6)


def test_holes_are_not_taken_for_rest() -> None:
    """100 kW, but nothing is known of days 2 to 4: the mean is still 100 kW, over the time that is covered."""
    month = in_time(hours(START, 100.0, 24), hours(START + 4 * DAY_NS, 100.0, 24), daily(START, 5))
    found = told(stage("budget", budgets(1.0)), [month], VALUE)
    assert found[-1] == (5 * DAY_S + 1, pytest.approx(2 * 2_400 + 100 * 24 * 26))


def test_points_add_up_each_with_its_own_mean() -> None:
    both = in_time(hours(START, 100.0, 96), hours(START + 3 * DAY_NS, 50.0, 24, OTHER), daily(START, 4))
    assert told(stage("budget", budgets(1.0)), [both], VALUE)[-1][1] == pytest.approx(100 * 31 * 24 + 50 * 28 * 24)


def test_what_is_used_up_needs_no_projection() -> None:
    """1,000 kWh are used up with the tenth hour; told on the first day, whose value is what has been used."""
    month = in_time(hours(START, 100.0, 48), daily(START, 2))
    assert days(told(stage("budget", budgets(1_000.0)), [month])) == [(1, FIRING)]
    assert told(stage("budget", budgets(1_000.0)), [month], VALUE)[0][1] == pytest.approx(2_400)


def test_bad_amounts_do_not_count() -> None:
    month = in_time(hours(START, 100.0, 120, quality=BAD), daily(START, 5))
    assert told(stage("budget", budgets(1.0)), [month]) == []


def local(zone: str, year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("zone", "year", "month", "length_h"),
    [
        ("Europe/Berlin", 2024, 3, 743),  # clocks go forward
        ("Europe/Berlin", 2024, 10, 745),  # and back
        ("Asia/Shanghai", 2023, 12, 744),  # ends at 16:00 UTC of the 31st
        ("America/New_York", 2024, 2, 696),  # a leap year
    ],
)
def test_a_month_is_as_long_as_its_clocks_say(zone: str, year: int, month: int, length_h: int) -> None:
    begin = local(zone, year, month, 1)
    batch = in_time(hours(begin, 10.0, 24 * 5), daily(begin, 5))
    found = told(stage("budget", budgets(1.0, zone=zone)), [batch], VALUE)
    assert found[-1][1] == pytest.approx(10 * length_h)


def test_a_new_month_begins_with_nothing() -> None:
    """The alert of December ends with it, at midnight of the site; an hour over the edge is shared by time."""
    begin = local("Asia/Shanghai", 2023, 12, 27)
    end = local("Asia/Shanghai", 2024, 1, 1)
    over = make(FROM_METER, [end + HOUR // 2], [MAIN], 10.0, 0, HOUR)
    january = hours(end + HOUR // 2, 10.0, 24)
    batch = in_time(hours(begin, 10.0, 24 * 5), daily(begin, 4), over, january, daily(end, 4))
    found = told(stage("budget", budgets(500.0, zone="Asia/Shanghai")), [batch], STATE)
    assert [status for _, status in found] == [FIRING, CLEAR, FIRING]
    assert found[1][0] * SECOND + START == end
    state, _ = budgets(500.0, zone="Asia/Shanghai").fold({}, in_time(hours(begin, 10.0, 120), over))
    assert state["so_far"] == {str(MAIN): pytest.approx(5.0)}


@given(
    st.lists(st.tuples(st.integers(60, 40 * 3_600), st.floats(0, 500), st.booleans()), min_size=1, max_size=40),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_however_rows_are_batched_the_transitions_are_the_same(
    steps: list[tuple[int, float, bool]], cuts: list[int]
) -> None:
    """Intervals of any length, some of them missing; and what is so far is the sum of what fell in the month."""
    begin = at = START + 29 * DAY_NS
    known = []
    for seconds, kwh, there in steps:
        known += [(at, at + seconds * SECOND, kwh)] if there else []
        at += seconds * SECOND
    ends, spans = [b for _, b, _ in known], [b - a for a, b, _ in known]
    energy = make(FROM_METER, ends, [MAIN] * len(known), [kwh for *_, kwh in known], 0, spans)
    batch = in_time(energy, daily(begin, (at - begin) // DAY_NS + 1))
    for series in (STATE, VALUE):
        whole = told(stage("budget", budgets(5_000.0)), [batch], series)
        assert told(stage("budget", budgets(5_000.0)), split(batch, cuts), series) == whole
    state, _ = budgets(5_000.0).fold({}, batch)
    start, end = state["month"]
    mine = [kwh * max(0, min(b, end) - max(a, start)) / (b - a) for a, b, kwh in known]
    assert sum(state["so_far"].values()) == pytest.approx(sum(mine))
