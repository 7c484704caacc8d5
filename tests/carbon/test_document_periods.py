"""The period of a document is shared by days: parts sum to the whole, in any zone."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from carbon.ledger import Ledger
from carbon.local_time import midnight_ns
from carbon.papers.periods import bounds, month_starts, split
from tests.carbon.papers import DIESEL, HEAD, documents, enter, local_ns, year_of

ZONES = st.sampled_from(["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Africa/Cairo"])


@given(
    st.integers(-(10**16), 10**16), st.dates(date(1995, 1, 1), date(2040, 1, 1)), st.integers(0, 365), ZONES,
    st.lists(st.integers(0, 366 * 24), max_size=12),
)  # fmt: skip
def test_parts_sum_to_the_whole_and_none_is_off_by_one(
    amount: int, first: date, more: int, name: str, hours: list[int]
) -> None:
    zone, last = ZoneInfo(name), first + timedelta(days=more)
    start, end = bounds(first, last, zone)
    months = month_starts(first, last, zone)
    edges = [start + hour * 3_600_000_000_000 for hour in hours]
    parts = split(amount, first, last, sorted([*months, *edges]), zone)
    assert sum(part.amount for part in parts) == amount
    assert [p.start_ns for p in parts] == [start, *(p.end_ns for p in parts[:-1])]
    assert parts[-1].end_ns == end
    whole = {p.start_ns: p for p in split(amount, first, last, months, zone)}
    assert set(whole) <= {p.start_ns for p in parts}
    for month in whole.values():  # cutting a month finer moves nothing to or from its neighbours
        assert month.amount == sum(p.amount for p in parts if month.start_ns <= p.start_ns < month.end_ns)
        assert (amount >= 0) == (month.amount >= 0) or month.amount == 0


def test_a_period_over_months_is_shared_by_days(tmp_path: Path) -> None:
    # 16 January to 15 February are 16 + 15 = 31 days: 31,000 kg are 16,000 and 15,000.
    office = documents(tmp_path)
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-01-16,2025-02-15,31000,kg,,")
    with Ledger.open(office.data) as ledger:
        (entries,) = ledger.read()
        assert entries.start_ns.tolist() == [local_ns(office, 2025, 1, 16), local_ns(office, 2025, 2, 1)]
        assert entries.amount.tolist() == [16_000_000, 15_000_000]  # 1e-6 t


def test_a_day_of_23_hours_weighs_as_much_as_any_other() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    cuts = [midnight_ns(date(2025, 3, day), berlin) for day in (30, 31)]
    assert [p.amount for p in split(300, date(2025, 3, 29), date(2025, 3, 31), cuts, berlin)] == [100, 100, 100]


def test_deliveries_of_the_same_days_add_up(tmp_path: Path) -> None:
    office = documents(tmp_path)
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,3.1,t,A,")
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,6.2,t,B,\n"
                  "delivery,genset,diesel,2025-03-10,2025-03-10,1,t,C,")  # fmt: skip
    assert year_of(office, 2025, DIESEL)[0] == 10_300_000
    with Ledger.open(office.data) as ledger:
        (entries,) = ledger.read()
        assert entries.amount.tolist() == [2_700_000, 1_300_000, 6_300_000]  # 9 · 0.3; 0.3 + 1; 21 · 0.3
