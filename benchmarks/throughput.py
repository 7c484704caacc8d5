"""Readings enter a gateway as fast as it takes them; values per CPU second leave, with and without InfluxDB.

`python -m benchmarks.throughput` writes its block of docs/PERFORMANCE.md. What answers of Modbus units hold is put into
the collector where its connections put it; from there on everything is the gateway's own.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import uvloop

from benchmarks.database import DATABASE, free_port, influxdb
from benchmarks.plant import Plant, configuration
from benchmarks.report import ROOT, Target, heading, put_block, table, target_table
from collectors.modbus import ModbusCollector
from config.load import load
from tanflow import registry
from tanflow.gateway import Gateway
from tanflow.opening import open_planned
from tanflow.planned import Planned

TARGET: Final = 1_000_000  # values a CPU second, log, kWh and CO₂ included
UNITS: Final = 50  # behind a port
VALUES: Final = 62
LOGGED: Final = "decode, kWh, CO₂, log"
IMAGES: Final = 8  # different answers of a unit, in turn


@dataclass(frozen=True, slots=True)
class Speed:
    """One round: values fed, rows that were logged for them, CPU of the process and time on the wall [s]."""

    values: int
    rows: int
    cpu_s: float
    wall_s: float

    @property
    def per_cpu_s(self) -> float:
        return self.values / self.cpu_s


class Feed:
    """The gateway's own collector, whose units are answered at once; it is never entered, so it asks nobody."""

    def __init__(self, gateway: Gateway) -> None:
        source = gateway.sources["floor"]
        made = registry.collector(source.origin, source.connection, source.devices, source.ids, source.ingest.counters)
        assert isinstance(made, ModbusCollector)
        self._units, self._inbox, self._ingest = made._units, made._inbox, source.ingest
        power = np.round(np.random.default_rng(7).uniform(5, 500, (IMAGES, len(self._units), VALUES)), 1)
        self._answers = [[unit.tobytes() for unit in image] for image in power.astype(">f4")]
        self._turn = 0

    async def accept(self, rounds: int) -> None:
        """Let every unit be answered `rounds` times, and accept what that gives in one batch."""
        for _ in range(rounds):
            answers, self._turn = self._answers[self._turn], (self._turn + 1) % IMAGES
            now_s = time.monotonic()
            for unit, data in zip(self._units, answers, strict=True):
                unit._asking = unit.values  # as if its cycle had asked: an answer ends the one under way
                unit.answered(unit.values[0], data, now_s)
        while self._inbox:
            await self._ingest.accept(self._inbox.take())


@asynccontextmanager
async def opened(devices: int, folder: Path, url: str) -> AsyncIterator[Gateway]:
    """Open the gateway of so many devices of 62 values, energy and CO₂ from their power; nothing of it runs yet."""
    plant = Plant(tuple(range(20_000, 20_000 + devices // UNITS)), UNITS, VALUES)
    loaded = load(configuration(plant, folder, url, DATABASE, free_port()))
    async with open_planned(Planned.of(loaded.gateway, loaded.templates)) as gateway:
        yield gateway


async def measured(given: argparse.Namespace, folder: Path, url: str, *, deliver: bool) -> list[Speed]:
    """Feed a gateway batch after batch; with `deliver` until InfluxDB has all of it."""
    async with opened(given.devices, folder, url) as gateway:
        feed, delivery = Feed(gateway), gateway.deliveries["influx"]
        following = asyncio.create_task(delivery.run()) if deliver else None
        found = []
        for _ in range(given.rounds + 1):  # the first warms up
            rows, cpu_s, wall_s = gateway.log.reader.rows_after(0), time.process_time(), time.monotonic()
            for _ in range(given.batches):
                await feed.accept(given.readings)
            while following and delivery.position < gateway.log.position:
                following.result() if following.done() else await asyncio.sleep(0.1)
            used = time.process_time() - cpu_s, time.monotonic() - wall_s
            values = given.batches * given.readings * given.devices * VALUES
            found.append(Speed(values, gateway.log.reader.rows_after(0) - rows, *used))
        if following:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        return found[1:]


def block(found: dict[str, list[Speed]], given: argparse.Namespace) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    lines = [["way", "values/s of CPU", "lowest", "µs a value", "rows a value", "values/s on the wall"]]
    for way, speeds in found.items():
        middle = statistics.median(s.per_cpu_s for s in speeds)
        wall = statistics.median(s.values / s.wall_s for s in speeds)
        rows = sum(s.rows for s in speeds) / sum(s.values for s in speeds)
        figures = [f"{middle:,.0f}", f"{min(s.per_cpu_s for s in speeds):,.0f}", f"{1e6 / middle:.2f}", f"{rows:.3f}"]
        lines.append([way, *figures, f"{wall:,.0f}"])
    logged = statistics.median(s.per_cpu_s for s in found[LOGGED])
    target = Target.at_least(LOGGED, logged / 1e6, TARGET / 1e6, "M values/s of CPU", 2)
    return f"""{heading("Throughput", "throughput")}

{given.devices:,} Modbus units of {VALUES} float32 registers, all answered at once, {given.readings} times a batch:
decoding, range, energy and CO₂ of each unit's power, and the commit to the log, through the gateway's own parts;
nothing waits for a network. Values count, not the rows computed from them. CPU is that of all threads, a second of it
is a second of one core; on the wall a batch waits for the group commit too, every 250 ms. Medians of {given.rounds}
rounds of {given.batches} batches. With InfluxDB a round ends when the database has answered for all of it.

{table(lines)}

{target_table([target])}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how many values a second one core takes through ingest.")
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--readings", type=int, default=2, help="of each unit in a batch (default 2)")
    parser.add_argument("--batches", type=int, default=8, help="in a round (default 8)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    given = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory(prefix="tanflow-throughput-") as name:
        folders = [Path(name, way) for way in ("log", "sink", "database")]
        for folder in folders:
            folder.mkdir()
        found[LOGGED] = uvloop.run(measured(given, folders[0], "http://127.0.0.1:9", deliver=False))
        with influxdb(folders[2]) as influx:
            found["… and InfluxDB (line protocol)"] = uvloop.run(measured(given, folders[1], influx.url, deliver=True))
    text = block(found, given)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "throughput", text)


if __name__ == "__main__":
    main()
