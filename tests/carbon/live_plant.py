"""A gateway with one meter and a live provider on loopback, whose clock a test moves on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson

from carbon.entries import Entries
from carbon.live.feed import IntensityFeed, intensity_key
from config.load import load
from pipeline.batch import DERIVED, INPUT, Batch, Header, make
from pipeline.clock import SECOND_NS, Clock
from pipeline.heartbeat import TICK_KEY
from pipeline.log.writer import Entry
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tests.carbon.intensity_server import Answer

HOUR_NS = 3_600 * SECOND_NS
QUARTER_NS = HOUR_NS // 4
GRACE_NS = 301 * SECOND_NS
LOCATION = "main.electricity/2/purchased_electricity/location"
MARKET = "main.electricity/2/purchased_electricity/market"

CONFIG = """
version: 1
site: {{name: works, zone: Europe/Madrid, region: ES}}
api: null
data: {{commit_ms: 10, ballast_mb: 1}}
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
            points: {{import: {{quantity: energy_index, unit: kWh, modbus: {{address: 0, type: float32}}}}}}
{factors}
"""
ANY_JSON = """
factors:
  live:
    provider: http_json
    url: "{url}/hours?start={{start}}&end={{end}}"
    publisher: electricity-maps
    publication: hours of 2022, direct
    zone: ES
    gas: co2e
    unit: g/kWh
    items: data
    time: t
    value: v
    estimated: e
    zone_at: zone
"""


def ns(iso: str) -> int:
    """Return an instant [ns] of UTC."""
    return int(datetime.fromisoformat(iso).replace(tzinfo=UTC).timestamp()) * SECOND_NS


START = ns("2022-03-26T00:00")  # the clocks of Spain go forward in the second night


@dataclass(slots=True)
class Lapsed(Clock):
    """Gateway time that stands until it is moved on."""

    elapsed_ns: int = 0

    def monotonic_ns(self) -> int:
        return self.elapsed_ns

    def set(self, time_ns: int) -> None:
        self.elapsed_ns = time_ns - self.anchor_ns


@dataclass(slots=True)
class Publisher:
    """A provider's hours [g/kWh] and whether they are estimated; each is out `lag_ns` after it has ended."""

    clock: Lapsed
    hours: dict[int, tuple[float | None, bool]] = field(default_factory=dict)
    lag_ns: int = 0
    zone: str = "ES"

    def __call__(self, path: str) -> Answer:
        asked = {key: ns(values[0].rstrip("Z")) for key, values in parse_qs(urlsplit(path).query).items()}
        out = self.clock.now_ns() - self.lag_ns - HOUR_NS
        told = [
            {"t": datetime.fromtimestamp(start // SECOND_NS, UTC).isoformat(), "v": value, "e": estimated}
            for start, (value, estimated) in sorted(self.hours.items())
            if asked["start"] <= start < asked["end"] and start <= out
        ]
        return Answer(orjson.dumps({"zone": self.zone, "data": told}))


@dataclass(slots=True)
class LivePlant:
    """An open gateway on a clock; times are instants of UTC [ns]."""

    gateway: Gateway
    clock: Lapsed
    feed: IntensityFeed | None
    folder: Path

    async def use(self, ends_ns: Sequence[int], kwh: Sequence[float], span_ns: int = QUARTER_NS) -> None:
        """Commit what the meter counted."""
        log, table = self.gateway.log, self.gateway.table
        header = Header("floor", table.revision, self.clock.boot, ends_ns[-1], 0, DERIVED)
        series = [table.ids["main.import.energy"]] * len(kwh)
        await log.append(Entry([make(header, list(ends_ns), series, list(kwh), 0, span_ns)]))

    async def reach(self, time_ns: int, *, fetch: bool = True) -> None:
        """Let the clock reach a time; ask the provider, tick, and book what is over."""
        self.clock.set(time_ns)
        if fetch and self.feed:
            await self.feed.fetch()
        table = self.gateway.table
        header = Header("gateway", table.revision, self.clock.boot, time_ns, 0, INPUT)
        await self.gateway.log.append(Entry([make(header, time_ns, [table.ids[TICK_KEY]], 1.0)]))
        while await self.gateway.accountant.step():
            pass

    def entries(self, line: str = LOCATION) -> Entries:
        """Return what is effective of a line."""
        ledger = self.gateway.ground.ledger
        numbers = {n for n, known in ledger.lines.items() if known.key == line}
        return Entries.join(list(ledger.read(lines=numbers)))

    def factors(self, line: str = LOCATION) -> list[tuple[str, float, str]]:
        """Return (id, kg/kWh, variant) of each effective entry of a line."""
        known = self.gateway.ground.ledger.factors
        used = [known[n] for n in self.entries(line).factor.tolist()]
        return [(f.id, round(f.total, 12), f.provenance.variant) for f in used]

    def rows(self) -> list[Batch]:
        """Return what the feed has appended."""
        batches = (b for w in self.gateway.log.reader.read_raw(0, 10**7) for b in w.batches)
        return [b for b in batches if b.header.note and "factors" in b.header.note]


@asynccontextmanager
async def open_live(folder: Path, clock: Lapsed, factors: str) -> AsyncIterator[LivePlant]:
    """Open the plant's gateway with a block of the configuration; its data directory lies in the folder."""
    path = folder / "gateway.yaml"
    path.write_text(CONFIG.format(factors=factors), "utf-8")
    loaded = load(path)
    live = loaded.gateway.factors.live
    async with open_gateway(loaded.gateway, loaded.templates, clock=clock) as gateway:
        feed = None
        if live:
            series = gateway.table.ids[intensity_key(loaded.gateway)]
            counters = gateway.board.component("factors")
            feed = IntensityFeed(live, gateway.log, clock, series, gateway.table.revision, counters)
        yield LivePlant(gateway, clock, feed, loaded.gateway.data.dir)
