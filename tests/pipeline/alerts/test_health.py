"""The gateway's own counters: limits, growth, and what a restart is not."""

from __future__ import annotations

from pipeline.alerts.health import Healths, Watch
from tests.pipeline.alerts.walk import CLEAR, FIRING, PENDING, VALUE, in_time, rows, stage, ticks, told
from tests.pipeline.tables import SECOND

COUNTER = 1


def healths(limit: float, sign: float = 1.0, over_s: float = 0.0) -> Healths:
    return Healths([Watch(0, "a.x.alert", COUNTER, limit, sign, round(over_s * SECOND))])


def test_down_for_five_minutes() -> None:
    """Down from 100 s on, seen with the row of 100: pending, and firing five minutes later; up again at 600."""
    down = rows(range(0, 700, 10), COUNTER, [float(100 <= t < 600) for t in range(0, 700, 10)])
    batch = in_time(down, ticks(*[float(t) for t in range(700)]))
    found = told(stage("health", healths(0.0), hold_s=300), [batch])
    assert found == [(100, PENDING), (400, FIRING), (600, CLEAR)]


def test_a_short_break_is_none() -> None:
    down = rows(range(0, 700, 10), COUNTER, [float(100 <= t < 390) for t in range(0, 700, 10)])
    batch = in_time(down, ticks(*[float(t) for t in range(700)]))
    assert told(stage("health", healths(0.0), hold_s=300), [batch]) == [(100, PENDING), (390, CLEAR)]


def test_free_space_is_watched_from_above() -> None:
    found = told(stage("health", healths(512.0, -1.0)), [rows([0, 10, 20], COUNTER, [600.0, 512.0, 511.0])])
    assert found == [(20, FIRING)]


def test_growth_counts_within_its_time() -> None:
    """5 refused at 20 s and 7 at 30 s; over 60 s these are 12 until 80, then 7 until 90, then none."""
    counted = [0.0, 0.0, 5.0, *[12.0] * 9]
    batch = rows(range(0, 120, 10), COUNTER, counted)
    assert told(stage("health", healths(0.0, over_s=60)), [batch]) == [(20, FIRING), (90, CLEAR)]
    assert told(stage("health", healths(10.0, over_s=60)), [batch]) == [(30, FIRING), (80, CLEAR)]
    assert told(stage("health", healths(0.0, over_s=60)), [batch], VALUE)[0] == (20, 5.0)


def test_a_counter_that_begins_anew_has_not_grown() -> None:
    """12 before a restart, 3 after it: nothing; the next two are two. What was there at first is no growth either."""
    batch = rows(range(0, 60, 10), COUNTER, [12.0, 12.0, 3.0, 3.0, 5.0, 5.0])
    assert told(stage("health", healths(0.0, over_s=3_600)), [batch]) == [(40, FIRING)]
    assert told(stage("health", healths(0.0, over_s=3_600)), [batch], VALUE)[0] == (40, 2.0)
