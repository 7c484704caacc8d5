"""Figures over windows of amounts: known answers, late data, what is bad or missing, and any batches."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import quality as q
from pipeline.batch import concat
from tests.pipeline.kpis import (
    GAS,
    MASS,
    MINUTE,
    OTHER,
    OUT,
    POWER,
    QUARTER,
    amount,
    rows,
    stage,
    through_json,
    tick,
)
from tests.pipeline.tables import HEADER, HOUR, SECOND, START


def test_kwh_per_tonne_of_a_full_hour() -> None:
    """2 · 165 kWh of gas in two half hours, 1.1 t in one hour: 330 / 1.1 = 300 kWh/t, all of the hour covered."""
    half = HOUR // 2
    found = rows(
        stage(),
        amount(GAS, START + half, half, 165.0),
        amount(GAS, START + HOUR, half, 165.0),
        amount(MASS, START + HOUR, HOUR, 1.1),
        tick(START + HOUR + 30 * SECOND),
    )
    assert found == [("share", START + HOUR, 1.0, 0), ("kWh/t", START + HOUR, pytest.approx(300.0), 0)]


def test_completeness_is_the_least_share_of_any_input() -> None:
    """Mass covers 60 of 60 minutes, gas 40, power 45: 40/60; energy is what was measured: (200 + 100) / 2."""
    found = rows(
        stage([GAS, POWER]),
        amount(MASS, START + HOUR, HOUR, 2.0),
        amount(GAS, START + 40 * MINUTE, 40 * MINUTE, 200.0),
        amount(POWER, START + 45 * MINUTE, 45 * MINUTE, 100.0),
        tick(START + 2 * HOUR),
    )
    assert found == [("share", START + HOUR, pytest.approx(40 / 60), 0), ("kWh/t", START + HOUR, 150.0, 0)]


def test_a_dead_device_lowers_completeness_and_holds_nothing_back() -> None:
    """The power meter says nothing for the whole hour; its window closes with the tick all the same."""
    found = rows(
        stage([GAS, POWER]),
        amount(MASS, START + HOUR, HOUR, 2.0),
        amount(GAS, START + HOUR, HOUR, 500.0),
        tick(START + HOUR + 30 * SECOND),
    )
    assert found == [("share", START + HOUR, 0.0, 0), ("kWh/t", START + HOUR, 250.0, 0)]


def test_a_window_in_which_nothing_came_is_told_as_empty() -> None:
    """Every device is silent for two hours, the gateway is not: its ticks say that the hours passed."""
    ticks = [tick(START + minute * MINUTE) for minute in range(1, 122)]
    assert rows(stage(), *ticks) == [("share", START + HOUR, 0.0, 0), ("share", START + 2 * HOUR, 0.0, 0)]


def test_without_product_there_is_no_intensity_only_a_completeness() -> None:
    inputs = [amount(GAS, START + HOUR, HOUR, 50.0), amount(MASS, START + HOUR, HOUR, 0.0)]
    assert rows(stage(), *inputs, tick(START + 2 * HOUR)) == [("share", START + HOUR, 1.0, 0)]


def test_only_ticks_close_a_window() -> None:
    """Later amounts, however late, close nothing; a tick before the end and grace neither; the tick at it does."""
    full = [amount(GAS, START + HOUR, HOUR, 100.0), amount(MASS, START + HOUR, HOUR, 1.0)]
    later = [amount(GAS, START + 9 * HOUR, QUARTER, 1.0)]
    assert rows(stage(), *full, *later, tick(START + HOUR + 30 * SECOND - 1)) == []
    assert len(rows(stage(), *full, *later, tick(START + HOUR + 30 * SECOND))) == 2


def test_windows_begun_under_another_calendar_are_given_up() -> None:
    """Fifty minutes of an hour's window are no quarter of an hour: the new windows hold only what comes from now on."""
    state: dict[str, Any] = {}
    for series in (GAS, MASS):
        batch = amount(series, START + 50 * MINUTE, 50 * MINUTE, 1.0)
        state, _ = stage().fold(state, batch, OUT)
    quarters = stage(length_ns=QUARTER)
    state, out = quarters.fold(state, tick(START + 51 * MINUTE), OUT)
    assert len(out) == 0
    state, out = quarters.fold(state, tick(START + 61 * MINUTE), OUT)
    assert (out.time_ns.tolist(), out.value.tolist()) == ([START + HOUR], [0.0])


def test_an_interval_over_two_windows_is_shared_by_time() -> None:
    """120 kWh from 00:30 to 02:00: 40 belong before 01:00, 80 after."""
    found = rows(
        stage(),
        amount(MASS, START + 2 * HOUR, 2 * HOUR, 4.0),
        amount(GAS, START + 2 * HOUR, 3 * HOUR // 2, 120.0),
        tick(START + 3 * HOUR),
    )
    assert found == [
        ("share", START + HOUR, 0.5, 0),
        ("kWh/t", START + HOUR, pytest.approx(20.0), 0),
        ("share", START + 2 * HOUR, 1.0, 0),
        ("kWh/t", START + 2 * HOUR, pytest.approx(40.0), 0),
    ]


def test_what_comes_late_opens_its_window_again() -> None:
    """100 kWh and 1 t in time, 5 kWh an hour late: 100 kWh/t, then 105 on the same series and time, told once."""
    found = rows(
        stage(),
        amount(GAS, START + HOUR, HOUR // 2, 100.0),
        amount(MASS, START + HOUR, HOUR, 1.0),
        tick(START + HOUR + 30 * SECOND),
        amount(GAS, START + HOUR // 2, HOUR // 2, 5.0),
        tick(START + 2 * HOUR),
        tick(START + 2 * HOUR + 20 * SECOND),
    )
    assert found == [
        ("share", START + HOUR, 0.5, 0),
        ("kWh/t", START + HOUR, 100.0, 0),
        ("share", START + HOUR, 1.0, 0),
        ("kWh/t", START + HOUR, 105.0, 0),
    ]


def test_an_older_window_told_again_is_late() -> None:
    """Both hours were told when the first changes: its rows are late, so nobody takes them for the latest."""
    found = rows(
        stage(),
        tick(START + 1),
        tick(START + HOUR + 1),
        tick(START + 2 * HOUR + MINUTE),
        amount(MASS, START + HOUR, HOUR, 1.0),
        tick(START + 2 * HOUR + 2 * MINUTE),
    )
    assert found[-2:] == [("share", START + HOUR, 0.0, q.LATE), ("kWh/t", START + HOUR, 0.0, q.LATE)]


def test_a_window_touched_again_and_again_is_told_once_each_grace() -> None:
    late = [amount(GAS, START + n * SECOND, SECOND, 1.0) for n in range(1, 121)]
    stream = [b for n, one in enumerate(late) for b in (one, tick(START + 2 * HOUR + n * SECOND))]
    found = rows(stage(), tick(START + HOUR), tick(START + 2 * HOUR - 1), *stream)
    told = [at for name, at, *_ in found if name == "share" and at == START + HOUR]
    assert len(told) == 1 + 3  # when it closed, and after each 30 s of not quite two minutes


def test_what_comes_after_a_window_is_forgotten_is_counted() -> None:
    state: dict[str, Any] = {}
    windows = stage(keep_ns=3 * HOUR)
    for batch in (amount(GAS, START + HOUR, HOUR, 100.0), tick(START + 2 * HOUR), tick(START + 4 * HOUR)):
        state, _ = windows.fold(state, batch, OUT)
    state, _ = windows.fold(state, amount(GAS, START + HOUR, HOUR, 5.0), OUT)
    assert state["late"] == 1
    state, out = windows.fold(state, tick(START + 4 * HOUR + MINUTE), OUT)
    assert START + HOUR not in out.time_ns.tolist()


def test_an_interval_of_decades_opens_no_windows() -> None:
    state, out = stage().fold({}, amount(GAS, START, 40 * 365 * 24 * HOUR, 1.0), OUT)
    assert (state["late"], len(out)) == (1, 0)
    assert all(not group["windows"] for group in state["groups"].values())


def test_a_changed_definition_begins_with_the_next_window() -> None:
    """From 01:20 on the figure counts power too: the hour begun is not told by either definition, the next is."""
    state: dict[str, Any] = {}
    for batch in (amount(GAS, START + HOUR, HOUR, 9.0), tick(START + HOUR + 20 * MINUTE)):
        state, _ = stage().fold(state, batch, OUT)
    found = rows(
        stage([GAS, POWER]),
        amount(GAS, START + 3 * HOUR, 2 * HOUR, 40.0),
        amount(POWER, START + 3 * HOUR, 2 * HOUR, 20.0),
        amount(MASS, START + 3 * HOUR, 2 * HOUR, 2.0),
        tick(START + 2 * HOUR + MINUTE),
        tick(START + 3 * HOUR + MINUTE),
        state=through_json(state),
    )
    assert found == [("share", START + 3 * HOUR, 1.0, 0), ("kWh/t", START + 3 * HOUR, 30.0, 0)]


def test_bad_rows_count_neither_as_amount_nor_as_time() -> None:
    found = rows(
        stage(),
        amount(GAS, START + HOUR, HOUR, 999.0, q.BAD | q.RANGE),
        amount(GAS, START + HOUR, HOUR, float("nan")),
        amount(MASS, START + HOUR, HOUR, 1.0),
        tick(START + 2 * HOUR),
    )
    assert found == [("share", START + HOUR, 0.0, 0), ("kWh/t", START + HOUR, 0.0, 0)]


def test_an_uncertain_amount_makes_the_window_uncertain() -> None:
    found = rows(
        stage(),
        amount(GAS, START + HOUR, HOUR, 10.0, q.UNCERTAIN | q.RESET),
        amount(MASS, START + HOUR, HOUR, 1.0),
        tick(START + 2 * HOUR),
    )
    assert [quality for *_, quality in found] == [q.UNCERTAIN, q.UNCERTAIN]


def test_other_series_are_not_looked_at() -> None:
    state, out = stage().fold({}, amount(OTHER, START + HOUR, HOUR, 10.0), OUT)
    assert (state, len(out)) == ({}, 0)


@given(
    st.lists(st.tuples(st.sampled_from([GAS, MASS]), st.integers(1, 2 * HOUR), st.floats(0, 1e3)), max_size=20),
    st.data(),
)
def test_amounts_between_two_ticks_may_come_in_any_batches(given_: list[tuple[int, int, float]], data: Any) -> None:
    stream, at = [], START
    for series, span, value in given_:
        at += span
        stream.append(amount(series, at, span, value))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    chunks = [concat(HEADER, stream[a:b]) for a, b in itertools.pairwise([0, *cuts, len(stream)])]
    end = tick(at + 2 * HOUR)
    assert rows(stage(), *chunks, end) == rows(stage(), *stream, end)
