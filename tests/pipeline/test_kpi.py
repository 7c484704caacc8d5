"""Figures over windows: known answers, calendars of real zones, late data, and sums that must always hold."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.formula import parse
from config.formula_plan import Amount, AmountOf, Apply, Expression, Level, Meaning, Over
from config.formula_units import check
from pipeline import quality as q
from pipeline.batch import WINDOW, Batch, Header, concat, make
from pipeline.calendar import Calendar
from pipeline.figures import Kpi, Limits
from pipeline.kpi import Windows
from tests.pipeline.tables import HEADER, HOUR, SECOND, START

GAS, POWER, MASS, TICK, INTENSITY, COMPLETENESS, OTHER, LEVEL, FLOW, GRADE = range(10)
IDS = {"gas": GAS, "power": POWER, "mass": MASS, "level": LEVEL, "flow": FLOW}
NAMES = {INTENSITY: "kWh/t", COMPLETENESS: "share", GRADE: "grade"}
OUT = Header("w", 1, "boot", START, 0, WINDOW)
MINUTE = 60 * SECOND
QUARTER = 15 * MINUTE
LENGTHS = {15 * MINUTE: "15min", 30 * MINUTE: "30min", HOUR: "60min"}
Row = tuple[str, int, float, int]  # which, end, value, quality


def calendar(
    zone: str = "UTC", length_ns: int = HOUR, shifts: Sequence[tuple[time, time]] = (), every: str = ""
) -> Calendar:
    return Calendar(ZoneInfo(zone), every or LENGTHS[length_ns], tuple(shifts), "shifts" if shifts else "always")


def intensity_of(energy: Sequence[str]) -> Expression:
    """Return the plan of kWh per tonne: (e1 + e2 …) / mass."""
    total: Expression = Over("sum", AmountOf(energy[0]))
    for one in energy[1:]:
        total = Apply("+", (total, Over("sum", AmountOf(one))))
    return Apply("/", (total, Over("sum", AmountOf("mass"))))


def figure(plan: Expression, grace_ns: int = 30 * SECOND, keep_ns: int = 26 * HOUR, **known: Any) -> Kpi:
    more = {name: known.pop(name) for name in ("sane", "limits", "grade") if name in known}
    return Kpi("a.w", plan, calendar(**known), grace_ns, keep_ns, INTENSITY, COMPLETENESS, **more)


def stage(energy: Sequence[int] = (GAS,), **known: Any) -> Windows:
    names = {number: name for name, number in IDS.items()}
    return Windows([figure(intensity_of([names[e] for e in energy]), **known)], IDS, TICK)


def amount(series: int, end_ns: int, span_ns: int, value: float, quality: int = 0) -> Batch:
    return make(HEADER, end_ns, [series], value, quality, span_ns)


def sample(at_ns: int, value: float, series: int = LEVEL, quality: int = 0) -> Batch:
    return make(HEADER, at_ns, [series], value, quality)


def tick(at_ns: int) -> Batch:
    return make(HEADER, at_ns, [TICK], 0.0)


def through_json(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state as it is after it has been on disk."""
    stored: dict[str, Any] = orjson.loads(orjson.dumps(state, option=orjson.OPT_SERIALIZE_NUMPY))
    return stored


def rows(windows: Windows, *batches: Batch, state: dict[str, Any] | None = None) -> list[Row]:
    """Return everything that comes out, the state going through JSON after every batch as it does on disk."""
    state, found = state or {}, list[Row]()
    for batch in batches:
        state, out = windows.fold(state, batch, OUT)
        state = through_json(state)
        columns = (out.series.tolist(), out.time_ns.tolist(), out.value.tolist(), out.quality.tolist())
        found += [(NAMES[s], t, v, quality) for s, t, v, quality in zip(*columns, strict=True)]
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
    assert calendar(zone).around(utc(*at))[0] == utc(*start)  # type: ignore[index]


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
    starts, _ = around.windows([(START, START + 20 * HOUR)])
    assert {START + n * HOUR for n in range(24)} <= set(starts.tolist())


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
    kept = [] if not state else list(next(iter(state["groups"].values()))["windows"].values())
    for slot, series in enumerate((GAS, POWER, MASS)):
        mine = [(span, value) for s, span, value, _ in given_ if s == series]
        assert sum(w["total"][slot] for w in kept) == pytest.approx(sum(v for _, v in mine), rel=1e-9, abs=1e-6)
        assert sum(w["covered"][slot] for w in kept) == sum(span for span, _ in mine)


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


# ── levels ────────────────────────────────────────────────────────────────────────────────────────

PLACES: dict[str, Meaning] = {
    "level": Level("level", "kW", 5 * MINUTE),
    "flow": Level("flow", "m3/h", 5 * MINUTE),
    "mass": Amount("mass", "t"),
    "gas": Amount("gas", "kWh"),
}


def formula(text: str, unit: str, **known: Any) -> Windows:
    return Windows([figure(check(parse(text), PLACES.__getitem__, unit), **known)], IDS, TICK)


def levels(series: int, *samples: tuple[float, float]) -> list[Batch]:
    """Return samples (minute, value) of one series, each a batch."""
    return [sample(START + round(minute * MINUTE), value, series) for minute, value in samples]


def test_a_level_counts_by_the_time_it_holds() -> None:
    """10 kW for 4 min, 40 for 1, then nothing for longer than it holds, 5 min: (10·4 + 40·1 + 20·5) / 10 = 18 kW."""
    stream = levels(LEVEL, (0, 10.0), (4, 40.0), (5, 20.0), (30, 7.0))
    found = rows(formula("level", "kW"), *stream, tick(START + 2 * HOUR))
    # 7 kW holds until 35 min, but no later sample says so: it is not counted until the next one comes
    assert found[:2] == [("share", START + HOUR, pytest.approx(10 / 60), 0), ("kWh/t", START + HOUR, 18.0, 0)]


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("min(level)", "kW", 10.0),
        ("max(level)", "kW", 40.0),
        ("first(level)", "kW", 10.0),
        ("last(level)", "kW", 20.0),
        ("integral(level)", "kWh", 180.0 / 60),
        ("duration(level > 15 kW)", "min", 6.0),
        ("duration()", "h", 1.0),
        ("level * duration()", "kWh", 18.0),
        ("max(level, 25 kW) - clip(level, 0 kW, 12 kW)", "kW", 13.0),
    ],
)
def test_what_a_window_says_of_a_level(text: str, unit: str, expected: float) -> None:
    stream = levels(LEVEL, (0, 10.0), (4, 40.0), (5, 20.0), (30, 7.0))
    windows = formula(text if "level" in text else f"{text} + 0 * integral(level) / 1 kW", unit)
    assert [v for name, _, v, _ in rows(windows, *stream, tick(START + 2 * HOUR)) if name == "kWh/t"] == [
        pytest.approx(expected)
    ]


def test_levels_are_computed_with_at_each_sample() -> None:
    """10 kW · 2 m³/h for 1 min, 10 · 4 for 1, 20 · 4 for 2: a mean of (20 + 40 + 160) / 4 = 55, not 15 · 3.5."""
    stream = [
        *levels(LEVEL, (0, 10.0)),
        *levels(FLOW, (0, 2.0), (1, 4.0)),
        *levels(LEVEL, (2, 20.0), (4, 0.0)),
    ]
    windows = formula("mean(level * flow)", "kW*m3/h")
    found = rows(windows, *stream, tick(START + 2 * HOUR))
    assert ("kWh/t", START + HOUR, pytest.approx(55.0), 0) in found


def test_a_bad_sample_ends_what_held() -> None:
    stream = [
        sample(START, 10.0),
        sample(START + MINUTE, 99.0, quality=q.BAD | q.COMM),
        sample(START + 2 * MINUTE, 30.0),
    ]
    found = rows(formula("level", "kW"), *stream, *levels(LEVEL, (3, 5.0)), tick(START + 2 * HOUR))
    assert found[:2] == [("share", START + HOUR, pytest.approx(2 / 60), 0), ("kWh/t", START + HOUR, 20.0, 0)]


def test_a_division_by_zero_has_no_row_only_a_completeness() -> None:
    stream = [*levels(LEVEL, (0, 10.0), (1, 10.0)), *levels(FLOW, (0, 0.0), (1, 0.0))]
    found = rows(formula("level / flow", "kWh/m3"), *stream, tick(START + 2 * HOUR))
    assert [name for name, *_ in found] == ["share"]


def test_a_value_out_of_its_sane_range_is_uncertain_and_one_with_limits_graded() -> None:
    stream = levels(LEVEL, (0, 10.0), (1, 10.0))
    odd = rows(formula("level", "kW", sane=(1.0, 5.0)), *stream, tick(START + 2 * HOUR))
    assert odd[1] == ("kWh/t", START + HOUR, 10.0, q.UNCERTAIN | q.RANGE)
    graded = formula("level", "kW", limits=Limits((6.0, 9.0, 12.0)), grade=GRADE)
    assert rows(graded, *stream, tick(START + 2 * HOUR))[2] == ("grade", START + HOUR, 3.0, 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([LEVEL, FLOW, GAS]), st.integers(-30, 400), st.floats(0, 1e3) | st.just(float("nan"))
        ),
        max_size=25,
    ),
    st.data(),
)
def test_samples_between_two_ticks_may_come_in_any_batches(given_: list[tuple[int, int, float]], data: Any) -> None:
    """Also out of order, with gaps longer than a level holds, and bad ones among them."""
    stream, at = [], START + HOUR // 2
    for series, seconds, value in given_:
        at += seconds * SECOND
        stream.append(amount(series, at, MINUTE, value) if series == GAS else sample(at, value, series))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    chunks = [concat(HEADER, stream[a:b]) for a, b in itertools.pairwise([0, *cuts, len(stream)])]
    plans = [check(parse(text), PLACES.__getitem__, unit) for text, unit in [
        ("mean(level * flow) / flow", "kW"), ("integral(if(level > 300 kW, flow, 0 m3/h)) + 0 m3 * gas / 1 kWh", "m3"),
        ("max(level) - first(level) + last(level)", "kW"),
    ]]  # fmt: skip
    kpis = [replace(figure(plan), key=str(n)) for n, plan in enumerate(plans)]
    end = tick(at + 2 * HOUR)
    assert rows(Windows(kpis, IDS, TICK), *chunks, end) == rows(Windows(kpis, IDS, TICK), *stream, end)


# ── days, months and shifts ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("zone", "every", "at", "start", "end"),
    [
        ("Europe/Berlin", "day", (2018, 3, 25, 12), (2018, 3, 24, 23), (2018, 3, 25, 22)),  # 23 hours
        ("Europe/Berlin", "day", (2018, 10, 28, 12), (2018, 10, 27, 22), (2018, 10, 28, 23)),  # 25 hours
        ("Europe/Berlin", "month", (2018, 3, 15, 0), (2018, 2, 28, 23), (2018, 3, 31, 22)),
        ("Asia/Shanghai", "month", (2026, 1, 31, 16), (2025, 12, 31, 16), (2026, 1, 31, 16)),
        ("Asia/Shanghai", "month", (2026, 1, 31, 17), (2026, 1, 31, 16), (2026, 2, 28, 16)),
        ("America/Havana", "day", (2026, 3, 8, 12), (2026, 3, 8, 5), (2026, 3, 9, 4)),  # has no midnight
    ],
)
def test_days_and_months_are_the_sites(
    zone: str, every: str, at: tuple[int, ...], start: tuple[int, ...], end: tuple[int, ...]
) -> None:
    assert calendar(zone, every=every).around(utc(*at)) == (utc(*start), utc(*end))


@pytest.mark.parametrize(("month", "hours"), [(3, 743), (10, 745), (7, 744)])
def test_a_month_of_changing_clocks_holds_its_true_hours(month: int, hours: int) -> None:
    """1 kWh for each hour of a German year: March 2018 has 743, October 745, as the market's own tables have."""
    zone = ZoneInfo("Europe/Berlin")
    begin, end = (int(datetime(2018, m, 1, tzinfo=zone).timestamp()) * SECOND for m in (month, month + 1))
    stream = concat(HEADER, [amount(GAS, begin + n * HOUR, HOUR, 1.0) for n in range(-30, 800)])
    windows = formula("gas", "kWh", zone="Europe/Berlin", every="month")
    assert ("kWh/t", end, float(hours), 0) in rows(windows, stream, tick(end + HOUR))


def test_shifts_are_windows_over_midnight_too() -> None:
    """06–14 and 22–06 in Berlin; between them there is no window. On 25 March 2018 the night has seven hours."""
    shifts = [(time(6), time(14)), (time(22), time(6))]
    around = calendar("Europe/Berlin", shifts=shifts, every="shift").around
    assert around(utc(2018, 3, 25, 1)) == (utc(2018, 3, 24, 21), utc(2018, 3, 25, 4))
    assert around(utc(2018, 3, 25, 10)) == (utc(2018, 3, 25, 4), utc(2018, 3, 25, 12))
    assert around(utc(2018, 3, 25, 15)) is None


def test_hours_off_are_those_no_shift_has() -> None:
    off = Calendar(ZoneInfo("UTC"), "60min", ((time(6), time(22)),), "off_shift")
    starts, _ = off.windows([(START + 24 * HOUR, START + 24 * HOUR)])
    assert {(s - START) // HOUR % 24 for s in starts.tolist()} == {22, 23, 0, 1, 2, 3, 4, 5}


@given(
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "America/Havana"]),
    st.sampled_from(["15min", "30min", "60min", "day", "month"]),
    st.integers(0, 2 * 366 * 24),
)
def test_windows_leave_no_instant_out_and_none_twice(zone: str, every: str, hours: int) -> None:
    at = utc(2025, 1, 1) + hours * HOUR
    starts, ends = calendar(zone, every=every).windows([(at, at + 3 * 24 * HOUR)])
    assert starts[1:].tolist() == ends[:-1].tolist()
    assert starts[0] < at < at + 3 * 24 * HOUR <= ends[-1]
