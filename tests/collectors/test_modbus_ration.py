"""What units that do not answer cost the others: a tenth of the time at most, in turn; nothing while all are down."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.modbus_ration import SHARE, Ration

DEADLINE_S = 1.0


def attempts(
    ration: Ration, dead: list[str], well: list[str], period_s: float, seconds: float
) -> dict[str, list[float]]:
    """Return when each dead unit was asked, on a clock that goes from cycle to cycle; an attempt takes a deadline."""
    asked: dict[str, list[float]] = {unit: [] for unit in dead}
    for unit in dead + well:
        ration.enrol(unit)
    now = 0.0
    while now < seconds:
        begin = now
        for unit in dead:
            if ration.allows(unit, now):
                asked[unit].append(now)
                now += DEADLINE_S
                ration.waited(unit, DEADLINE_S, now)
        for unit in well:
            assert ration.allows(unit, now)
            ration.answered(unit)
        now = max(now, begin + period_s)
    return asked


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.floats(0.2, 20))
def test_the_dead_cost_a_tenth_at_most_and_none_is_forgotten(dead: int, well: int, period_s: float) -> None:
    seconds = 2_000.0
    names = [f"dead-{n}" for n in range(dead)]
    asked = attempts(Ration(DEADLINE_S), names, [f"well-{n}" for n in range(well)], period_s, seconds)
    # Three attempts each at most are free before a unit is rationed.
    assert sum(map(len, asked.values())) * DEADLINE_S <= SHARE * seconds + 3 * dead * DEADLINE_S
    longest = 2 * dead * DEADLINE_S / SHARE + 2 * period_s
    for times in asked.values():
        assert max(b - a for a, b in itertools.pairwise(times)) <= longest


def test_while_all_are_down_nobody_is_passed_over_and_the_first_answer_frees_all() -> None:
    ration = Ration(DEADLINE_S)
    units = ["a", "b", "c"]
    for unit in units:
        ration.enrol(unit)
    for now in range(100):
        for unit in units:
            assert ration.allows(unit, now)
            ration.waited(unit, DEADLINE_S, now)
    ration.answered("b")
    assert all(ration.allows(unit, 100.0) for unit in units)
    assert not ration.costs


def test_a_unit_that_answers_every_other_time_is_rationed_too() -> None:
    ration = Ration(DEADLINE_S)
    for unit in ("moody", "well"):
        ration.enrol(unit)
    wasted = turn = 0
    for second in range(0, 4_000, 2):
        ration.answered("well")
        if ration.allows("moody", second):
            turn += 1
            if turn % 2:
                wasted += 1
                ration.waited("moody", DEADLINE_S, second + DEADLINE_S)
            else:
                ration.answered("moody")
    assert wasted * DEADLINE_S <= SHARE * 4_000 + 3 * DEADLINE_S
    assert turn > 300
