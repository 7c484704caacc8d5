"""Numbers of devices and seconds enter; docs/PERFORMANCE.md leaves: the gateway's cost beside that of plain scripts.

`python -m benchmarks.run` (or `make bench`); exit code 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import duckdb
import orjson

from benchmarks.database import DATABASE, Influx, free_port, influxdb, wait_for
from benchmarks.measure import Figures, Metrics, metrics, wait_until, watch
from benchmarks.plant import Plant, configuration, simulated
from benchmarks.process import Program, python
from benchmarks.report import ROOT, Run, blocks, document, tables
from sinks.history_files import live, scan


@dataclass(slots=True)
class Watched:
    """A gateway's /metrics as it is watched: the largest recent loop lag of all looks is kept."""

    url: str
    lag_s: float = 0.0

    def received(self) -> int:
        seen = metrics(self.url)
        self.lag_s = max(self.lag_s, seen.recent_lag_s)
        return seen.total("collector.", "received")


@dataclass(frozen=True, slots=True)
class GatewayRun:
    """What was seen of the gateway: its figures, its counters at the end, and what it left behind."""

    figures: Figures
    lag_s: float
    last: Metrics
    bytes_per_value: float
    accepted: int  # readings in its own history, after it ended in order
    stored: int  # readings InfluxDB holds then


def measure_gateway(given: argparse.Namespace, plant: Plant, influx: Influx, directory: Path) -> GatewayRun:
    """Run the gateway against the plant until it is steady, then watch it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = configuration(plant, directory, influx.url, DATABASE, port)
    with Program(python("-m", "tanflow", "run", "-c", str(config)), directory / "gateway.log") as program:
        wait_for(f"{url}/api/health", program, 120)
        full = 3 * plant.devices * plant.values
        wait_until(lambda: metrics(url).total("sink.", "delivered") > full, program, 60, "readings in InfluxDB")
        time.sleep(given.warmup)
        watched, size = Watched(url), data_bytes(directory)
        figures = watch(program, watched.received, given.intervals, given.interval)
        grown, last = data_bytes(directory) - size, metrics(url)
    per_value = grown / sum(interval.values for interval in figures.intervals)
    accepted = accepted_readings(directory / "data", plant)
    return GatewayRun(figures, watched.lag_s, last, per_value, accepted, stored_readings(influx, plant))


def data_bytes(directory: Path) -> int:
    """Return the size of the gateway's log and history."""
    total = 0
    for path in (directory / "data").rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() and path.name != "ballast" else 0
        except FileNotFoundError:
            continue  # renamed or compacted meanwhile
    return total


def accepted_readings(data: Path, plant: Plant) -> int:
    """Return how many of the plant's readings the gateway's own history holds."""
    with closing(sqlite3.connect(data / "log.db")) as log:
        rows = log.execute("SELECT id, key FROM series").fetchall()
    endings = tuple(f".{point}.{quantity}" for point, (quantity, _) in plant.points.items())
    ours = [number for number, key in rows if key.endswith(endings)]
    files, _ = live(scan(data / "history" / "raw"))
    sql = "SELECT count(*) FROM read_parquet(?) WHERE series IN (SELECT unnest(?))"
    found = duckdb.execute(sql, [[str(file.path) for file in files], ours]).fetchone()
    return int(found[0]) if found else 0


def stored_readings(influx: Influx, plant: Plant) -> int:
    """Return how many of the plant's readings InfluxDB holds."""
    prefixes = tuple(f"count_{name}_" for name in plant.points)
    total = 0
    for series in influx.ask("SELECT COUNT(*) FROM energy"):
        columns, rows = cast(list[str], series["columns"]), cast(list[list[int]], series["values"])
        total += sum(
            n for c, n in zip(columns, rows[0], strict=True) if c.startswith(prefixes) and not c.endswith("_q")
        )
    return total


def measure_script(given: argparse.Namespace, plant: Plant, influx: Influx, directory: Path, style: str) -> Figures:
    """Run one of the plain scripts against the same plant and database."""
    said = directory / f"{style}.log"
    order = {"ports": plant.ports, "units": plant.units, "values": plant.values}
    order |= {"url": influx.v2_url, "bucket": DATABASE, "style": style}

    def written() -> int:
        lines = said.read_text().split()
        return int(lines[-1]) if lines and lines[-1].isdigit() else 0

    with Program(python("-m", "benchmarks.peer_pymodbus", orjson.dumps(order).decode()), said) as program:
        wait_until(lambda: written() > plant.devices * plant.values, program, 120, f"values of the {style} script")
        return watch(program, written, max(3, given.intervals // 3), given.interval)


def measure(given: argparse.Namespace, directory: Path) -> Run:
    """Run the gateway, then both scripts, against one plant and one database."""
    with (
        influxdb(directory) as influx,
        simulated(directory, given.devices // given.units, given.units, given.values) as plant,
    ):
        print(f"gateway: {plant.devices} devices, {plant.values} values each, 1 Hz", file=sys.stderr, flush=True)
        gateway = measure_gateway(given, plant, influx, directory)
        print("scripts: the same with pymodbus and influxdb-client", file=sys.stderr, flush=True)
        plain = measure_script(given, plant, influx, directory, "plain")
        careful = measure_script(given, plant, influx, directory, "careful")
    return Run(
        plant.devices,
        plant.values,
        gateway.figures,
        gateway.lag_s,
        gateway.last.lag_s,
        gateway.accepted,
        gateway.stored,
        gateway.last.total("collector.", "bad") + gateway.last.total("collector.", "rejected"),
        gateway.bytes_per_value,
        plain,
        careful,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the gateway costs, beside plain scripts.")
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--units", type=int, default=50, help="devices behind one port (default 50)")
    parser.add_argument("--values", type=int, default=62, help="float32 values a device, at most 62")
    parser.add_argument("--warmup", type=float, default=35.0, help="seconds before the first interval, 30 or more")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds")
    parser.add_argument("--intervals", type=int, default=9)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tanflow-bench-") as directory:
        run = measure(given, Path(directory))
    print(tables(run))
    if not given.no_write:
        path = ROOT / "docs" / "PERFORMANCE.md"
        path.write_text(document(run) + blocks(path.read_text("utf-8")))
    missed = [what for what, _, _, met in run.targets() if not met]
    sys.exit(f"missed: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
