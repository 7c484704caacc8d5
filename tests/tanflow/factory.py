"""The simulated factory on real sockets and a gateway that reads it, with a client of its API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from config.load import load
from config.model import Api
from pipeline.clock import Clock
from simulators.scenario import Scenario
from simulators.serve import serve
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tanflow.running import DEMO_SCENARIO, add_page
from tests.services.ports import free_port
from tests.waiting import DEADLINE_S, until

NOON_NS = 1_781_582_400_000_000_000  # of 2026-06-16 in Shanghai, so that the sun shines on its PV


@asynccontextmanager
async def read_factory(data: Path, *keys: str) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    """Run both, its data in `data`, from when each of some series has a value."""
    loaded = load(DEMO_SCENARIO.parent / "factory.yaml")
    scenario, clock, stop = Scenario.load(DEMO_SCENARIO), Clock(anchor_ns=NOON_NS), asyncio.Event()
    devices, step = scenario.devices()
    async with serve(loaded.gateway, loaded.templates, devices, step=step, free_ports=True) as served:
        api = Api(port=free_port())
        place = loaded.gateway.data.model_copy(update={"dir": data, "ballast_mb": 1})
        config = served.gateway.model_copy(update={"api": api, "data": place})
        plant = asyncio.create_task(served.run(clock))
        async with open_gateway(config, loaded.templates, clock=clock) as gateway:
            add_page(gateway)
            running = asyncio.create_task(gateway.run(stop))
            try:
                seen = [gateway.table.ids[key] for key in keys]
                await until(lambda: all(gateway.latest.time_ns[seen] > 0), DEADLINE_S, "a value of every series")
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}", timeout=DEADLINE_S) as client:
                    yield gateway, client
            finally:
                stop.set()
                await running
                plant.cancel()
