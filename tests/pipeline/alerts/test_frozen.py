"""Devices that answer with the same values for ever, by hand; and those that only look like it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts.frozen import Frozens
from pipeline.alerts.judged import Places
from pipeline.alerts.stale import Stales
from pipeline.batch import Batch
from pipeline.clock import SECOND_NS
from pipeline.quality import BAD, LATE
from tests.pipeline.alerts.walk import CLEAR, FIRING, TICK, VALUE, in_time, rows, split, stage, ticks, told

VOLTAGE, POWER, COUNTER, STATE_POINT = 1, 2, 3, 4
PLACES = Places({VOLTAGE: 0, POWER: 0, COUNTER: 0})
LONG = 1_400
EVERY = [float(t) for t in range(LONG)]


def frozens(after_s: float = 900.0) -> Frozens:
    after = np.array([round(after_s * SECOND_NS)])
    silent = np.array([300 * SECOND_NS])
    return Frozens(np.array([0]), np.array([0]), after, silent, PLACES, TICK, "x")


def polled(series: int, values: Sequence[float], begin: int = 0, quality: int = 0) -> Batch:
    """Return a reading each second from `begin` on, a tenth after the tick."""
    return rows([begin + n + 0.1 for n in range(len(values))], series, values, quality)


def moving(n: int) -> list[float]:
    return [230.0 + (t % 2) / 10 for t in range(n)]


def machine(voltage: Sequence[float], power: Sequence[float]) -> Batch:
    return in_time(polled(VOLTAGE, voltage), polled(POWER, power), ticks(*EVERY))


def test_a_device_whose_values_all_stand_still_is_frozen() -> None:
    """Still from 100 s on: told after 900 s, and at most two looks of 60 s later."""
    voltage = [*moving(100), *[230.0] * (LONG - 100)]
    power = [*[float(t) for t in range(100)], *[7.0] * (LONG - 100)]
    ((when, status),) = told(stage("frozen", frozens()), [machine(voltage, power)])
    assert status == FIRING
    assert 1_000 <= when <= 1_000 + 60 + 10
    value = told(stage("frozen", frozens()), [machine(voltage, power)], VALUE)[0]
    assert value == (when, 900.0 + value[1] % 5)  # told at a look, five seconds apart


def test_it_is_over_with_the_first_other_value() -> None:
    voltage = [*[230.0] * 1_200, *moving(LONG - 1_200)]
    found = told(stage("frozen", frozens()), [machine(voltage, [7.0] * LONG)])
    assert [status for _, status in found] == [FIRING, CLEAR]
    assert 1_200 <= found[1][0] <= 1_206  # looks are five seconds apart


def test_a_stopped_machine_whose_voltage_moves_is_not_frozen() -> None:
    assert told(stage("frozen", frozens()), [machine(moving(LONG), [0.0] * LONG)]) == []


def test_a_counter_that_advances_is_a_change() -> None:
    counted = [n // 50 * 1.0 for n in range(LONG)]
    batch = in_time(machine([230.0] * LONG, [7.0] * LONG), polled(COUNTER, counted))
    assert told(stage("frozen", frozens()), [batch]) == []


def test_states_are_not_asked() -> None:
    """A state that changes proves nothing of what is measured."""
    batch = in_time(machine([230.0] * LONG, [7.0] * LONG), polled(STATE_POINT, moving(LONG)))
    assert [status for _, status in told(stage("frozen", frozens()), [batch])] == [FIRING]


def test_a_silent_device_is_stale_and_not_frozen() -> None:
    """Still from the beginning, silent from 1000 on: frozen until it is stale, at 1300; never both."""
    readings = in_time(polled(VOLTAGE, [230.0] * 1_000), polled(POWER, [7.0] * 1_000))
    batch = in_time(readings, ticks(*EVERY))
    frozen = told(stage("frozen", frozens()), [batch])
    after = np.array([300 * SECOND_NS])
    stale = told(stage("stale", Stales(np.array([0]), np.array([0]), after, PLACES, TICK, "x")), [batch])
    assert [status for _, status in frozen] == [FIRING, CLEAR]
    assert [status for _, status in stale] == [FIRING]
    assert 0 <= frozen[1][0] - stale[0][0] <= 5


def test_readings_that_fail_are_not_still() -> None:
    bad = in_time(polled(VOLTAGE, [230.0] * LONG, 0, BAD), polled(POWER, [7.0] * LONG, 0, BAD), ticks(*EVERY))
    assert told(stage("frozen", frozens()), [bad]) == []


def test_late_readings_neither_begin_nor_end_it() -> None:
    """Values of the past that differ come late while the device is frozen: it still is."""
    late = rows([1_100.5 + n / 100 for n in range(10)], VOLTAGE, moving(10), LATE)
    batch = in_time(machine([230.0] * LONG, [7.0] * LONG), late)
    assert [status for _, status in told(stage("frozen", frozens()), [batch])] == [FIRING]


def test_the_state_holds_the_values_of_few_devices() -> None:
    """Of 600 devices that all move only those that are looked at have values remembered: a twelfth, or less."""
    n = 600
    devices = Places({series: series - 1_000 for series in range(1_000, 1_000 + n)})
    number = np.arange(n)
    condition = Frozens(
        number, number, np.full(n, 900 * SECOND_NS), np.full(n, 300 * SECOND_NS), devices, TICK, "x"
    )  # fmt: skip
    state: dict[str, Any] = {}
    most = 0
    for t in range(70):
        readings = [rows([t + 0.5], series, [float(t)]) for series in range(1_000, 1_000 + n)]
        for batch in (ticks(float(t)), in_time(*readings)):
            state, _ = condition.fold(state, batch)
        most = max(most, len(state["still"][3]))
    assert 0 < most <= n / 12
    assert len(orjson.dumps(state, option=orjson.OPT_SERIALIZE_NUMPY)) < 60 * n


@settings(max_examples=20)
@given(
    st.integers(0, 300),
    st.integers(0, 60),
    st.lists(st.integers(0, 3 * LONG), max_size=6),
    st.sampled_from([150.0, 900.0]),
)
def test_however_rows_are_batched_the_transitions_are_the_same(
    still_from: int, wakes: int, cuts: list[int], after_s: float
) -> None:
    """Moves until `still_from`, then stands; may wake up again near the end."""
    voltage = [*moving(still_from), *[230.0] * (LONG - still_from - wakes), *moving(wakes)]
    batch = machine(voltage, [7.0] * LONG)
    whole = told(stage("frozen", frozens(after_s)), [batch])
    assert told(stage("frozen", frozens(after_s)), split(batch, cuts)) == whole
    assert whole[0][1] == FIRING
    assert still_from + after_s - 1 <= whole[0][0] <= still_from + after_s + 2 * after_s / 15 + 6
