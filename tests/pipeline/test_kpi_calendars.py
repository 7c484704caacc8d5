"""Windows on the site's clock: hours, days, months and shifts of real zones, and sums that must always hold."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import quality as q
from pipeline.batch import concat
from pipeline.calendar import Calendar
from tests.pipeline.kpis import GAS, MASS, OUT, POWER, QUARTER, amount, calendar, formula, rows, stage, tick
from tests.pipeline.tables import HEADER, HOUR, SECOND, START


def utc(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[arg-type,misc]


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
