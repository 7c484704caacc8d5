"""What energy costs: by the local hour, by the month, and exactly in sum."""

from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.money.bill import bills, demand_kw, power_factor
from carbon.money.cost import cost
from config.tariff import Demand, Tariff, complete
from config.tariffs import schedules

KWH = 1_000_000  # [mWh], and [1e-6 currency]
HOUR = 3_600_000_000_000
CHINA, SPAIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Madrid")


def tariff(*versions: dict[str, Any]) -> Tariff:
    base = {"valid_from": "2025-01-01", "like": "guangdong_2021", "base_price": 0.65}
    said = {"name": "t", "currency": "CNY", "source": "contract", "versions": [base | v for v in versions or ({},)]}
    found = Tariff.model_validate(said)
    return found.model_copy(update={"versions": tuple(complete(v, schedules()) for v in found.versions)})


def hours(day: date, count: int, zone: ZoneInfo = CHINA) -> tuple[np.ndarray, np.ndarray]:
    first = int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000_000_000
    return first + np.arange(count, dtype=np.int64) * HOUR, np.full(count, HOUR)


def priced(day: date, count: int, zone: ZoneInfo = CHINA, **version: Any) -> np.ndarray:
    start, span = hours(day, count, zone)
    return cost(start, span, np.full(count, 100 * KWH), tariff(version), zone).by_interval(count)


# ── worked examples ───────────────────────────────────────────────────────────────────────────────


def test_a_day_in_guangdong_by_hand() -> None:
    # Guangdong DRC, August 2021; base price 0.65 CNY/kWh, 100 kWh in every hour.
    #   July: valley 0–8            8 h × 100 × 0.65 × 0.38          =   197.600
    #         flat 8–10 12–14 19–24 9 h × 100 × 0.65                 =   585.000
    #         peak 10–11 14–15 17–19 4 h × 100 × 0.65 × 1.7          =   442.000
    #         critical 11–12 15–17  3 h × 100 × 0.65 × 1.7 × 1.25    =   414.375   together 1,638.975 CNY
    #   January: peak 10–12 14–19   7 h × 100 × 1.105 = 773.500, valley and flat as before: 1,556.100 CNY
    july = priced(date(2025, 7, 15), 24)
    assert july.sum() == round(1_638.975 * KWH)
    assert july[[0, 9, 10, 11, 16, 20]].tolist() == [
        24_700_000,
        65_000_000,
        110_500_000,
        138_125_000,
        138_125_000,
        65_000_000,
    ]
    assert priced(date(2025, 1, 15), 24).sum() == round(1_556.1 * KWH)


def test_a_hot_day_of_june_is_listed() -> None:
    assert priced(date(2025, 6, 21), 24, extra_days={"hot": ["2025-06-21"]}).sum() == round(1_638.975 * KWH)
    assert priced(date(2025, 6, 21), 24).sum() == round(1_556.1 * KWH)


def test_fees_are_on_top_at_all_hours() -> None:
    # 24 h × 100 kWh × (0.2 + 0.03) CNY = 552 CNY
    assert priced(date(2025, 1, 15), 24, fees={"transmission": 0.2, "levies": 0.03}).sum() == round(2_108.1 * KWH)


def test_the_days_on_which_clocks_change() -> None:
    # Madrid: 2025-03-30 has 23 hours, seven of them before 8:00; 2025-10-26 has 25, nine of them before 8:00.
    # Flat 9 h, peak 7 h as always: 585 + 773.5 = 1,358.5, and 24.7 for each hour of the valley.
    assert priced(date(2025, 3, 30), 23, SPAIN).sum() == round((1_358.5 + 7 * 24.7) * KWH)
    assert priced(date(2025, 10, 26), 25, SPAIN).sum() == round((1_358.5 + 9 * 24.7) * KWH)


def test_weekends_of_their_own() -> None:
    kinds = {
        "weekend": {"weekdays": ["sat", "sun"], "hours": {"low": ["0-24"]}},
        "week": {"hours": {"high": ["0-24"]}},
    }
    said = {"like": None, "base_price": None, "kinds": kinds, "prices": {"low": 0.1, "high": 0.2}}
    # 2025-11-21 is a Friday.
    assert priced(date(2025, 11, 21), 96, **said).reshape(4, 24).sum(1).tolist() == [
        480 * KWH, 240 * KWH, 240 * KWH, 480 * KWH,
    ]  # fmt: skip


def test_a_document_over_a_day_is_cut_at_the_periods() -> None:
    start, _ = hours(date(2025, 1, 15), 1)
    whole = cost(start, np.array([24 * HOUR]), np.array([2_400 * KWH]), tariff(), CHINA)
    assert whole.by_interval(1).tolist() == [round(1_556.1 * KWH)]
    energy = {whole.rates[r].period: int(e) // KWH for r, e in zip(whole.rate, whole.energy, strict=True)}
    assert energy == {"peak": 700, "flat": 900, "valley": 800}


def test_two_versions_and_the_days_outside_them() -> None:
    versions = tariff(
        {"valid_from": "2025-01-02", "valid_to": "2025-01-02"},
        {"valid_from": "2025-01-03", "valid_to": "2025-01-03", "base_price": 1.3},
    )
    start, span = hours(date(2025, 1, 1), 96)
    got = cost(start, span, np.full(96, 100 * KWH), versions, CHINA)
    by_day = got.by_interval(96).reshape(4, 24).sum(1).tolist()
    assert by_day == [0, round(1_556.1 * KWH), round(3_112.2 * KWH), 0]
    (bill,) = bills(start, span, np.full(96, 100 * KWH), versions, CHINA)
    assert bill.total == sum(by_day)
    assert bill.findings == ("no version of the tariff holds for 4,800.000 kWh; they are not charged",)


# ── the bill of a month ───────────────────────────────────────────────────────────────────────────

RULE = Demand(price=32, contract_kw=1_000, floor=1, allowed=1.05, excess_factor=2)
# Part of a table as users enter it; standard 0.90.
TABLE = {
    "source": "bill of January",
    "table": [{"at_least": 0.9, "share": 0}, {"at_least": 0.85, "share": 0.025}, {"at_least": 0, "share": 0.1}],
}


@pytest.mark.parametrize(
    ("peak", "billed"),
    [
        (700, 1_000),  # not below the contract
        (1_050, 1_000),  # 105 % of it are allowed
        (1_200, 1_300),  # 1,000 + 2 × (1,200 − 1,050)
    ],
)
def test_demand_against_the_contract(peak: float, billed: float) -> None:
    assert demand_kw(RULE, peak) == pytest.approx(billed)


def test_demand_by_other_rules() -> None:
    assert demand_kw(Demand(price=32), 700) == 700
    measured = Demand(price=32, contract_kw=1_000, floor=0.4, allowed=1, excess_factor=2)
    assert [demand_kw(measured, peak) for peak in (300, 700, 1_100)] == [400, 700, 1_200]


def test_power_factor_from_energies() -> None:
    # P = 300 kWh, Q = 400 kvarh: S = 500, cos φ = 0.6.
    assert power_factor(300 * KWH, 400 * KWH) == Fraction(3, 5)
    assert power_factor(0, 0) is None


def test_a_bill_by_hand() -> None:
    # A day of January, 2,400 kWh: energy 1,556.1; fees 0.2 × 2,400 = 480; highest quarter hour 1,200 kW: 1,300 × 32 =
    # 41,600; 630 kVA × 20 = 12,600. P = 2,400 kWh, Q = 1,487.4 kvarh: cos φ = 0.85 → + 2.5 % of energy, capacity and
    # demand: 0.025 × 55,756.1 = 1,393.9025. Together 57,630.0025 CNY.
    version = {
        "fees": {"transmission": 0.2}, "demand": RULE.model_dump(), "capacity": {"kva": 630, "price": 20},
        "power_factor": TABLE,
    }  # fmt: skip
    start, span = hours(date(2025, 1, 15), 24)
    peak = np.full(24, 800, np.float32)
    peak[5] = 1_200
    energy, reactive = np.full(24, 100 * KWH), np.full(24, 61_975_000)
    (bill,) = bills(start, span, energy, tariff(version), CHINA, peak=peak, reactive=reactive)
    assert (bill.month, bill.currency, bill.findings) == ("2025-01", "CNY", ())
    assert {item.name: item.amount / KWH for item in bill.items} == {
        "energy peak": 773.5, "energy flat": 585, "energy valley": 197.6, "fees": 480, "capacity": 12_600,
        "demand": 41_600, "power factor 0.85": 1_393.9025,
    }  # fmt: skip
    assert bill.total == round(57_630.0025 * KWH)


def test_what_is_unknown_is_told_and_not_charged() -> None:
    version = {"demand": RULE.model_dump(), "power_factor": TABLE}
    start, span = hours(date(2025, 1, 15), 24)
    (bill,) = bills(start, span, np.full(24, 100 * KWH), tariff(version), CHINA)
    assert bill.findings == (
        "no quarter-hour mean is known: the demand is not charged",
        "no reactive energy is known: the power factor adjustment is not charged",
    )
    peak = np.full(24, np.nan, np.float32)
    peak[3] = 900
    (bill,) = bills(start, span, np.full(24, 100 * KWH), tariff(version), CHINA, peak=peak)
    assert bill.findings[0] == "the demand is the highest of 1 of 24 intervals; others are unknown"


def test_no_adjustment_without_the_users_table() -> None:
    start, span = hours(date(2025, 1, 15), 24)
    (bill,) = bills(start, span, np.full(24, 100 * KWH), tariff(), CHINA, reactive=np.full(24, 500 * KWH))
    assert [item.name for item in bill.items] == ["energy peak", "energy flat", "energy valley"]


# ── properties ────────────────────────────────────────────────────────────────────────────────────

ENERGIES = st.lists(st.integers(0, 10**12), min_size=1, max_size=60)


@given(ENERGIES, st.integers(0, 3 * 365 * 24), st.sampled_from([CHINA, SPAIN, ZoneInfo("Asia/Kathmandu")]))
def test_costs_add_up_over_hours_and_into_bills(energies: list[int], first: int, zone: ZoneInfo) -> None:
    epoch = int(datetime(2025, 1, 2, tzinfo=UTC).timestamp()) * 1_000_000_000
    start = epoch + (first + np.arange(len(energies), dtype=np.int64)) * HOUR
    span, energy = np.full(len(energies), HOUR), np.array(energies, np.int64)
    rates = tariff({"fees": {"f": 0.03}})
    whole = cost(start, span, energy, rates, zone)
    each = [
        cost(start[i : i + 1], span[i : i + 1], energy[i : i + 1], rates, zone).by_interval(1)[0]
        for i in range(len(energies))
    ]
    assert whole.by_interval(len(energies)).tolist() == each
    assert int(whole.energy.sum()) == sum(energies)
    found = bills(start, span, energy, rates, zone)
    assert sum(bill.total for bill in found) == sum(each)
    assert [bill.findings for bill in found] == [()] * len(found)


@given(st.integers(0, 10**9), st.lists(st.integers(1, 47), max_size=6), st.integers(0, 365))
def test_a_long_interval_costs_what_its_parts_do(kwh_per_hour: int, cuts: list[int], day: int) -> None:
    # Two days at an even rate, cut at some of its hours: the same cost however it is cut, but for rounding.
    begin = int(datetime(2025, 1, 2, tzinfo=CHINA).timestamp()) * 1_000_000_000 + day * 24 * HOUR
    edges = begin + np.array(sorted({0, 48, *cuts}), np.int64) * HOUR
    parts = np.array([(a, b - a) for a, b in pairwise(edges.tolist())], np.int64)
    energy = parts[:, 1] // HOUR * kwh_per_hour
    split = cost(parts[:, 0], parts[:, 1], energy, tariff(), CHINA).by_interval(len(parts)).sum()
    whole = cost(edges[:1], np.array([48 * HOUR]), np.array([48 * kwh_per_hour]), tariff(), CHINA).by_interval(1)[0]
    assert abs(int(split) - int(whole)) <= 4 * len(parts)  # each part is rounded once per period [1e-6 CNY]
