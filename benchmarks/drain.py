"""An hour of backlog in a real log, and a database that is back → how long until it has all, while live data flows.

`python -m benchmarks.drain` writes its block of docs/PERFORMANCE.md. Beside it the same database takes ready lines from
a client that does nothing else: that is what it can take at best.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from benchmarks.database import DATABASE, Influx, free_port, influxdb, wait_for
from benchmarks.measure import Metrics, metrics
from benchmarks.plant import Plant, configuration, simulated
from benchmarks.process import Program, python, usage
from benchmarks.report import ROOT, Target, heading, put_block, target_table
from config.load import load
from config.model import InfluxSink
from pipeline.batch import Header, concat, make
from pipeline.clock import SECOND_NS
from pipeline.log.log import LogReader
from sinks.influxdb_api import connect
from sinks.line_protocol import Encoder
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway

VALUES: Final = 62  # a device
UNITS: Final = 27  # devices behind a port
SINK: Final = "influx"
ASKED_MIN: Final = 3.0  # for an hour; in proportion for less
SAMPLE_ROWS: Final = 2_000_000  # rows of which the database takes ready lines
NOWHERE: Final = "127.0.0.2"  # an address nobody listens at


@dataclass(frozen=True, slots=True)
class Drain:
    """What was seen: rows behind, how long they took [s], CPU of both [s], live values accepted in it, best case."""

    rows: int
    took_s: float
    gateway: float
    database: float
    live: int
    last: Metrics
    best_per_s: float


async def fill(config: Path, seconds: int) -> None:
    """Let a gateway accept so many seconds of readings of all its points that lie behind it, and end in order."""
    loaded, stop = load(config), asyncio.Event()
    async with open_gateway(loaded.gateway, loaded.templates, base=config.parent) as gateway:
        running = asyncio.create_task(gateway.run(stop))
        await _accept(gateway, seconds)
        stop.set()
        await running


async def _accept(gateway: Gateway, seconds: int) -> None:
    ingest, clock, rng = gateway.ingests["floor"], gateway.clock, np.random.default_rng(1)
    ids = _measured(gateway)
    phase = np.repeat(np.arange(len(ids)) * (SECOND_NS // len(ids)), ids.shape[1])
    values = rng.uniform(10.0, 500.0, ids.size).astype(np.float32)
    begin = clock.now_ns() - (seconds + 1) * SECOND_NS
    for second in range(seconds):
        values *= rng.uniform(0.999, 1.001, values.shape).astype(np.float32)
        header = Header("floor", gateway.table.revision, clock.boot, clock.now_ns(), clock.monotonic_ns())
        at = begin + second * SECOND_NS + phase
        await ingest.accept(make(header, at, ids.ravel(), values.astype(np.float64)))


def _measured(gateway: Gateway) -> Any:
    """Return the series of all points, a row for each device."""
    ids = gateway.table.ids
    rows = []
    for device in gateway.devices:
        mine = [f"{device.asset_name}.{name}.{point.quantity}" for name, point in device.points.items()]
        rows.append([ids[key] for key in mine])
    return np.array(rows, np.int32)


def best(influx: Influx, config: Path) -> float:
    """Return how many values a second the database takes from a client that sends ready lines."""
    loaded = load(config)
    sink = loaded.gateway.sinks[SINK]
    assert isinstance(sink, InfluxSink)
    payloads, rows = asyncio.run(_ready(elsewhere(config), sink.batch_rows))
    influx.ask("CREATE DATABASE best", "POST")
    api = connect(sink.model_copy(update={"database": "best", "timeout_s": 60}))
    since = time.monotonic()
    for payload in payloads:
        assert api.post(payload).stored
    took = time.monotonic() - since
    api.close()
    influx.ask("DROP DATABASE best", "POST")
    return rows / took


async def _ready(config: Path, batch_rows: int) -> tuple[list[bytes], int]:
    """Return the oldest rows that wait for the sink as the lines it would send."""
    loaded = load(config)
    async with open_gateway(loaded.gateway, loaded.templates, base=config.parent) as gateway:
        encoder, payloads, rows = Encoder(gateway.table), list[bytes](), 0
        position = gateway.log.reader.cursor(SINK).position
        while rows < SAMPLE_ROWS and (windows := gateway.log.read(position, batch_rows)):
            position = windows[-1].position
            batches = [b for w in windows for b in w.batches]
            lines = encoder.encode(concat(batches[-1].header, batches))
            payloads.append(lines.payload)
            rows += len(lines.rows)
        return payloads, rows


def elsewhere(config: Path) -> Path:
    """Write a configuration whose devices and database are not there; return its path."""
    content: dict[str, Any] = orjson.loads(config.read_bytes())
    for asset in content["areas"]["hall"]["assets"].values():
        device = asset["devices"]["m"]
        device["address"] = device["address"].replace("127.0.0.1", NOWHERE)
    content["connections"]["floor"]["every_s"] = 3_600
    content["sinks"][SINK]["url"] = f"http://{NOWHERE}:8086"
    content["api"] = None
    content["data"]["commit_ms"] = 10  # an hour is to pass in less
    path = config.with_name("elsewhere.yaml")
    path.write_bytes(orjson.dumps(content))
    return path


def drained(config: Path, port: int, influx: Influx, folder: Path, best_per_s: float) -> Drain:
    """Start the gateway and wait until the database has all that was in the log before."""
    with closing(LogReader(folder / "data")) as reader:
        last = reader.last_position()
        rows = reader.rows_after(reader.cursor(SINK).position)
        url = f"http://127.0.0.1:{port}"
        with Program(python("-m", "tanflow", "run", "-c", str(config)), folder / "gateway.log") as program:
            wait_for(f"{url}/api/health", program, 120)
            began, before, base = time.monotonic(), metrics(url), _both(program, influx)
            told = began
            while reader.cursor(SINK).position < last:
                program.check()
                time.sleep(0.2)
                if time.monotonic() - told > 20:
                    told = time.monotonic()
                    left = reader.rows_after(reader.cursor(SINK).position)
                    print(f"{told - began:.0f} s: {left:,} rows behind", file=sys.stderr, flush=True)
            took, after, used = time.monotonic() - began, metrics(url), _both(program, influx)
            live = after.total("collector.", "received") - before.total("collector.", "received")
            return Drain(rows, took, used[0] - base[0], used[1] - base[1], live, after, best_per_s)


def _both(program: Program, influx: Influx) -> tuple[float, float]:
    """Return the CPU time of gateway and database until now [s]."""
    return usage(program.process.pid).cpu_s, usage(influx.program.process.pid).cpu_s


def block(plant: Plant, seconds: int, seen: Drain) -> str:
    """Return the block of the document."""
    per_s, minutes = seen.rows / seen.took_s, seen.took_s / 60
    refused = seen.last.total("sink.", "rejected")
    wanted = seen.took_s * plant.devices * plant.values
    targets = [
        Target.at_most(
            f"{seconds / 60:,.0f} minutes of backlog delivered", minutes, ASKED_MIN * seconds / 3_600, "min", 2
        ),
        Target("rows refused or given up", f"{refused:,}", "0", refused == 0),
        Target.at_least("live readings accepted meanwhile", seen.live / wanted * 100, 99, "%"),
    ]
    return f"""{heading("Backlog", "drain")}

{plant.devices} Modbus TCP devices × {plant.values} values at 1 Hz while InfluxDB 1.x was away for {seconds:,} s:
{seen.rows:,} rows wait in the log, energy and CO₂ among them. Then the database is there, and the gateway reads all
devices on while it delivers. One commit holds a second of readings here, as one of `commit_ms: 1000` would.

{target_table(targets)}

{per_s:,.0f} rows/s; the gateway took {seen.gateway / seen.rows * 1e6:.2f} µs of CPU a row for all it did, the database
{seen.database / seen.rows * 1e6:.2f} µs. From a client that only sends lines made before, one request after the
other, the same database on the same machine took {seen.best_per_s:,.0f} values/s. The largest loop lag,
seen by a beat of 200 ms, was {seen.last.lag_s * 1e3:.0f} ms."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long an hour of backlog takes.")
    parser.add_argument("--seconds", type=int, default=3_600, help="how long the database was away")
    parser.add_argument("--ports", type=int, default=6, help="of 27 devices each")
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tanflow-drain-") as name:
        folder = Path(name)
        with simulated(folder, given.ports, UNITS, VALUES) as plant, influxdb(folder) as influx:
            port = free_port()
            config = configuration(plant, folder, influx.url, DATABASE, port)
            began = time.monotonic()
            logging.getLogger("tanflow").setLevel(logging.CRITICAL)  # that nobody is there is as it should be
            asyncio.run(fill(elsewhere(config), given.seconds))
            print(f"log filled in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            best_per_s = best(influx, config)
            seen = drained(config, port, influx, folder, best_per_s)
    text = block(plant, given.seconds, seen)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "drain", text)


if __name__ == "__main__":
    main()
