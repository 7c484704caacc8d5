"""Silence by hand: when it is told, when it ends, and what is no silence."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.judged import Places
from pipeline.alerts.stale import Stales
from pipeline.batch import Batch
from pipeline.clock import SECOND_NS
from pipeline.quality import BAD, CLOCK, COMM, LATE, UNCERTAIN
from tests.pipeline.alerts.walk import CLEAR, FIRING, TICK, VALUE, in_time, rows, split, stage, ticks, told

A, B = 1, 2  # points of one device
EVERY = [float(t) for t in range(1_200)]


def stales(after_s: float = 300.0, of: str = "x") -> Stales:
    after = np.array([round(after_s * SECOND_NS)])
    return Stales(np.array([0]), np.array([0]), after, Places({A: 0, B: 0}), TICK, of)


def test_silence_is_told_after_its_time_and_over_with_the_next_reading() -> None:
    """The last reading at 100: stale with the tick at 400, its age 300 s then; good again at 700, seen within 10 s."""
    batch = in_time(rows(range(101), A, [1.0] * 101), rows([700, 701], A, [1.0, 1.0]), ticks(*EVERY[:800]))
    assert told(stage("stale", stales()), [batch]) == [(400, FIRING), (700, CLEAR)]
    assert told(stage("stale", stales()), [batch], VALUE)[0] == (400, 300.0)


def test_before_the_first_reading_silence_counts_from_the_first_tick() -> None:
    assert told(stage("stale", stales()), [ticks(*EVERY[50:400])]) == [(350, FIRING)]


def test_any_point_will_do_but_a_bad_one_says_nothing() -> None:
    bad = rows(range(600), A, [1.0] * 600, BAD | COMM)
    assert told(stage("stale", stales()), [in_time(bad, ticks(*EVERY[:600]))]) == [(300, FIRING)]
    both = in_time(bad, rows(range(0, 600, 200), B, [1.0] * 3, UNCERTAIN), ticks(*EVERY[:600]))
    assert told(stage("stale", stales()), [both]) == []


def test_backfilled_readings_are_not_of_now() -> None:
    """What comes at 500 is of 100 to 200: the device has been silent since 200 then, and stays stale."""
    backfill = rows(range(100, 201), A, [1.0] * 101, LATE)
    batches = [in_time(rows([0], A, [1.0]), ticks(*EVERY[:500])), backfill, ticks(*EVERY[500:600])]
    assert told(stage("stale", stales()), batches) == [(300, FIRING)]


def test_a_clock_that_is_ahead_hides_no_silence() -> None:
    """A reading stamped eight hours ahead counts as of the tick that looked at it; the silence is told once over."""
    ahead = rows([8 * 3_600.0], A, [1.0], CLOCK | UNCERTAIN)
    found = told(stage("stale", stales()), [ticks(0.0), ahead, ticks(*EVERY[1:1_000])])
    assert [status for _, status in found] == [FIRING]
    assert found[0][0] <= 600


def test_a_gateway_that_was_down_heard_nobody() -> None:
    """Two hours without ticks: nothing is told before five minutes of new ticks; what was stale stays it silently."""
    later = [7_200.0 + t for t in range(400)]
    lively = [in_time(rows([0, 90], A, [1.0, 1.0]), ticks(*EVERY[:100])), ticks(*later[:100])]
    assert told(stage("stale", stales()), lively) == []
    assert told(stage("stale", stales()), [*lively, ticks(*later[100:])]) == [(7_500, FIRING)]
    before = [ticks(*EVERY[:400]), ticks(*later)]
    assert told(stage("stale", stales()), before) == [(300, FIRING)]


def test_a_fast_clock_ticks_without_a_break() -> None:
    """At 1000× a tick comes each 250 s of gateway time: that is no break, and the third tells the silence."""
    slow = ticks(*[250.0 * n for n in range(10)])
    assert told(stage("stale", stales()), [slow]) == [(500, FIRING)]


def test_what_lasts_is_told_once_a_minute() -> None:
    ages = told(stage("stale", stales()), [ticks(*EVERY[:500])], VALUE)
    assert [t for t, _ in ages] == [300, 360, 420, 480]
    assert [age for _, age in ages] == [300, 360, 420, 480]


@given(
    st.lists(st.integers(0, 1_100), max_size=8, unique=True),
    st.lists(st.integers(0, 3_000), max_size=6),
    st.sampled_from([30.0, 300.0]),
)
def test_however_rows_are_batched_the_transitions_are_the_same(
    readings: list[int], cuts: list[int], after_s: float
) -> None:
    batch: Batch = in_time(rows(sorted(readings), A, [1.0] * len(readings)), ticks(*EVERY))
    whole = told(stage("stale", stales(after_s)), [batch])
    assert told(stage("stale", stales(after_s)), split(batch, cuts)) == whole
    assert all(a[1] != b[1] for a, b in itertools.pairwise(whole))
