"""Energy per tonne of each window: known answers, calendars of real zones, and sums that must always hold."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import quality as q
from pipeline.batch import WINDOW, Batch, Header, concat, make
from pipeline.intensity import Calendar, Intensity
from tests.pipeline.tables import HEADER, HOUR, SECOND, START

GAS, POWER, MASS, TICK, INTENSITY, COMPLETENESS, OTHER = range(7)
OUT = Header("w", 1, "boot", START, 0, WINDOW)
MINUTE = 60 * SECOND
QUARTER = 15 * MINUTE
Row = tuple[str, int, float, int]  # which, end, value, quality


def calendar(zone: str = "UTC", length_ns: int = HOUR, shifts: Sequence[tuple[time, time]] = ()) -> Calendar:
    return Calendar(ZoneInfo(zone), length_ns, shifts)


def stage(energy: Sequence[int] = (GAS,), grace_ns: int = 30 * SECOND, **known: Any) -> Intensity:
    when = calendar(**known)
    return Intensity("w", when, frozenset(energy), MASS, TICK, grace_ns, INTENSITY, COMPLETENESS)


def amount(series: int, end_ns: int, span_ns: int, value: float, quality: int = 0) -> Batch:
    return make(HEADER, end_ns, [series], value, quality, span_ns)


def tick(at_ns: int) -> Batch:
    return make(HEADER, at_ns, [TICK], 0.0)


def rows(intensity: Intensity, *batches: Batch) -> list[Row]:
    """Return everything that comes out, the state going through JSON after every batch as it does on disk."""
    state: dict[str, Any] = {}
    found: list[Row] = []
    for batch in batches:
        state, out = intensity.fold(state, batch, OUT)
        state = orjson.loads(orjson.dumps(state))
        assert set(out.span_ns.tolist()) <= {intensity.calendar.length_ns}
        names = {INTENSITY: "kWh/t", COMPLETENESS: "share"}
        columns = (out.series.tolist(), out.time_ns.tolist(), out.value.tolist(), out.quality.tolist())
        found += [(names[s], t, v, quality) for s, t, v, quality in zip(*columns, strict=True)]
    return found


def utc(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[arg-type,misc]


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


def test_rows_that_come_after_their_window_are_counted_and_change_nothing() -> None:
    intensity, state = stage(), dict[str, Any]()
    for batch in (
        amount(GAS, START + HOUR, HOUR, 100.0),
        amount(MASS, START + HOUR, HOUR, 1.0),
        tick(START + 2 * HOUR),
    ):
        state, _ = intensity.fold(state, batch, OUT)
    state, out = intensity.fold(state, amount(GAS, START + HOUR, HOUR, 5.0), OUT)
    assert len(out) == 0
    assert state["late"] == 1
    state, out = intensity.fold(state, tick(START + 3 * HOUR), OUT)
    assert (out.time_ns.tolist(), out.value.tolist()) == ([START + 2 * HOUR], [0.0])  # the silent hour after it


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


# ── calendars ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("zone", "at", "start"),
    [
        ("Asia/Shanghai", (2026, 3, 1, 4, 30), (2026, 3, 1, 4, 0)),  # 12:30 local
        ("Asia/Kolkata", (2026, 3, 1, 4, 45), (2026, 3, 1, 4, 30)),  # 10:15 local, UTC+5:30: hours begin at :30 UTC
        ("Asia/Kolkata", (2026, 3, 1, 4, 30), (2026, 3, 1, 3, 30)),  # an end belongs to the window it ends
        ("Europe/Madrid", (2026, 3, 29, 1, 30), (2026, 3, 29, 1, 0)),  # 03:30 of a day without 02:00
        ("Europe/Madrid", (2026, 10, 25, 0, 30), (2026, 10, 25, 0, 0)),  # the first 02:30
        ("Europe/Madrid", (2026, 10, 25, 1, 30), (2026, 10, 25, 1, 0)),  # the second 02:30
    ],
)
def test_windows_stand_on_the_sites_clock(zone: str, at: tuple[int, ...], start: tuple[int, ...]) -> None:
    assert calendar(zone).start(utc(*at)) == utc(*start)


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 7, 1), 24)])
def test_a_day_of_changing_clocks_has_its_own_number_of_windows(day: tuple[int, int, int], hours: int) -> None:
    """100 kWh and 1 t for each true hour of a Madrid day: as many windows as hours, each of 100 kWh/t."""
    zone = ZoneInfo("Europe/Madrid")
    begin = int(datetime(*day, tzinfo=zone).timestamp()) * SECOND
    end = int(datetime(day[0], day[1], day[2] + 1, tzinfo=zone).timestamp()) * SECOND
    assert end - begin == hours * HOUR
    found = rows(
        stage(zone="Europe/Madrid"),
        amount(GAS, end, end - begin, 100.0 * hours),
        amount(MASS, end, end - begin, 1.0 * hours),
        tick(end + HOUR),
    )
    ends = [t for name, t, *_ in found if name == "kWh/t"]
    assert ends == [begin + HOUR * n for n in range(1, hours + 1)]
    assert [v for name, _, v, _ in found if name == "kWh/t"] == pytest.approx([100.0] * hours)
    assert [v for name, _, v, _ in found if name == "share"] == [1.0] * hours


def test_shifts_over_midnight_leave_out_the_other_windows() -> None:
    """Night shift 22:00 to 06:00 in Shanghai (UTC+8): windows that begin at 22, 23, 0 … 5 o'clock, eight of them."""
    begin = utc(2026, 3, 1, 4, 0)  # noon in Shanghai
    found = rows(
        stage(zone="Asia/Shanghai", shifts=[(time(22), time(6))]),
        amount(GAS, begin + 24 * HOUR, 24 * HOUR, 2_400.0),
        amount(MASS, begin + 24 * HOUR, 24 * HOUR, 24.0),
        tick(begin + 25 * HOUR),
    )
    begins = [(t - HOUR - begin) // HOUR for name, t, *_ in found if name == "kWh/t"]
    assert begins == [10, 11, 12, 13, 14, 15, 16, 17]


def test_a_shift_of_a_whole_day_leaves_out_nothing() -> None:
    around = calendar("UTC", shifts=[(time(6), time(6))])
    assert all(around.counts(START + n * HOUR) for n in range(24))


intervals = st.lists(
    st.tuples(
        st.sampled_from([GAS, POWER, MASS]),
        st.integers(1, 4 * HOUR),
        st.floats(0, 1e4),
        st.sampled_from([0, q.UNCERTAIN]),
    ),
    max_size=15,
)


@given(intervals, st.sampled_from(["UTC", "Asia/Kolkata", "Europe/Madrid"]), st.sampled_from([QUARTER, HOUR]))
def test_windows_together_hold_what_the_intervals_do(
    given_: list[tuple[int, int, float, int]], zone: str, length: int
) -> None:
    """Intervals over the night of 25 October 2026, when Madrid's clocks go back, of any length, over any edge."""
    intensity, state = stage([GAS, POWER], zone=zone, length_ns=length), dict[str, Any]()
    at = utc(2026, 10, 24, 22, 0)
    for series, span, value, quality in given_:
        at += span // 2
        state, _ = intensity.fold(state, amount(series, at, span, value, quality), OUT)
    for series in (GAS, POWER, MASS):
        kept = [w["sums"][str(series)] for w in state.get("open", {}).values() if str(series) in w["sums"]]
        mine = [(span, value) for s, span, value, _ in given_ if s == series]
        assert sum(v for v, _ in kept) == pytest.approx(sum(v for _, v in mine), rel=1e-9, abs=1e-6)
        assert sum(t for _, t in kept) == sum(span for span, _ in mine)
    starts = sorted(int(s) for s in state.get("open", {}))
    assert all(b - a >= length for a, b in itertools.pairwise(starts))


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
