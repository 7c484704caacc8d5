"""The simulated demo factory and a gateway that reads it, in this process; two alerts fire, one is about to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from config.alerts import Threshold
from config.load import load
from config.model import Api
from pipeline.clock import SECOND_NS, Clock
from simulators.scenario import Scenario
from simulators.serve import serve as serve_devices
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tanflow.running import DEMO_SCENARIO
from tanflow.web.server import serve
from tests.services.ports import free_port
from tests.tanflow.factory import NOON_NS
from tests.waiting import DEADLINE_S, until

FIRES, WARNS, WAITS = "site-draws-power", "compressor-runs", "chiller-runs"
_BEGUN_NS = 75 * SECOND_NS
ADVICE = "Look at what is on"
ALERTS: dict[str, Any] = {
    FIRES: Threshold(point="main-meter.power", above=1.0, severity="critical", advice=ADVICE),
    WARNS: Threshold(point="compressor-1.power", above=1.0, clear_below=0.5),
    WAITS: Threshold(point="chiller-1.power", above=1.0, hold_s=86_400.0, severity="info"),
}


@dataclass(slots=True)
class Plant:
    """A running gateway and the address of its page; its page can be taken away and brought back."""

    gateway: Gateway
    api: Api
    data: Path
    _serving: asyncio.Task[None] | None = field(default=None)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.api.port}/"

    async def answer(self) -> None:
        """Serve page and API, and return when they answer."""
        self._serving = asyncio.create_task(serve(self.gateway, self.api), name="page")
        async with asyncio.timeout(DEADLINE_S), httpx.AsyncClient(timeout=DEADLINE_S) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    await client.get(self.base)
                    return
                await asyncio.sleep(0.05)

    async def fall_silent(self) -> None:
        """Stop serving: every connection ends and none is taken."""
        if self._serving:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
            self._serving = None


@asynccontextmanager
async def running(data: Path, speed: float = 10.0) -> AsyncIterator[Plant]:
    """Run factory and gateway until its alerts are there; the data lies in `data`."""
    loaded = load(DEMO_SCENARIO.parent / "factory.yaml")
    alerts = loaded.gateway.model_copy(update={"alerts": loaded.gateway.alerts | ALERTS})
    scenario, clock, stop = Scenario.load(DEMO_SCENARIO), Clock(NOON_NS, speed=speed), asyncio.Event()
    devices, step = scenario.devices()
    async with serve_devices(alerts, loaded.templates, devices, step=step, free_ports=True) as served:
        api = Api(port=free_port())
        place = loaded.gateway.data.model_copy(update={"dir": data, "ballast_mb": 1})
        config = served.gateway.model_copy(update={"api": api, "data": place})
        factory = asyncio.create_task(served.run(clock), name="factory")
        async with open_gateway(config, loaded.templates, clock=clock) as gateway:
            reading = asyncio.create_task(gateway.run(stop), name="gateway")
            plant = Plant(gateway, api, data)
            try:
                await plant.answer()
                await until(lambda: {FIRES, WARNS} <= {e.name for e in gateway.desk.open.values()}, what="open alerts")
                await until(lambda: clock.monotonic_ns() > _BEGUN_NS, what="a whole minute of the flow of energy")
                yield plant
            finally:
                await plant.fall_silent()
                stop.set()
                await reading
                factory.cancel()
