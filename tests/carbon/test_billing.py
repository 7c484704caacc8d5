"""The bill of a month from the ledger: energy by the hour, demand, power factor; own power apart; command and API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from config.model import Api
from tanflow.cli import main
from tanflow.web.app import application
from tests.carbon.plant import CONFIG, HOUR_S, IMPORT, PRESS, SUN, Plant, open_plant

POINTS = """points:
              import: {quantity: energy_index, unit: kWh, modbus: {address: 0, type: float32}}
              export: {quantity: energy_index, unit: kWh, modbus: {address: 2, type: float32}}
              var: {quantity: reactive_energy_index, unit: kvarh, modbus: {address: 4, type: float32}}
"""
FIRST = "points: {import: {quantity: energy_index, unit: kWh, modbus: {address: 0, type: float32}}}\n"
PLANT = CONFIG.replace(FIRST, POINTS, 1).replace("connections:", "accounting: {tariff: tariff.yaml}\nconnections:", 1)
TARIFF = """
name: south
currency: CNY
source: contract 7
versions:
  - valid_from: 2025-01-01
    prices: {day: 0.9, night: 0.4}
    kinds: {all: {hours: {day: [8-20], night: [0-8, 20-24]}}}
    fees: {levies: 0.1}
    demand: {price: 32}
    power_factor:
      source: notice 1
      table: [{at_least: 0.9, share: 0}, {at_least: 0.8, share: 0.05}, {at_least: 0, share: 0.1}]
"""


@asynccontextmanager
async def billed(folder: Path, config: str = PLANT) -> AsyncIterator[Plant]:
    """Book 100 kWh bought at nine and 50 at 21 o'clock with 112.5 kvarh; 40 kWh generated, 10 of them exported."""
    (folder / "tariff.yaml").write_text(TARIFF, "utf-8")
    async with open_plant(folder, config) as plant:
        await plant.append(IMPORT, [10 * HOUR_S, 22 * HOUR_S], [100.0, 50.0], HOUR_S)
        await plant.append(PRESS, [10 * HOUR_S], [60.0], HOUR_S)  # a part of it, never billed again
        await plant.append("main.var.reactive_energy", [10 * HOUR_S], [112.5], HOUR_S)
        await plant.append(SUN, [10 * HOUR_S], [40.0], HOUR_S)
        await plant.append("main.export.energy", [10 * HOUR_S], [10.0], HOUR_S)
        await plant.tick(30 * HOUR_S)
        await plant.book()
        yield plant


# 100 · 0.9 + 50 · 0.4 = 110; levies 150 · 0.1 = 15; demand 100 kW · 32 = 3,200; cos φ = 150/√(150² + 112.5²) = 0.8:
# 5 % of 110 + 3,200 = 165.50. Together 3,490.50 CNY. Own power used: 30 kWh · (0.9 + 0.1) = 30 CNY.
ITEMS = {"energy day": 90.0, "energy night": 20.0, "fees": 15.0, "demand": 3200.0, "power factor 0.80": 165.5}


async def test_the_api_bills_each_supply_point(tmp_path: Path) -> None:
    async with billed(tmp_path) as plant:
        transport = httpx.ASGITransport(application(plant.gateway, Api(), "").app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            found = (await client.get("/api/cost?month=2025-01")).json()
            (supply,) = found["supplies"]
            assert supply["stream"] == "main.electricity"
            assert {item["name"]: item["amount"] for item in supply["items"]} == ITEMS
            assert (supply["total"], found["total"], found["currency"]) == (3490.5, 3490.5, "CNY")
            assert found["own"] == {"generated_kwh": 40.0, "used_kwh": 30.0, "exported_kwh": 10.0, "avoided": 30.0}
            empty = (await client.get("/api/cost?month=2025-02")).json()
            assert (empty["supplies"], empty["total"]) == ([], 0.0)
            for wrong in ("month=2025-13", "month=2025-01&by=day"):
                answer = await client.get(f"/api/cost?{wrong}")
                assert answer.status_code == 400


async def test_without_a_tariff_it_says_how_to_write_one(tmp_path: Path) -> None:
    async with billed(tmp_path, PLANT.replace("accounting: {tariff: tariff.yaml}\n", "")) as plant:
        transport = httpx.ASGITransport(application(plant.gateway, Api(), "").app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = await client.get("/api/cost?month=2025-01")
            assert answer.status_code == 400
            assert "accounting: {tariff: tariff.yaml}" in answer.json()["error"]


def test_the_command_prints_the_bill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def book() -> None:
        async with billed(tmp_path):
            pass

    asyncio.run(book())

    def call(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["tanflow", "cost", "--month", "2025-01", "-c", "gateway.yaml", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    said = call()
    assert "3,490.50" in said
    assert "40.000 kWh, of them 30.000 used and 10.000 exported; what was used would have cost 30.00 CNY" in said
    assert orjson.loads(call("--json"))["total"] == 3490.5
