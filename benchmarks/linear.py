"""Plants of 10², 10³ and 10⁴ points enter; what a gateway of each costs to start, in CPU a value and in memory leaves.

`python -m benchmarks.linear` writes its block of docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import urllib3

from benchmarks.database import DATABASE, Influx, free_port, influxdb
from benchmarks.measure import Figures, metrics, watch
from benchmarks.plant import Plant, configuration, simulated
from benchmarks.process import Program, python, usage
from benchmarks.report import ROOT, Target, heading, put_block, table, target_table

VALUES: Final = 50  # a device, so that sizes are whole: 2, 20 and 200 devices
UNITS: Final = 2  # behind a port
MAX_START_S: Final = 3.0  # of 10,000 points
MAX_SHARE: Final = 0.04  # of a core, at 10,000 values/s
TARGETED: Final = 10_000
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Start:
    """Until the first accepted reading: time on the wall and CPU [s]."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one size of plant costs."""

    starts: list[Start]
    figures: Figures

    @property
    def start_s(self) -> float:
        return statistics.median(s.wall_s for s in self.starts)

    @property
    def start_cpu_s(self) -> float:
        return statistics.median(s.cpu_s for s in self.starts)


@contextmanager
def started(plant: Plant, folder: Path, influx: Influx, compiled: Path) -> Iterator[tuple[Program, str, Start]]:
    """Start a gateway on an empty data directory; once it has accepted a reading, yield it, its URL and how it began.

    Its modules are compiled in `compiled`, as an installed program's are.
    """
    folder.mkdir()
    port = free_port()
    config, url = configuration(plant, folder, influx.url, DATABASE, port), f"http://127.0.0.1:{port}"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(compiled)
    begin = time.monotonic()
    with Program(python("-m", "tanflow", "run", "-c", str(config)), folder / "gateway.log") as program:
        while not accepted(url):
            program.check()
            if time.monotonic() - begin > 120:
                raise RuntimeError("no reading was accepted within 120 s")
            time.sleep(_LOOK_S)
        yield program, url, Start(time.monotonic() - begin, usage(program.process.pid).cpu_s)


def accepted(url: str) -> bool:
    """Return whether a gateway says that it has accepted readings."""
    try:
        text = urllib3.request("GET", f"{url}/metrics", timeout=5, retries=False).data
    except urllib3.exceptions.HTTPError:
        return False  # it does not listen yet
    _, found, rest = text.partition(b'tanflow_rows_total{component="collector.floor",event="committed"} ')
    return bool(found) and float(rest.split(b"\n", 1)[0]) > 0


def measure(points: int, folder: Path, influx: Influx, given: argparse.Namespace) -> Cost:
    """Return what a plant of so many points costs: started over and over, the last one watched."""
    starts: list[Start] = []
    with simulated(folder, points // VALUES // UNITS, UNITS, VALUES) as plant:
        for number in range(given.starts + 1):  # the first compiles the modules, and does not count
            with started(plant, folder / str(number), influx, folder / "compiled") as (program, url, start):
                starts.append(start)
                if number == given.starts:
                    time.sleep(given.warmup)
                    received = lambda url=url: metrics(url).total("collector.", "received")  # noqa: E731
                    figures = watch(program, received, given.intervals, given.interval)
    return Cost(starts[1:], figures)


def block(found: Mapping[int, Cost], given: argparse.Namespace) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    lines = [["points at 1 Hz", "start", "CPU of it", "values/s", "share of a core", "µs a value", "memory", "largest"]]
    for points, cost in found.items():
        f = cost.figures
        begin = [f"{cost.start_s:.2f} s", f"{cost.start_cpu_s:.2f} s"]
        runs = [f"{f.values_per_s:,.0f}", f"{f.core_share:.2%}", f"{f.us_per_value:.2f}"]
        lines.append([f"{points:,}", *begin, *runs, f"{f.rss_mb:.0f} MB", f"{f.peak_rss_mb:.0f} MB"])
    return f"""{heading("Linear cost", "linear")}

Simulated Modbus TCP devices of {VALUES} float32 values at 1 Hz, {UNITS} behind a port, everything on: energy, CO₂, log,
history, ledger, standard alerts, page, InfluxDB 1.x. A start is the time from the process's first instruction to its
first accepted reading, with an empty data directory and modules compiled as an installed program's are; medians of
{given.starts}. CPU and memory are those of the process and its children, medians of {given.intervals} intervals of
{given.interval:g} s. Devices and InfluxDB share the machine.

{table(lines)}

{target_table(targets(found))}"""


def targets(found: Mapping[int, Cost]) -> list[Target]:
    """Return what is asked of 10,000 points, and that the cost grows no faster than they do."""
    told = []
    if (cost := found.get(TARGETED)) is not None:
        told = [
            Target.at_most("start with 10,000 points", cost.start_s, MAX_START_S, "s", 2),
            Target.at_most("10,000 values/s, share of a core", 100 * cost.figures.core_share, 100 * MAX_SHARE, "%", 2),
        ]
    each = [cost.figures.us_per_value for _, cost in sorted(found.items())]
    what = f"a value of {max(found):,} ÷ one of {min(found):,}"
    return [*told, Target.at_most(what, each[-1] / each[0], 1, "x", 2)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how the cost of a gateway grows with its points.")
    parser.add_argument("--points", type=int, nargs="+", default=[100, 1_000, 10_000], help="multiples of 100")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--warmup", type=float, default=15.0, help="seconds before the first interval")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds")
    parser.add_argument("--intervals", type=int, default=7)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    given = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory(prefix="tanflow-linear-") as name:
        for points in given.points:
            folder, database = Path(name, str(points)), Path(name, f"{points}-influx")
            folder.mkdir()
            database.mkdir()
            with influxdb(database) as influx:
                found[points] = measure(points, folder, influx, given)
            print(f"{points:,} points: {found[points].start_s:.2f} s to start", file=sys.stderr, flush=True)
    text = block(found, given)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "linear", text)


if __name__ == "__main__":
    main()
