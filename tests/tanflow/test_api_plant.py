"""The API of a gateway that reads the simulated factory: what the plant shows is what a client sees."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from config.load import load
from config.model import Api
from pipeline.clock import Clock
from simulators.scenario import Scenario
from simulators.serve import serve
from tanflow.gateway import open_gateway
from tanflow.running import DEMO_SCENARIO, add_page
from tests.services.ports import free_port
from tests.waiting import until


async def test_a_running_factory_is_seen(tmp_path: Path) -> None:
    loaded = load(DEMO_SCENARIO.parent / "factory.yaml")
    scenario, clock, stop = Scenario.load(DEMO_SCENARIO), Clock(), asyncio.Event()
    devices, step = scenario.devices()
    async with serve(loaded.gateway, loaded.templates, devices, step=step, free_ports=True) as served:
        api = Api(port=free_port())
        data = loaded.gateway.data.model_copy(update={"dir": tmp_path, "ballast_mb": 1})
        config = served.gateway.model_copy(update={"api": api, "data": data})
        plant = asyncio.create_task(served.run(clock))
        async with open_gateway(config, loaded.templates, clock=clock) as gateway:
            add_page(gateway)
            running = asyncio.create_task(gateway.run(stop))
            ids, latest = gateway.table.ids, gateway.latest
            energy = "main-meter.energy_import.energy"
            seen = [ids[key] for key in (energy, "furnace-1.volume.co2e", "pv-1.power.power", "chiller-1.power.power")]
            await until(lambda: all(latest.time_ns[seen] > 0), 30, "a value of every protocol")
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}") as client:
                await _check(client, energy)
            stop.set()
            await running
        plant.cancel()


async def _check(client: httpx.AsyncClient, energy: str) -> None:
    health = (await client.get("/api/health")).json()
    assert (health["state"], health["reasons"]) == ("ok", [])
    assert health["components"]["collector.floor"]["links"] == {"known": 4, "wrong": 0, "what": {}}
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
