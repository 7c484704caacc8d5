"""A gateway of a small plant whose rows a test appends, its account booked, and a client of its API beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from config.load import load
from config.model import Api
from pipeline.batch import DERIVED, INPUT, Header, make
from pipeline.clock import SECOND_NS, Clock
from pipeline.heartbeat import TICK_KEY
from pipeline.log.writer import Entry
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tanflow.web.app import application
from tests.waiting import until

START_NS = 1_735_660_800 * SECOND_NS  # 2025-01-01T00:00 in Shanghai, a Wednesday
QUARTER_S, HOUR_S, DAY_S = 900, 3_600, 86_400
POWER, IMPORT, EXPORT = "main.power.power", "main.energy_import.energy", "main.energy_export.energy"
PRESS, GAS, STEEL, SUN = "press.import.energy", "oven.volume.volume", "oven.mass.mass", "roof.energy_export.energy"
GRID, MARKET = 0.4403, 0.5856  # kg/kWh, Guangdong and China outside market trades, data of 2022

CONFIG = """
version: 1
site: {{name: works, zone: Asia/Shanghai, region: CN-GD}}
api: null
data: {{commit_ms: 10, ballast_mb: 1}}
accounting: {{market: {{uncovered: ex_market}}}}
{more}
connections:
  floor: {{protocol: modbus}}
areas:
  hall:
    assets:
      main:
        type: meter
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/1
            points:
              power: {{quantity: power, unit: kW, modbus: {{address: 8, type: float32}}}}
              energy_import: {{quantity: energy_index, unit: kWh, modbus: {{address: 0, type: float32}}}}
              energy_export: {{quantity: energy_index, unit: kWh, modbus: {{address: 2, type: float32}}}}
      press:
        type: compressor
        fed_by: main
        facts: {{drive: fixed_speed_oil_injected_rotary, cooling: air, rated_kw: 55, pressure_mpa: 0.7}}
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/2
            points:
              import: {{quantity: energy_index, unit: kWh, modbus: {{address: 0, type: float32}}}}
              power: {{quantity: power, unit: kW, modbus: {{address: 2, type: float32}}}}
              flow: {{quantity: volume_flow, unit: m3/h, modbus: {{address: 4, type: float32}}}}
              state: {{quantity: state, unit: "1", modbus: {{address: 6}}}}
      roof:
        type: pv
        carrier: solar
        fed_by: main
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/4
            points: {{energy_export: {{quantity: energy_index, unit: kWh, modbus: {{address: 0, type: float32}}}}}}
  melting:
    assets:
      oven:
        type: furnace
        carrier: natural_gas
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/3
            points:
              volume:
                {{quantity: volume_index, unit: m3, reference: {{celsius: 0}}, modbus: {{address: 0, type: uint32}}}}
              mass: {{quantity: mass_index, unit: t, carrier: product, modbus: {{address: 2, type: uint32}}}}
"""


@dataclass(slots=True)
class Asked:
    """An open gateway and a client; seconds count from the first of January 2025 of the plant."""

    gateway: Gateway
    client: httpx.AsyncClient
    folder: Path

    async def get(self, path: str) -> dict[str, Any]:
        """Return the answer of an address."""
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def amounts(self, key: str, ends_s: Sequence[float], values: Sequence[float], span_s: float) -> None:
        """Commit amounts of intervals of one length."""
        times = [START_NS + int(s * SECOND_NS) for s in ends_s]
        series = self.gateway.table.ids[key]
        rows = make(self._header(times[-1], DERIVED), times, [series] * len(times), values, 0, int(span_s * SECOND_NS))
        await self.gateway.log.append(Entry([rows]))
        await until(lambda: self.gateway.latest.time_ns[series] == times[-1], what="the newest amounts")

    async def steady(self, key: str, from_s: int, to_s: int, per_hour: float) -> None:
        """Commit an even flow as amounts of quarter hours, and what is left of the last one."""
        ends = [*range(from_s + QUARTER_S, to_s + 1, QUARTER_S)]
        await self.amounts(key, ends, [per_hour / 4] * len(ends), QUARTER_S)
        if rest := (to_s - from_s) % QUARTER_S:
            await self.amounts(key, [to_s], [per_hour * rest / HOUR_S], rest)

    async def show(self, key: str, at_s: float, value: float, quality: int = 0) -> None:
        """Commit one reading."""
        at_ns, series = START_NS + int(at_s * SECOND_NS), self.gateway.table.ids[key]
        await self.gateway.log.append(Entry([make(self._header(at_ns, INPUT), at_ns, [series], value, quality)]))
        await until(lambda: self.gateway.latest.time_ns[series] == at_ns, what="the newest reading")

    async def book(self, upto_s: float) -> None:
        """Let the gateway's clock be seen at a time, and the account read everything there is."""
        at_ns = START_NS + int(upto_s * SECOND_NS)
        rows = make(self._header(at_ns, INPUT), at_ns, [self.gateway.table.ids[TICK_KEY]], 1.0)
        await self.gateway.log.append(Entry([rows]))
        while await self.gateway.accountant.step():
            pass

    def _header(self, at_ns: int, stratum: int) -> Header:
        return Header("floor", self.gateway.table.revision, self.gateway.clock.boot, at_ns, 0, stratum)


@asynccontextmanager
async def asked_plant(folder: Path, now_s: float, more: str = "", config: str = CONFIG) -> AsyncIterator[Asked]:
    """Open the plant's gateway with its clock at `now_s`; `more` stands among the blocks of its configuration."""
    path = folder / "gateway.yaml"
    path.write_text(config.format(more=more), "utf-8")
    loaded = load(path)
    clock = Clock(anchor_ns=START_NS - 400 * DAY_S * SECOND_NS)  # before all that is to be booked
    async with open_gateway(loaded.gateway, loaded.templates, base=folder, clock=clock) as gateway:
        clock.anchor_ns = START_NS + int(now_s * SECOND_NS)
        app = application(gateway, Api(), "").app
        following = asyncio.create_task(gateway.latest.run(gateway.log))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            try:
                yield Asked(gateway, client, gateway.directory.path)
            finally:
                following.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await following
