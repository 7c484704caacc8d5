"""The wall clock in columns: the same as the standard library's, also when clocks change."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.local_time import first_day, midnight_ns, month_name, month_number, months, ordinals, wall_clock

SECOND = 1_000_000_000
ZONES = ("UTC", "Asia/Shanghai", "Europe/Madrid", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe")


@given(st.lists(st.integers(0, 4_000_000_000), min_size=1, max_size=20), st.sampled_from(ZONES))
def test_shows_what_the_clocks_of_the_zone_show(seconds: list[int], name: str) -> None:
    zone = ZoneInfo(name)
    shown = wall_clock(np.array(seconds, np.int64) * SECOND, zone)
    for second, wall in zip(seconds, shown.tolist(), strict=True):
        expected = datetime.fromtimestamp(second, UTC).astimezone(zone).replace(tzinfo=UTC)
        assert wall == int(expected.timestamp()) * SECOND


def test_months_and_days_are_the_sites() -> None:
    # 2025-12-31 16:00 UTC is midnight of the new year in Shanghai, and still the old one in Madrid.
    at = np.array([midnight_ns(date(2026, 1, 1), ZoneInfo("Asia/Shanghai"))])
    assert at[0] == int(datetime(2025, 12, 31, 16, tzinfo=UTC).timestamp()) * SECOND
    assert months(at, ZoneInfo("Asia/Shanghai")).tolist() == [month_number("2026-01")]
    assert months(at, ZoneInfo("Europe/Madrid")).tolist() == [month_number("2025-12")]
    assert ordinals(wall_clock(at, ZoneInfo("Asia/Shanghai"))).tolist() == [(date(2026, 1, 1) - date(1970, 1, 1)).days]


@pytest.mark.parametrize("name", ["1970-01", "2025-03", "2025-12"])
def test_names_of_months(name: str) -> None:
    assert month_name(month_number(name)) == name
    assert str(first_day(month_number(name))) == f"{name}-01"
