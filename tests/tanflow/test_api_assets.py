"""Assets over HTTP: the tree with what each takes and how it is, and of one asset every kilogram with its factor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from carbon.ledger import Ledger
from pipeline.clock import SECOND_NS
from tanflow.web.site.state_words import meanings
from tests.tanflow.asked_plant import (
    DAY_S,
    GAS,
    GRID,
    HOUR_S,
    IMPORT,
    MARKET,
    POWER,
    PRESS,
    START_NS,
    Asked,
    asked_plant,
)

NOW_S = DAY_S + 10.5 * HOUR_S
KPI = "press.specific-power-loaded"


async def a_morning(plant: Asked) -> None:
    for key, rate in ((IMPORT, 200.0), (PRESS, 80.0), (GAS, 10.0)):
        await plant.steady(key, DAY_S, int(NOW_S), rate)
    await plant.show(POWER, NOW_S - 2, -30.0)
    await plant.show("press.power.power", NOW_S - 2, 81.0)
    await plant.show("press.state.state", NOW_S - 2, 2.0)
    await plant.book(NOW_S)


def assets(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {asset["name"]: asset for area in found["areas"] for asset in area["assets"]}


async def test_the_tree_shows_what_each_asset_takes_and_how_it_runs(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await a_morning(plant)
        found = await plant.get("/api/assets")
        assert [(a["area"], [x["name"] for x in a["assets"]]) for a in found["areas"]] == [
            ("hall", ["main", "press", "roof"]), ("melting", ["oven"]),
        ]  # fmt: skip
        tree = assets(found)
        press, oven = tree["press"], tree["oven"]
        assert (press["power_kw"], press["fed_by"], press["state"], press["quality"]) == (81.0, "main", "ok", "good")
        assert 2.0 <= press["age_s"] < 60  # the clock runs on
        assert press["co2_kg_per_h"] == pytest.approx(81 * GRID)
        assert press["running"] == {"key": "press.state.state", "value": 2.0, "meaning": "loaded"}
        assert oven["power_kw"] == pytest.approx(
            10 * plant.gateway.books.rules["oven.natural_gas"][0][1].factors[0].kwh
        )
        assert oven["co2_kg_per_h"] > 0
        assert tree["main"]["power_kw"] == -30.0  # it gives away
        assert tree["main"]["co2_kg_per_h"] == 0.0
        roof = tree["roof"]
        assert (roof["power_kw"], roof["co2_kg_per_h"], roof["age_s"], roof["quality"]) == (None,) * 4
        assert (roof["state"], roof["running"]) == ("stale", None)


async def test_a_device_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        counters = plant.gateway.board.component("collector.floor")
        counters.links = {"press.m": "no answer within 1 s", "main.m": ""}
        assert assets(await plant.get("/api/assets"))["press"]["state"] == "down"
        (device,) = (await plant.get("/api/assets/press"))["devices"]
        assert device == {
            "name": "m", "connection": "floor", "protocol": "modbus", "address": "127.0.0.1:9/2", "template": None,
            "state": "down", "last_error": "no answer within 1 s",
        }  # fmt: skip


async def test_a_device_that_answers_too_slowly_is_slow_and_not_down(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        counters = plant.gateway.board.component("collector.floor")
        counters.links, counters.slow = {"press.m": "takes longer to answer than its period of 1 s"}, {"press.m"}
        assert assets(await plant.get("/api/assets"))["press"]["state"] == "degraded"
        (device,) = (await plant.get("/api/assets/press"))["devices"]
        assert (device["state"], device["last_error"]) == ("slow", counters.links["press.m"])


async def test_an_asset_shows_its_points_states_and_figures_with_their_bands(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await a_morning(plant)
        await plant.show(f"{KPI}.kpi", DAY_S + 10 * HOUR_S, 6.2)
        await plant.show(f"{KPI}.completeness", DAY_S + 10 * HOUR_S, 0.98)
        await plant.show(f"{KPI}.grade", DAY_S + 10 * HOUR_S, 2.0)
        found = await plant.get("/api/assets/press")
        assert found["about"]["area"] == "hall"
        assert found["about"]["facts"]["rated_kw"] == 55
        points = {point["key"]: point for point in found["points"]}
        power = points["press.power.power"]
        assert (power["label"], power["value"], power["unit"], power["measured"]) == ("power", 81.0, "kW", True)
        assert points["press.flow.volume_flow"]["value"] is None
        assert found["states"] == [
            {"key": "press.state.state", "label": "state", "meaning": {"0": "stopped", "1": "unloaded", "2": "loaded"}}
        ]
        kpi = next(kpi for kpi in found["kpis"] if kpi["name"] == "specific-power-loaded")
        assert (kpi["value"], kpi["completeness"], kpi["grade"]) == (6.2, 0.98, 2)
        assert kpi["end_ns"] == START_NS + (DAY_S + 10 * HOUR_S) * SECOND_NS
        assert kpi["limits"] == {"1": 6.0, "2": 6.5, "3": 7.2}  # GB 19153-2019, table 1: 55 kW, 0.7 MPa, air-cooled
        assert kpi["higher_is_better"] is False
        assert kpi["standard"]["title"] == "GB 19153-2019"
        assert kpi["standard"]["source"]
        assert (kpi["graded"][:21], kpi["ungraded"]) == ("GB 19153-2019 (Drive:", None)
        unseen = next(kpi for kpi in found["kpis"] if kpi["name"] == "specific-power")
        assert (unseen["value"], unseen["end_ns"], unseen["limits"]) == (None, None, None)


async def test_every_kilogram_of_today_is_an_amount_times_a_factor_with_its_source(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await a_morning(plant)
        rows = (await plant.get("/api/assets/press"))["carbon"]
        assert {(r["part"], r["method"], r["scope"]) for r in rows} >= {
            (part, method, 2) for part in ("booked", "provisional") for method in ("location", "market")
        }
        for row in rows:
            assert row["reading"] == PRESS
            assert row["co2e_kg"] == pytest.approx(row["amount"] * row["factor"]["value"], abs=2e-5)
            assert row["factor"]["publisher"]
            assert row["factor"]["source"]
            assert row["factor"]["year"] >= 2022
        by_part = {r["part"]: r for r in rows if r["method"] == "location" and r["scope"] == 2}
        assert by_part["booked"]["factor"]["value"] == GRID
        assert by_part["booked"]["amount"] + by_part["provisional"]["amount"] == pytest.approx(10.5 * 80)
        assert by_part["booked"]["to_ns"] == by_part["provisional"]["from_ns"]
        market = next(r for r in rows if (r["part"], r["method"]) == ("booked", "market"))
        assert market["factor"]["value"] == MARKET
        with Ledger.open(plant.folder) as ledger:
            (number,) = [n for n, x in ledger.lines.items() if (x.asset, x.scope, x.method) == ("press", 2, "location")]
            booked = sum(int(e.co2e.sum()) for e in ledger.read(lines={number}))
        assert by_part["booked"]["co2e_kg"] == booked / 1e6


async def test_an_asset_nobody_knows_is_a_sentence(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        answer = await plant.client.get("/api/assets/presse")
        assert answer.status_code == 404
        assert "did you mean 'press'" in answer.json()["error"]


def test_a_note_of_states_is_read_by_number() -> None:
    assert meanings("0 stopped, 1 unloaded, 2 loaded") == {0: "stopped", 1: "unloaded", 2: "loaded"}
    assert meanings("") == {}
