"""The overview: what the plant takes and emits, from ledger, open cells and history; what nobody knows is null."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.ledger import Ledger
from pipeline.alerts.expected import LEAST_LIKE
from pipeline.quality import BAD
from tanflow.web.site.expected import MOST_DAYS, between, expected, like_days
from tanflow.web.site.shared import Shared
from tests.tanflow.asked_plant import (
    CONFIG,
    DAY_S,
    EXPORT,
    GAS,
    GRID,
    HOUR_S,
    IMPORT,
    MARKET,
    POWER,
    QUARTER_S,
    START_NS,
    SUN,
    Asked,
    asked_plant,
)

NOW_S = DAY_S + 10.5 * HOUR_S  # 2025-01-02 10:30
PRICE = "notify: {price_per_kwh: 0.8, currency: CNY}"


async def two_days(plant: Asked) -> None:
    """Yesterday an even 100 kW, today 200 kW of which 20 kW are given away while the roof makes 50 kW; gas 10 m³/h."""
    await plant.steady(IMPORT, 0, DAY_S, 100.0)
    await plant.steady(IMPORT, DAY_S, int(NOW_S), 200.0)
    await plant.steady(SUN, DAY_S, int(NOW_S), 50.0)
    await plant.steady(EXPORT, DAY_S, int(NOW_S), 20.0)
    await plant.steady(GAS, DAY_S, int(NOW_S), 10.0)
    await plant.show(POWER, NOW_S - 1, 210.0)
    await plant.book(NOW_S)


async def kwh_per_m3(plant: Asked) -> float:
    rules = plant.gateway.books.rules["oven.natural_gas"]
    return rules[0][1].factors[-1].kwh


async def test_today_is_what_is_booked_and_what_is_not_yet(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S, PRICE) as plant:
        await two_days(plant)
        with Ledger.open(plant.folder) as ledger:
            assert ledger.extent()[1] == START_NS + int((DAY_S + 9 * HOUR_S) * 1e9)  # type: ignore[index]
        found = await plant.get("/api/overview")
        gas, hours = await kwh_per_m3(plant), 10.5
        today = found["today"]
        assert today["energy_kwh"] == pytest.approx(hours * (200 + 50 - 20 + 10 * gas), abs=1e-3)
        burnt = today["co2_kg"] - hours * 200 * GRID
        assert burnt == pytest.approx(today["co2_market_kg"] - hours * 200 * MARKET, abs=1e-3)
        assert burnt > 0
        assert today["cost"] == {"amount": pytest.approx(hours * 200 * 0.8), "currency": "CNY"}
        assert found["own_share"] == pytest.approx(30 / 230)
        assert found["green_share"] == pytest.approx(30 / 230)


async def test_yesterday_counts_up_to_the_same_clock_time(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S, PRICE) as plant:
        await two_days(plant)
        yesterday = (await plant.get("/api/overview"))["yesterday"]
        assert yesterday["energy_kwh"] == pytest.approx(1_050, abs=0.1)
        assert yesterday["co2_kg"] == pytest.approx(1_050 * GRID, abs=0.1)
        assert yesterday["whole_day"]["energy_kwh"] == pytest.approx(2_400)
        assert yesterday["whole_day"]["cost"]["amount"] == pytest.approx(2_400 * 0.8)


async def test_the_present_is_what_meters_show_and_what_follows_from_it(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await two_days(plant)
        found = await plant.get("/api/overview")
        gas = 10 * await kwh_per_m3(plant)
        assert found["carriers"]["electricity"] == pytest.approx(210)
        assert found["carriers"]["natural_gas"] == pytest.approx(gas, rel=1e-3)
        assert found["own_kw"] == pytest.approx(50, rel=1e-3)
        assert found["power_kw"] == pytest.approx(210 + 50 + gas, rel=1e-3)  # power that is given away shows below 0
        rates = found["co2_kg_per_h"]
        assert rates["market"] - rates["location"] == pytest.approx(210 * (MARKET - GRID), abs=1e-3)
        assert found["today"]["cost"] is None  # nobody says what a kWh costs
        assert found["silent"] == []


async def test_the_course_has_a_point_a_quarter_and_nothing_where_nothing_is_known(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await plant.steady(IMPORT, 0, 6 * HOUR_S, 100.0)
        await plant.steady(IMPORT, 7 * HOUR_S, int(NOW_S), 100.0)
        await plant.book(NOW_S)
        curve = (await plant.get("/api/overview"))["curve"]
        assert len(curve["yesterday"]) == 96
        assert [v for _, v in curve["yesterday"]] == [None if 24 <= n < 28 else pytest.approx(100) for n in range(96)]
        assert [v for _, v in curve["today"]] == [pytest.approx(100)] * 42
        assert curve["today"][0][0] == START_NS + DAY_S * 10**9


async def test_a_quarter_that_goes_on_is_told_by_its_mean(tmp_path: Path) -> None:
    now_s = DAY_S + 10 * HOUR_S + 600
    async with asked_plant(tmp_path, now_s) as plant:
        await plant.steady(IMPORT, DAY_S, now_s, 120.0)
        await plant.book(now_s)
        at_ns, kw = (await plant.get("/api/overview"))["curve"]["today"][-1]
        assert at_ns == START_NS + (now_s - 600) * 10**9
        assert kw == pytest.approx(120, rel=0.01)


async def test_what_nobody_knows_is_null_and_never_zero(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        found = await plant.get("/api/overview")
        nothing = {"energy_kwh": None, "co2_kg": None, "co2_market_kg": None, "cost": None}
        assert found["power_kw"] is found["own_kw"] is found["own_share"] is found["green_share"] is None
        assert found["co2_kg_per_h"] == {"location": None, "market": None}
        assert found["today"] == nothing
        assert found["yesterday"] == {**nothing, "whole_day": nothing}
        assert found["expected"] is None
        assert "main.electricity" in found["silent"]
        assert found["alerts"] == {"critical": 0, "warning": 0, "info": 0, "pending": 0}


@pytest.mark.parametrize(("age_s", "quality"), [(400.0, 0), (1.0, BAD)], ids=["old", "bad"])
async def test_a_value_that_is_old_or_bad_says_nothing_of_now(tmp_path: Path, age_s: float, quality: int) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await two_days(plant)
        await plant.show(POWER, NOW_S - age_s, 210.0, quality)
        found = await plant.get("/api/overview")
        assert found["power_kw"] is found["co2_kg_per_h"]["location"] is None
        assert found["carriers"]["electricity"] is None
        assert found["silent"] == ["main.electricity", "main.electricity.export"]


async def test_what_is_expected_is_the_median_of_like_days(tmp_path: Path) -> None:
    """Wednesday to Friday at 100, 300 and 110 kW; on Monday 110 kW are expected, the weekend counts for nothing."""
    now_s = 5 * DAY_S + 6 * HOUR_S
    async with asked_plant(tmp_path, now_s) as plant:
        for day, kw in enumerate((100.0, 300.0, 110.0, 7.0, 7.0)):
            await plant.steady(IMPORT, day * DAY_S, (day + 1) * DAY_S, kw)
        await plant.book(now_s)
        usual = (await plant.get("/api/overview"))["expected"]
        assert usual["energy_kwh"] == pytest.approx(6 * 110, rel=0.001)
        assert [v for _, v in usual["curve"]] == [pytest.approx(110)] * 96
        assert [row[1:] for row in usual["band"]] == [[pytest.approx(100), pytest.approx(300)]] * 96


def test_like_days_are_of_the_same_kind() -> None:
    monday, sunday = date(2025, 1, 6), date(2025, 1, 5)
    assert [d.weekday() for d in like_days(monday)] == [4, 3, 2, 1, 0, 4, 3, 2]
    assert [d.day for d in like_days(sunday)] == [29, 22, 15, 8]
    assert len(like_days(monday)) == MOST_DAYS


@given(st.lists(st.lists(st.floats(0, 1e6), min_size=4, max_size=4), min_size=LEAST_LIKE, max_size=MOST_DAYS))
def test_the_expected_course_lies_between_the_days_it_is_made_of(days: list[list[float]]) -> None:
    found, known = expected(np.array(days)), np.array(days)
    assert found is not None
    assert (known.min(axis=0) <= found).all()
    assert (found <= known.max(axis=0)).all()


def test_days_with_holes_do_not_count() -> None:
    whole, torn = [1.0] * 10, [np.nan] * 5 + [9.0] * 5
    assert expected(np.array([whole, whole, torn])) is None
    assert expected(np.array([whole, whole, whole, torn])).tolist() == whole  # type: ignore[union-attr]
    assert expected(np.empty((0, 96))) is None


def test_the_band_is_of_the_days_that_count() -> None:
    whole, more, torn = [1.0, 1.0, 1.0, 1.0, np.nan], [3.0] * 5, [9.0] * 2 + [np.nan] * 3
    assert between(np.array([whole, more, torn])).tolist() == [[1.0, 1.0, 1.0, 1.0, 3.0], [3.0] * 5]


async def test_many_who_ask_are_one_computation() -> None:
    asked = []
    shared = Shared[int](asyncio.Semaphore(1), keep_s=60.0)

    async def compute() -> int:
        asked.append(1)
        await asyncio.sleep(0)
        return 7

    assert await asyncio.gather(*(shared.get("", compute) for _ in range(20))) == [7] * 20
    assert len(asked) == 1


async def test_a_computation_that_fails_is_tried_again() -> None:
    shared = Shared[int](asyncio.Semaphore(1), keep_s=60.0)

    async def failing() -> int:
        raise OSError("disk")

    async def working() -> int:
        return 7

    with pytest.raises(OSError, match="disk"):
        await shared.get("", failing)
    assert await shared.get("", working) == 7


async def test_the_day_of_a_clock_change_compares_equal_clock_times(tmp_path: Path) -> None:
    """On 2025-03-30 Berlin's clocks go from 2 to 3: at noon there 11 hours have passed, and yesterday 12 had."""
    config = CONFIG.replace("Asia/Shanghai", "Europe/Berlin").replace("CN-GD", "DE")
    noon_s = 1_743_328_800 - START_NS // 10**9
    async with asked_plant(tmp_path, noon_s, config=config) as plant:
        begin_s = noon_s - 11 * HOUR_S
        await plant.steady(IMPORT, begin_s - DAY_S, noon_s, 100.0)
        await plant.book(noon_s)
        found = await plant.get("/api/overview")
        assert found["today"]["energy_kwh"] == pytest.approx(1_100)
        assert found["yesterday"]["energy_kwh"] == pytest.approx(1_200, abs=0.1)
        assert len(found["curve"]["today"]) == 11 * HOUR_S // QUARTER_S
