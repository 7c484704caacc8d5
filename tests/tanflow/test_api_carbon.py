"""A year of the account over HTTP: months by scope as in the ledger and the report, corrections and substitutions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from carbon.factor import FactorSteps
from carbon.ledger import Ledger, Reason
from carbon.restate import Span, restate_factors
from tests.tanflow.asked_plant import DAY_S, GAS, GRID, HOUR_S, IMPORT, MARKET, START_NS, SUN, Asked, asked_plant

NOW_S = 32 * DAY_S
WHY = Reason("restatement", "factor of 2023", "Li", "Wang", "factors mee")


async def a_month(plant: Asked) -> None:
    """100 kWh and 10 m³ an hour on the 1st of January and the 1st of February, 5 kWh of it the roof's."""
    for day in (0, 31):
        for key, rate in ((IMPORT, 100.0), (GAS, 10.0), (SUN, 5.0)):
            await plant.steady(key, day * DAY_S, day * DAY_S + DAY_S, rate)
    await plant.book(NOW_S + HOUR_S)


def restate(plant: Asked, ratio: float) -> None:
    """Count January's electricity by another factor of the location."""
    with Ledger.open(plant.folder, write=True) as ledger:
        wanted = [n for n, line in ledger.lines.items() if (line.scope, line.method) == (2, "location")]
        old = next(f for f in ledger.factors.values() if f.total == GRID)
        new = replace(old, id="mee/other", kg=tuple(ratio * kg for kg in old.kg))  # type: ignore[arg-type]
        span = Span(START_NS, START_NS + 31 * DAY_S * 10**9, plant.gateway.books.zone)
        restate_factors(ledger, dict.fromkeys(wanted, FactorSteps.constant(new)), span, WHY)


async def test_months_are_those_of_the_ledger_and_the_report(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await a_month(plant)
        found = await plant.get("/api/carbon?year=2025")
        january, february, march = found["months"][:3]
        assert (january["month"], len(found["months"])) == ("2025-01", 12)
        assert january["scope2_location"] == pytest.approx(24 * 100 * GRID)
        assert january["scope2_market"] == pytest.approx(24 * 100 * MARKET)
        assert january["scope1"] > 0
        assert february["scope1"] == january["scope1"]
        assert (january["estimated_share"], january["substituted_share"], january["restated"]) == (0.0, 0.0, 0)
        assert {name: march[name] for name in ("scope1", "scope2_location", "energy_kwh")} == {
            "scope1": None, "scope2_location": None, "energy_kwh": None,
        }  # fmt: skip
        report = await plant.get("/api/report?year=2025&format=json")
        said = {row["month"]: row for row in report["tables"]["months"]["rows"]}
        for month in (january, february):
            row = said[month["month"]]
            assert month["scope1"] == row["scope_1_kg"]
            assert month["scope2_location"] == row["scope_2_location_kg"]
            assert month["scope2_market"] == row["scope_2_market_kg"]
            assert month["scope3"] == row["scope_3_kg"]
        energies = {row["month"]: row["energy_kwh"] for row in report["tables"]["energy_months"]["rows"]}
        assert january["energy_kwh"] == energies["2025-01"]
        assert report["cover"]["ledger"] == found["head"]
        lines = {(row["stream"], row["scope"], row["method"]): row["co2e_kg"] for row in found["lines"]}
        assert lines["main.electricity", 2, "location"] == pytest.approx(48 * 100 * GRID)


async def test_a_restatement_is_told_with_who_why_and_by_how_much(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await a_month(plant)
        before = (await plant.get("/api/carbon"))["months"]
        restate(plant, 0.5)
    async with asked_plant(tmp_path, NOW_S) as plant:
        found = await plant.get("/api/carbon?year=2025")
        assert found["months"][0]["scope2_location"] == pytest.approx(before[0]["scope2_location"] / 2)
        assert (found["months"][0]["restated"], found["months"][1]["restated"]) == (1, 0)
        (told,) = found["restatements"]
        said = (told["who"], told["approved_by"], told["why"], told["month"])
        assert said == ("Li", "Wang", "factor of 2023", "2025-01")
        assert told["difference_kg"] == pytest.approx(-before[0]["scope2_location"] / 2)
        assert told["to"] - told["from"] == pytest.approx(told["difference_kg"])
        assert told["market"]["to"] == told["market"]["from"]


async def test_what_was_substituted_is_told_with_its_method(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await a_month(plant)
        with Ledger.open(plant.folder, write=True) as ledger, ledger.writing() as w:
            (number,) = [n for n, x in ledger.lines.items() if (x.stream, x.method) == ("main.electricity", "location")
                         and x.scope == 2]  # fmt: skip
            (entries,) = ledger.read(START_NS, START_NS + HOUR_S * 10**9, {number})
            filled = replace(entries, substituted=entries.amount)
            w.entries(filled, Reason("substitution", "meter was off", "Li", "", "like windows"))
    async with asked_plant(tmp_path, NOW_S) as plant:
        found = await plant.get("/api/carbon?year=2025")
        (told,) = found["substitutions"]
        assert (told["stream"], told["method"], told["who"]) == ("main.electricity", "like windows", "Li")
        assert (told["kwh"], told["co2_kg"]) == (pytest.approx(100), pytest.approx(100 * GRID))
        assert found["months"][0]["substituted_share"] > 0


async def test_a_year_without_entries_is_unknown_and_what_is_no_year_a_sentence(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        found = await plant.get("/api/carbon")
        assert found["year"] == 2025
        assert {month["scope1"] for month in found["months"]} == {None}
        assert found["lines"] == found["restatements"] == found["substitutions"] == []
        for wrong in ("year=soon", "year=25", "year=-1"):
            answer = await plant.client.get(f"/api/carbon?{wrong}")
            assert (answer.status_code, "is no year" in answer.json()["error"]) == (400, True)
