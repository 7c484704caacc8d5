"""A gateway of a small plant whose rows a test appends itself, and its account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from carbon.entries import MICRO, Entries
from carbon.ledger import Ledger
from config.load import load
from pipeline.batch import DERIVED, INPUT, Header, make
from pipeline.clock import SECOND_NS, Clock
from pipeline.heartbeat import TICK_KEY
from pipeline.log.writer import Entry
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway

START_NS = 1_735_660_800 * SECOND_NS  # 2025-01-01T00:00 in Shanghai
HOUR_S = 3600
IMPORT, PRESS, GAS, SUN = (
    "main.import.energy", "press.import.energy", "oven.volume.volume", "roof.energy_export.energy",
)  # fmt: skip

CONFIG = """
version: 1
site: {name: works, zone: Asia/Shanghai, region: CN-GD}
api: null
data: {commit_ms: 10, ballast_mb: 1}
connections:
  floor: {protocol: modbus}
areas:
  hall:
    assets:
      main:
        type: meter
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/1
            points: {import: {quantity: energy_index, unit: kWh, modbus: {address: 0, type: float32}}}
      press:
        type: other
        fed_by: main
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/2
            points: {import: {quantity: energy_index, unit: kWh, modbus: {address: 0, type: float32}}}
      oven:
        type: furnace
        carrier: natural_gas
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/3
            points:
              volume:
                {quantity: volume_index, unit: m3, reference: {celsius: 0}, modbus: {address: 0, type: uint32}}
      roof:
        type: pv
        carrier: solar
        fed_by: main
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/4
            points: {energy_export: {quantity: energy_index, unit: kWh, modbus: {address: 0, type: float32}}}
"""


@dataclass(slots=True)
class Plant:
    """An open gateway; `offsets_s` count from the first of January 2025 of the plant."""

    gateway: Gateway
    folder: Path

    async def append(
        self, key: str, ends_s: Sequence[float], values: Sequence[float], span_s: float, quality: int = 0
    ) -> None:
        """Commit amounts of intervals."""
        times = [START_NS + int(s * SECOND_NS) for s in ends_s]
        series = self.gateway.table.ids[key]
        header = Header("floor", self.gateway.table.revision, self.gateway.clock.boot, times[-1], 0, DERIVED)
        rows = make(header, times, [series] * len(times), values, quality, int(span_s * SECOND_NS))
        await self.gateway.log.append(Entry([rows]))

    async def tick(self, at_s: float) -> None:
        """Let the gateway's clock be seen at a time."""
        now = START_NS + int(at_s * SECOND_NS)
        header = Header("gateway", self.gateway.table.revision, self.gateway.clock.boot, now, 0, INPUT)
        await self.gateway.log.append(Entry([make(header, now, [self.gateway.table.ids[TICK_KEY]], 1.0)]))

    async def book(self) -> None:
        """Let the account read everything there is."""
        while await self.gateway.accountant.step():
            pass

    def entries(self) -> Entries:
        """Return what is effective."""
        with Ledger.open(self.folder) as ledger:
            return Entries.join(list(ledger.read()))

    def kwh(self, line: str) -> Mapping[int, float]:
        """Return the energy of a line by the hour it begins in."""
        return self._by_hour(line, "energy")

    def kg(self, line: str) -> Mapping[int, float]:
        """Return all gases of a line by the hour it begins in."""
        return self._by_hour(line, "co2e")

    def _by_hour(self, line: str, column: str) -> Mapping[int, float]:
        with Ledger.open(self.folder) as ledger:
            (number,) = [n for n, known in ledger.lines.items() if known.key == line]
            rows = Entries.join(list(ledger.read(lines={number})))
        hours = (rows.start_ns - START_NS) // (HOUR_S * SECOND_NS)
        return dict(zip(hours.tolist(), (getattr(rows, column) / MICRO).tolist(), strict=True))


@asynccontextmanager
async def open_plant(folder: Path, config: str = CONFIG) -> AsyncIterator[Plant]:
    """Open the plant's gateway; its data directory lies in the folder."""
    path = folder / "gateway.yaml"
    path.write_text(config, "utf-8")
    loaded = load(path)
    clock = Clock(anchor_ns=START_NS)
    async with open_gateway(loaded.gateway, loaded.templates, clock=clock) as gateway:
        yield Plant(gateway, loaded.gateway.data.dir)
