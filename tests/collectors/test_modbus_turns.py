"""Who is due when: every unit once in its period, whatever the periods, and through pauses of the gateway."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.modbus import tick_s
from collectors.modbus_deadlines import Deadlines
from collectors.modbus_turns import Turns

PERIODS = st.lists(st.sampled_from([0.5, 1.0, 7.0, 60.0]), min_size=1, max_size=12)


class Due:
    """Stands for a unit: what the schedule knows of it."""

    def __init__(self, period_s: float, link: int) -> None:
        self.period_s, self.link = period_s, link
        self.first_slot_s = self.due_s = 0.0
        self.passed = 0
        self.read: list[float] = []

    def skipped(self) -> None:
        self.passed += 1


@pytest.mark.parametrize(
    ("periods_s", "expected_s"),
    [
        ((60.0, 7.0), 0.05),
        ((60.0, 1.0), 1 / 24),  # a unit that is read each second is met within 42 ms
        ((0.48,), 0.02),
        ((0.1,), 0.02),
        ((0.02,), 0.005),
        ((0.0004,), 0.001),
        ((), 0.05),
    ],
)
def test_units_are_met_as_finely_as_the_shortest_period_needs(periods_s: tuple[float, ...], expected_s: float) -> None:
    assert tick_s(periods_s) == pytest.approx(expected_s)


@given(PERIODS, st.integers(1, 3))
def test_every_unit_is_read_at_its_slots(periods: list[float], links: int) -> None:
    units: list[Any] = [Due(period, number % links) for number, period in enumerate(periods)]
    turns: Any = Turns(units, 0.0)
    now = 0.0
    while now < 200.0:
        last = turns.next_s
        for unit in turns.due(now):
            unit.read.append(now)
        assert turns.next_s > last or now == 0.0
        now = turns.next_s
    for unit in units:
        slots = [unit.first_slot_s + n * unit.period_s for n in range(int((200.0 - unit.first_slot_s) / unit.period_s))]
        assert unit.read[0] <= 10.0 or unit.period_s <= 10.0
        assert {round(slot, 6) for slot in slots[1:]} <= {round(at, 6) for at in unit.read}
        assert unit.passed == 0


@given(PERIODS, st.floats(0.1, 6.9))
def test_whoever_was_due_first_is_read_first_whatever_the_periods(periods: list[float], pause_s: float) -> None:
    units: list[Any] = [Due(period, number % 2) for number, period in enumerate(periods)]
    turns: Any = Turns(units, 0.0)
    now = 0.0
    while now < 50.0:
        slots = {id(unit): unit.due_s for unit in units}
        read = [slots[id(unit)] for unit in turns.due(now)]
        assert read == sorted(read)
        now = turns.next_s + pause_s


@given(PERIODS, st.floats(0.1, 300.0))
def test_after_a_pause_each_is_read_once_and_told_of_it(periods: list[float], pause_s: float) -> None:
    units: list[Any] = [Due(period, 0) for period in periods]
    turns = Turns(units, 0.0)
    list(turns.due(500.0))
    now = 500.0 + pause_s
    read = list(turns.due(now))
    assert len(read) == len({id(unit) for unit in read})
    assert all(unit.due_s > now for unit in units)
    assert turns.next_s == min(unit.due_s for unit in units)


def begin(deadlines: Deadlines, waiting: Waiting, until_s: float) -> None:
    waiting.until_s = until_s
    deadlines.waiting[waiting] = None


class Waiting:
    until_s = 0.0
    expired = 0

    def expire(self) -> None:
        self.expired += 1


def test_an_answer_that_is_here_after_a_pause_is_not_late() -> None:
    deadlines, one = Deadlines(0.02), Waiting()
    patience_s = deadlines.enrol(1.0)
    begin(deadlines, one, 100.0 + patience_s)
    assert deadlines.sweep(100.0) <= 100.0 + patience_s
    assert deadlines.sweep(130.0) == 131.0  # nobody has looked at what has come meanwhile
    assert not one.expired
    deadlines.sweep(131.03)
    assert one.expired == 1
    deadlines.sweep(140.0)
    assert one.expired == 1


def test_a_sweep_that_is_always_late_expires_all_the_same() -> None:
    deadlines, one, now = Deadlines(0.02), Waiting(), 0.0
    begin(deadlines, one, now + deadlines.enrol(1.0))
    while now < 1.4:
        now = deadlines.sweep(now) + 0.1
    assert one.expired == 1


def test_who_was_answered_does_not_expire() -> None:
    deadlines, one, other = Deadlines(0.02), Waiting(), Waiting()
    patience_s = deadlines.enrol(1.0)
    begin(deadlines, one, 5.0 + patience_s)
    begin(deadlines, other, 5.5 + patience_s)
    one.until_s = 0.0
    assert deadlines.sweep(5.9) == 5.5 + patience_s
    deadlines.sweep(deadlines.sweep(5.5 + patience_s))
    assert one.expired == 0
    assert other.expired == 1
