"""The simulated factory and a gateway that reads it into a database, both running on one clock until the test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.load import load
from config.model import Gateway as Config
from pipeline.clock import Clock
from simulators.device import Device
from simulators.scenario import Scenario
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tanflow.running import DEMO_SCENARIO
from tanflow.tally import Tally


@dataclass(frozen=True, slots=True)
class Factory:
    """The gateway, ready to run; the machines with their truth; and the account of everything accepted."""

    gateway: Gateway
    devices: Mapping[str, Device]
    tally: Tally

    def account(self) -> Tally:
        """Return the account up to the end of the log."""
        while self.tally.step(self.gateway.log):
            pass
        return self.tally


def configured(sink: Mapping[str, Any], every_s: float, **changed: Any) -> Config:
    """Return the factory's configuration with a sink, everything read each `every_s`, and blocks replaced."""
    data = load(DEMO_SCENARIO.parent / "factory.yaml").gateway.model_dump()
    for connection in data["connections"].values():
        if connection["protocol"] != "mqtt":
            connection["every_s"] = every_s
    data["areas"]["utilities"]["assets"]["pv-1"]["devices"]["inverter"]["every_s"] = every_s
    return Config.model_validate(data | {"api": None, "sinks": {"influx": sink}} | changed)


@asynccontextmanager
async def factory(config: Config, folder: Path, clock: Clock, step_s: float = 1.0) -> AsyncIterator[Factory]:
    """Serve the demo's machines on free ports, stepping on `clock`, and open a gateway for them in `folder`."""
    scenario = Scenario.load(DEMO_SCENARIO).model_copy(update={"step_s": step_s})
    templates = load(DEMO_SCENARIO.parent / "factory.yaml").templates
    config = config.model_copy(update={"data": config.data.model_copy(update={"dir": folder})})
    async with (
        scenario.open(clock, gateway=config, templates=templates, free_ports=True) as served,
        open_gateway(served.gateway, templates, clock=clock) as gateway,
    ):
        yield Factory(gateway, served.devices, Tally(gateway.table, gateway.history.cursor))
