"""What units that do not answer cost the others: a tenth of the time at most, in turn; nothing while all are down."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.line_rest import BREAKER, SHARE, Rest

DEADLINE_S = 1.0


def attempts(rest: Rest, dead: list[str], well: list[str], period_s: float, seconds: float) -> dict[str, list[float]]:
    """Return when each dead unit was asked, on a clock that goes from cycle to cycle; an attempt takes a deadline."""
    asked: dict[str, list[float]] = {unit: [] for unit in dead}
    for unit in dead + well:
        rest.enrol(unit, DEADLINE_S)
    now = 0.0
    while now < seconds:
        begin = now
        for unit in dead:
            if rest.allows(unit, now):
                asked[unit].append(now)
                now += DEADLINE_S
                rest.waited(unit, DEADLINE_S, now)
        for unit in well:
            assert rest.allows(unit, now)
            rest.answered(unit)
        now = max(now, begin + period_s)
    return asked


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.floats(0.2, 20))
def test_the_dead_cost_a_tenth_at_most_and_none_is_forgotten(dead: int, well: int, period_s: float) -> None:
    seconds = 2_000.0
    names = [f"dead-{n}" for n in range(dead)]
    asked = attempts(Rest(60.0), names, [f"well-{n}" for n in range(well)], period_s, seconds)
    # Three attempts each at most are free before a unit is rested.
    assert sum(map(len, asked.values())) * DEADLINE_S <= SHARE * seconds + 3 * dead * DEADLINE_S
    longest = 2 * dead * DEADLINE_S / SHARE + 2 * period_s
    for times in asked.values():
        assert max(b - a for a, b in itertools.pairwise(times)) <= longest


def test_while_all_are_down_nobody_is_passed_over_and_the_first_answer_frees_all() -> None:
    rest = Rest(60.0)
    units = ["a", "b", "c"]
    for unit in units:
        rest.enrol(unit, DEADLINE_S)
    for now in range(100):
        for unit in units:
            assert rest.allows(unit, now)
            rest.waited(unit, DEADLINE_S, now)
    rest.answered("b")
    assert all(rest.allows(unit, 100.0) for unit in units)


def test_a_unit_that_answers_every_other_time_is_rested_too() -> None:
    rest = Rest(60.0)
    for unit in ("moody", "well"):
        rest.enrol(unit, DEADLINE_S)
    wasted = turn = 0
    for second in range(0, 4_000, 2):
        rest.answered("well")
        if rest.allows("moody", second):
            turn += 1
            if turn % 2:
                wasted += 1
                rest.waited("moody", DEADLINE_S, second + DEADLINE_S)
            else:
                rest.answered("moody")
    assert wasted * DEADLINE_S <= SHARE * 4_000 + 3 * DEADLINE_S
    assert turn > 300


def test_who_fails_cycle_after_cycle_rests_longer_each_time_until_the_line_is_back() -> None:
    rest = Rest(8.0)
    for unit in ("a", "b"):
        rest.enrol(unit, DEADLINE_S)
    assert [rest.failed("a", 0.0) for _ in range(BREAKER)] == [False] * (BREAKER - 1) + [True]
    assert not rest.allows("a", 0.1)
    assert rest.allows("b", 0.1)
    assert rest.allows("a", 8.0)
    for unit in ("a", "b"):
        rest.waited(unit, DEADLINE_S, 0.0)
        rest.failed(unit, 0.0)
    assert not rest.allows("a", 0.1)
    rest.answered("b")  # all were silent: it was the line, and a is asked again at once
    assert rest.allows("a", 0.1)
    assert rest.failed("a", 0.1)  # but rests with its next failure
    rest.well("a")
    assert rest.allows("a", 0.1)
    assert rest.failures("a") == 0
