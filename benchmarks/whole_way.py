"""One plant and one database enter; CPU per value of the gateway, of two scripts and of two Node-RED flows leaves.

`python -m benchmarks.whole_way` writes its block of docs/PERFORMANCE.md. They run in turns, one at a time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import orjson
import urllib3

from benchmarks.database import DATABASE, Influx, free_port, influxdb
from benchmarks.gateway import running
from benchmarks.measure import Figures, metrics, wait_until, watch
from benchmarks.peer_node_red import command
from benchmarks.plant import Plant, simulated
from benchmarks.process import Program, python
from benchmarks.report import ROOT, Target, heading, put_block, table, target_table

# A program at work, and how many values it has moved until now.
Working = tuple[Program, Callable[[], int]]
Way = Callable[[Plant, Influx, Path], AbstractContextManager[Working]]

OURS: Final = "tanflow"
FASTER: Final = "tanflow, read five times as often"
PLAIN: Final = "plain script: a Point a value, a write a device"
CAREFUL: Final = "careful script: a Point a device, a write a second"
BATCH: Final = "Node-RED: a point a value, a write a second"
WIDE: Final = "Node-RED: a point a device, a write a second"


@contextmanager
def gateway(plant: Plant, influx: Influx, directory: Path, *, every_s: float) -> Iterator[Working]:
    with running(plant, influx, directory, every_s) as (program, url):
        yield program, lambda: metrics(url).total("collector.", "received")


@contextmanager
def script(plant: Plant, influx: Influx, directory: Path, *, style: str) -> Iterator[Working]:
    said = directory / "script.log"
    order = {"ports": plant.ports, "units": plant.units, "values": plant.values}
    order |= {"url": influx.v2_url, "bucket": DATABASE, "style": style}

    def written() -> int:
        lines = said.read_text().split()
        return int(lines[-1]) if lines and lines[-1].isdigit() else 0

    with Program(python("-m", "benchmarks.peer_pymodbus", orjson.dumps(order).decode()), said) as program:
        yield program, written


@contextmanager
def node_red(plant: Plant, influx: Influx, directory: Path, *, wide: bool) -> Iterator[Working]:
    port = free_port()

    def written() -> int:
        try:
            answer = urllib3.request("GET", f"http://127.0.0.1:{port}/written", timeout=60, retries=False)
        except urllib3.exceptions.HTTPError:
            return 0  # it is starting
        return int(answer.data) if answer.status == 200 else 0

    run = command(plant, influx.url, DATABASE, port, directory, wide=wide)
    with Program(run, directory / "node_red.log") as program:
        yield program, written


WAYS: Final[dict[str, Way]] = {
    OURS: partial(gateway, every_s=1.0),
    FASTER: partial(gateway, every_s=0.2),
    PLAIN: partial(script, style="plain"),
    CAREFUL: partial(script, style="careful"),
    BATCH: partial(node_red, wide=False),
    WIDE: partial(node_red, wide=True),
}


def turn(way: Way, plant: Plant, influx: Influx, given: argparse.Namespace) -> Figures:
    """Let one of them work in a directory of its own until it moves values, then watch it."""
    with (
        tempfile.TemporaryDirectory(prefix="tanflow-bench-") as directory,
        way(plant, influx, Path(directory)) as (program, values),
    ):
        wait_until(lambda: values() > plant.devices * plant.values, program, 120, "values moved")
        time.sleep(given.warmup)
        return watch(program, values, 1, given.seconds)


def in_turns(given: argparse.Namespace) -> dict[str, Figures]:
    """Return the figures of each, an interval for every round."""
    found: dict[str, list[Figures]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory(prefix="tanflow-bench-") as name:
        directory = Path(name)
        with influxdb(directory) as influx, simulated(directory, 20, given.devices // 20, given.values) as plant:
            for number in range(given.rounds):
                for what, way in WAYS.items():
                    print(f"round {number + 1}: {what}", file=sys.stderr, flush=True)
                    found[what].append(turn(way, plant, influx, given))
    return {what: Figures(tuple(f.intervals[0] for f in figures)) for what, figures in found.items()}


def targets(found: dict[str, Figures]) -> list[Target]:
    """Return what is asked of the ratios, as medians of the rounds, for both paces of the gateway."""
    asked = []
    for ours, pace in ((OURS, "at 1 Hz"), (FASTER, "at 5 Hz")):
        for peer, name, least in ((BATCH, "Node-RED's batch flow", 12), (PLAIN, "plain script", 30)):
            ratio = median(
                theirs.cpu_s / max(1, theirs.values) / (mine.cpu_s / mine.values)
                for mine, theirs in zip(found[ours].intervals, found[peer].intervals, strict=True)
            )
            asked.append(Target.at_least(f"CPU per value, {name} ÷ tanflow {pace}", ratio, least, "x"))
    return asked


def block(found: dict[str, Figures], given: argparse.Namespace) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    lines = [["same devices, same InfluxDB", "CPU per value", "values/s", "share of a core", "memory", "÷ tanflow"]]
    for name, figures in found.items():
        cost = [f"{figures.us_per_value:.2f} µs", f"{figures.values_per_s:,.0f}", f"{figures.core_share:.1%}"]
        ratio = figures.us_per_value / found[OURS].us_per_value
        lines.append([name, *cost, f"{figures.rss_mb:.0f} MB", f"{ratio:.1f} x"])
    return f"""{heading("Whole way, beside what people use", "whole_way")}

{given.devices:,} simulated Modbus TCP devices × {given.values} float32 values at 1 Hz → InfluxDB 1.x, {given.rounds} \
rounds in turns, each started anew and
watched for {given.seconds:.0f} s after {given.warmup:.0f} s; medians. CPU and memory of a process and its children.

{table(lines)}

{target_table(targets(found))}

The scripts are `benchmarks/peer_pymodbus.py`, pymodbus and influxdb-client as their own examples show them and the same
written with care; the flows are `benchmarks/peer_node_red.py`, Node-RED with node-red-contrib-modbus and
node-red-contrib-influxdb. None of them has a log, a history, energy or CO₂, and nothing survives an outage; tanflow
does all of it in these figures. The scripts' writes pass a door to InfluxDB 1.x in a process of its own, which is not
counted. Who cannot keep up with 1 Hz is counted by the values it moved."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what it costs to bring values from Modbus to InfluxDB.")
    parser.add_argument("--devices", type=int, default=1_000, help="a multiple of 20")
    parser.add_argument("--values", type=int, default=62, help="float32 values a device, at most 62")
    parser.add_argument("--warmup", type=float, default=4.0, help="seconds from the first values to those watched")
    parser.add_argument("--seconds", type=float, default=8.0, help="watched in each turn (default 8)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    given = parser.parse_args()
    found = in_turns(given)
    text = block(found, given)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "whole_way", text)


if __name__ == "__main__":
    main()
