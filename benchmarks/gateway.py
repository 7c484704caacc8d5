"""Numbers of devices and seconds enter; what the gateway costs in steady state leaves: CPU, memory, loop lag.

`python -m benchmarks.gateway` writes its block of docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import duckdb

from benchmarks.database import DATABASE, Influx, free_port, influxdb, wait_for
from benchmarks.measure import Figures, Metrics, metrics, wait_until, watch
from benchmarks.plant import Plant, configuration, simulated
from benchmarks.process import Program, python
from benchmarks.report import ROOT, Target, heading, put_block, table, target_table
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


@contextmanager
def running(plant: Plant, influx: Influx, directory: Path, every_s: float = 1.0) -> Iterator[tuple[Program, str]]:
    """Run a gateway against the plant, and enter once readings arrive in InfluxDB; (program, its URL)."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = configuration(plant, directory, influx.url, DATABASE, port, every_s)
    with Program(python("-m", "tanflow", "run", "-c", str(config)), directory / "gateway.log") as program:
        wait_for(f"{url}/api/health", program, 120)
        full = 3 * plant.devices * plant.values
        wait_until(lambda: metrics(url).total("sink.", "delivered") > full, program, 60, "readings in InfluxDB")
        yield program, url


def measure_gateway(given: argparse.Namespace, plant: Plant, influx: Influx, directory: Path) -> GatewayRun:
    """Run the gateway against the plant until it is steady, then watch it."""
    with running(plant, influx, directory) as (program, url):
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


def targets(run: GatewayRun) -> list[Target]:
    """Return what is asked of the gateway."""
    bad = run.last.total("collector.", "bad") + run.last.total("collector.", "rejected")
    figures = run.figures
    return [
        Target.at_most("CPU, share of one core", 100 * figures.core_share, 12, "%"),
        Target.at_most("memory (resident, median)", figures.rss_mb, 120, "MB", 0),
        Target.at_most("memory (resident, largest)", figures.peak_rss_mb, 120, "MB", 0),
        Target.at_most("largest loop lag seen by a beat of 200 ms", run.lag_s * 1e3, 50, "ms", 0),
        Target.at_most("readings bad or rejected", bad, 0, "rows", 0),
        Target(
            "readings accepted, and found in InfluxDB",
            f"{run.accepted:,}, {run.stored:,}",
            "equal",
            run.accepted == run.stored,
        ),
    ]


def block(run: GatewayRun, given: argparse.Namespace) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    figures = run.figures
    name = f"{given.devices:,} devices × {given.values} values"
    memory = [f"{figures.rss_mb:.0f} MB", f"{figures.peak_rss_mb:.0f} MB"]
    cpu = [f"{figures.us_per_value:.2f} µs", f"{figures.core_share:.1%}"]
    lines = [
        ["plant", "values/s", "CPU per value", "share of a core", "memory", "largest"],
        [name, f"{figures.values_per_s:,.0f}", *cpu, *memory],
    ]
    return f"""{heading("Gateway", "gateway")}

Simulated Modbus TCP devices of float32 values at 1 Hz, everything on: Modbus → normalise → meter → CO₂ → durable log →
history (Parquet) → InfluxDB 1.x. No query ran. Medians over {given.intervals} intervals of {given.interval:.0f} s in \
steady state; CPU and
memory (looked at each second) are those of the gateway process and its children together, from /proc. Devices,
InfluxDB and the gateway share the machine.
Log and history grew by {run.bytes_per_value:.1f} bytes a reading; the log lets go of what everyone has \
taken. The loop lag
is that of the measured time, Parquet files and checkpoints included, as the gateway's own beat of 200 ms sees it: what
is shorter may fall between two beats; since start it was {run.last.lag_s * 1e3:.0f} ms. Accepted is what stands in the
gateway's own history after it was told to stop.

{table(lines)}

{target_table(targets(run))}

Not in these figures: the hourly compaction of the history, alerts and windows (none configured here), and the page."""


def measured(given: argparse.Namespace, ports: int, units: int, values: int) -> GatewayRun:
    """Run devices, database and gateway in a directory of their own."""
    with tempfile.TemporaryDirectory(prefix="tanflow-bench-") as name:
        directory = Path(name)
        with influxdb(directory) as influx, simulated(directory, ports, units, values) as plant:
            print(f"gateway: {plant.devices} devices, {plant.values} values each", file=sys.stderr, flush=True)
            return measure_gateway(given, plant, influx, directory)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the gateway costs.")
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--units", type=int, default=50, help="devices behind one port (default 50)")
    parser.add_argument("--values", type=int, default=62, help="float32 values a device, at most 62")
    parser.add_argument("--warmup", type=float, default=35.0, help="seconds before the first interval, 30 or more")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds")
    parser.add_argument("--intervals", type=int, default=6)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    given = parser.parse_args()
    run = measured(given, given.devices // given.units, given.units, given.values)
    text = block(run, given)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "gateway", text)


if __name__ == "__main__":
    main()
