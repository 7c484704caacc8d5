"""The API of a gateway that reads the simulated factory: what the plant shows is what a client sees."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.tanflow.factory import read_factory

ENERGY = "main-meter.energy_import.energy"


async def test_a_running_factory_is_seen(tmp_path: Path) -> None:
    keys = (ENERGY, "furnace-1.volume.co2e", "pv-1.power.power", "chiller-1.power.power")
    async with read_factory(tmp_path, *keys) as (_, client):
        await _check(client, ENERGY)


async def _check(client: httpx.AsyncClient, energy: str) -> None:
    health = (await client.get("/api/health")).json()
    assert (health["state"], health["reasons"]) == ("ok", [])
    links = health["components"]["collector.floor"]["links"]
    assert {name: links[name] for name in ("known", "wrong", "what")} == {"known": 4, "wrong": 0, "what": {}}
    latest = (await client.get("/api/latest", params={"asset": "main-meter"})).json()["latest"]
    power = latest["main-meter.power.power"]
    assert power["value"] > 0
    assert (power["unit"], power["quality"]) == ("kW", "good")
    index = energy + "_index"
    columns = {
        c["key"]: c for c in (await client.get("/api/query", params={"series": [energy, index]})).json()["series"]
    }
    register = columns[index]["value"]
    assert sum(columns[energy]["value"]) == pytest.approx(register[-1] - register[0], abs=1e-6)
    metrics = (await client.get("/metrics")).text
    assert 'tanflow_up{component="collector.plc"} 1\n' in metrics
    assert 'tanflow_up{component="collector.broker"} 1\n' in metrics
