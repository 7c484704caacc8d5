"""Plants and one database enter; CPU per value of the gateway, of two scripts and of two Node-RED flows leaves.

`python -m benchmarks.whole_way` writes its block of docs/PERFORMANCE.md. They run in turns, one at a time: held at 1 Hz
on plants of several sizes, which tells what a running program costs apart from what a value costs, and as fast as each
goes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
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
PLAIN: Final = "plain script: a Point a value, a write a device"
CAREFUL: Final = "careful script: a Point a device, a write a round"
BATCH: Final = "Node-RED: a point a value, a write a second"
WIDE: Final = "Node-RED: a point a device, a write a second"
ASKED: Final = ((BATCH, "Node-RED's batch flow", 12), (PLAIN, "plain script", 30))
PORTS: Final = 20
PACES_S: Final = (0.1, 0.2, 0.5)  # of which the gateway reads at the first at which InfluxDB can follow
KEPT_UP: Final = 0.95


@contextmanager
def gateway(plant: Plant, influx: Influx, directory: Path, *, every_s: float) -> Iterator[Working]:
    with running(plant, influx, directory, every_s) as (program, url):

        def written() -> int:
            """Return the values read; not more than rows were delivered, so that nothing is left to do for them."""
            seen = metrics(url)
            return min(seen.total("collector.", "received"), seen.total("sink.", "delivered"))

        yield program, written


@contextmanager
def script(plant: Plant, influx: Influx, directory: Path, *, style: str, every_s: float) -> Iterator[Working]:
    said = directory / "script.log"
    order = {"ports": plant.ports, "units": plant.units, "values": plant.values, "every_s": every_s}
    order |= {"url": influx.v2_url, "bucket": DATABASE, "style": style}

    def written() -> int:
        lines = said.read_text().split()
        return int(lines[-1]) if lines and lines[-1].isdigit() else 0

    with Program(python("-m", "benchmarks.peer_pymodbus", orjson.dumps(order).decode()), said) as program:
        yield program, written


@contextmanager
def node_red(plant: Plant, influx: Influx, directory: Path, *, wide: bool, steady: bool) -> Iterator[Working]:
    port = free_port()
    url = f"http://127.0.0.1:{port}/written"

    def written() -> int:
        try:
            answer = urllib3.request("GET", url, timeout=60, retries=False, headers={"Connection": "close"})
        except urllib3.exceptions.NewConnectionError:
            return 0  # it is starting
        return int(answer.data) if answer.status == 200 else 0

    run = command(plant, influx.url, DATABASE, port, directory, wide=wide, steady=steady)
    with Program(run, directory / "node_red.log") as program:
        yield program, written


HELD: Final[dict[str, Way]] = {
    OURS: partial(gateway, every_s=1.0),
    PLAIN: partial(script, style="plain", every_s=1.0),
    BATCH: partial(node_red, wide=False, steady=False),
}
FREE: Final[dict[str, Way]] = {
    OURS: partial(gateway, every_s=PACES_S[0]),  # or as often as InfluxDB can follow
    PLAIN: partial(script, style="plain", every_s=0.0),
    CAREFUL: partial(script, style="careful", every_s=0.0),
    BATCH: partial(node_red, wide=False, steady=True),
    WIDE: partial(node_red, wide=True, steady=True),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a program costs as it runs [share of a core], and a value more each second [µs]; a line through sizes."""

    fixed: float
    us_per_value: float

    @classmethod
    def of(cls, figures: Mapping[int, Figures]) -> Cost:
        """Return the least squares over all turns of all sizes."""
        turns = [i for f in figures.values() for i in f.intervals]
        slope, fixed = np.polyfit([i.values / i.length_s for i in turns], [i.cpu_s / i.length_s for i in turns], 1)
        return cls(float(fixed), 1e6 * float(slope))


def turn(way: Way, plant: Plant, influx: Influx, warmup_s: float, seconds: float) -> Figures:
    """Let one of them work in a directory of its own until it moves values, then watch it."""
    with (
        tempfile.TemporaryDirectory(prefix="tanflow-bench-") as directory,
        way(plant, influx, Path(directory)) as (program, values),
    ):
        wait_until(lambda: values() > plant.devices * plant.values, program, 120, "values moved")
        time.sleep(warmup_s)
        return watch(program, values, 1, seconds)


def pace_s(plant: Plant, influx: Influx, given: argparse.Namespace) -> float:
    """Return the shortest of the periods at which all that is asked of the devices arrives in the database."""
    for every_s in PACES_S[:-1]:
        seen = turn(partial(gateway, every_s=every_s), plant, influx, given.warmup, given.seconds)
        if seen.values_per_s > KEPT_UP * plant.devices * plant.values / every_s:
            return every_s
    return PACES_S[-1]


def merged(found: list[Figures]) -> Figures:
    return Figures(tuple(f.intervals[0] for f in found))


@dataclass(frozen=True, slots=True)
class Found:
    """The figures of those held at 1 Hz by plant, and of each as fast as it goes: an interval a round."""

    held: dict[str, dict[int, Figures]]
    free: dict[str, Figures]
    every_s: float  # how often the gateway read when it went as fast as it goes


def in_turns(given: argparse.Namespace) -> Found:
    """Let all of them work, one after the other, round after round."""
    held: dict[str, dict[int, list[Figures]]] = {way: {size: [] for size in given.sizes} for way in HELD}
    free: dict[str, list[Figures]] = {way: [] for way in FREE}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tanflow-bench-")))
        influx = stack.enter_context(influxdb(directory))
        plants = {
            size: stack.enter_context(simulated(directory, PORTS, size // PORTS, given.values)) for size in given.sizes
        }
        every_s = pace_s(plants[max(plants)], influx, given)
        for number in range(given.rounds):
            for size, plant in plants.items():
                for name, way in HELD.items():
                    print(f"round {number + 1}: {size} devices at 1 Hz: {name}", file=sys.stderr, flush=True)
                    held[name][size].append(turn(way, plant, influx, given.warmup, given.seconds))
            for name, way in (FREE | {OURS: partial(gateway, every_s=every_s)}).items():
                print(f"round {number + 1}: as fast as it goes: {name}", file=sys.stderr, flush=True)
                free[name].append(turn(way, plants[max(plants)], influx, given.warmup, given.seconds))
    by_size = {way: {size: merged(rounds) for size, rounds in sizes.items()} for way, sizes in held.items()}
    return Found(by_size, {way: merged(rounds) for way, rounds in free.items()}, every_s)


def targets(costs: Mapping[str, Cost], free: Mapping[str, Figures]) -> list[Target]:
    """Return what is asked of the ratios: as fast as they go (medians of the rounds), and of a value more at 1 Hz."""
    asked = []
    for peer, name, least in ASKED:
        ratio = median(
            theirs.cpu_s / max(1, theirs.values) / (mine.cpu_s / max(1, mine.values))
            for mine, theirs in zip(free[OURS].intervals, free[peer].intervals, strict=True)
        )
        asked.append(Target.at_least(f"CPU per value as fast as they go, {name} ÷ tanflow", ratio, least, "x"))
    for peer, name, least in ASKED:
        more = costs[peer].us_per_value / costs[OURS].us_per_value
        asked.append(Target.at_least(f"CPU of a value more at 1 Hz, {name} ÷ tanflow", more, least, "x"))
    return asked


def block(found: Found, given: argparse.Namespace) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    held, free = found.held, found.free
    costs = {name: Cost.of(sizes) for name, sizes in held.items()}
    sizes = [f"{size:,} devices" for size in given.sizes]
    at_1_hz = [["share of a core at 1 Hz", *sizes, "as it runs", "a value more"]]
    for name, figures in held.items():
        shares = [f"{f.core_share:.1%} at {f.values_per_s:,.0f}/s" for f in figures.values()]
        at_1_hz.append([name, *shares, f"{costs[name].fixed:.1%}", f"{costs[name].us_per_value:.2f} µs"])
    fast = [["as fast as it goes", "CPU per value", "values/s", "share of a core", "memory", "÷ tanflow"]]
    for name, f in free.items():
        cost = [f"{f.us_per_value:.2f} µs", f"{f.values_per_s:,.0f}", f"{f.core_share:.1%}"]
        fast.append([name, *cost, f"{f.rss_mb:.0f} MB", f"{f.us_per_value / free[OURS].us_per_value:.1f} x"])
    return f"""{heading("Whole way, beside what people use", "whole_way")}

Simulated Modbus TCP devices × {given.values} float32 values behind {PORTS} ports → InfluxDB 1.x; {given.rounds} \
rounds in turns, each program started
anew and watched for {given.seconds:g} s after {given.warmup:g} s; medians. CPU and memory of a process and its \
children.

{table(at_1_hz)}

"As it runs" and "a value more" are the line through all turns: what the program costs before the first value, and what
each value a second adds.

{table(fast)}

Of {max(given.sizes):,} devices, as fast as they go: a script begins a round when the last is done, a flow asks the \
devices behind a
port again when all have answered, tanflow reads every {found.every_s:g} s, and a value counts once InfluxDB has it.

{target_table(targets(costs, free))}

The scripts are `benchmarks/peer_pymodbus.py`, pymodbus and influxdb-client as their own examples show them and the same
written with care; the flows are `benchmarks/peer_node_red.py`, Node-RED with node-red-contrib-modbus and
node-red-contrib-influxdb. They read, convert and write, and nothing survives an outage. In tanflow's figures are also
range checks, energy and CO₂ of each device (5 % more rows, uncounted), the log with a fsync each 250 ms, history,
ledger, standard alerts and the API. A file of the history is written every 1.2 M rows: at 1 Hz outside of most turns.
The scripts' writes pass a door to InfluxDB 1.x in a process of its own, which is not counted."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what it costs to bring values from Modbus to InfluxDB.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 400], help="devices, multiples of 20")
    parser.add_argument("--values", type=int, default=62, help="float32 values a device, at most 62")
    parser.add_argument("--warmup", type=float, default=2.0, help="seconds from the first values to those watched")
    parser.add_argument("--seconds", type=float, default=6.0, help="watched in each turn (default 6)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    given = parser.parse_args()
    text = block(in_turns(given), given)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "whole_way", text)


if __name__ == "__main__":
    main()
