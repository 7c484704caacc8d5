"""A gateway that runs for an hour, or a month on a fast clock → its memory and disk against time, and how they grow.

`python -m benchmarks.soak` (or `make soak`) writes its blocks of docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.database import DATABASE, free_port, influxdb, wait_for
from benchmarks.growth import Sample, after, sampled, slope
from benchmarks.measure import metrics
from benchmarks.plant import configuration, simulated
from benchmarks.process import Program, python
from benchmarks.report import ROOT, heading, put_block, table
from config.load import load
from pipeline.clock import Clock
from tanflow.memory import let_go_of_code, settle, stay_small, tame_malloc
from tanflow.opening import open_gateway
from tanflow.running import add_page, stop_on_signals
from tanflow.tasks import cancel, start

VALUES: Final = 62  # a device
UNITS: Final = 27  # devices behind a port
POINTS: Final = 12  # of the course that are shown
LEAST: Final = 0.001  # MB/h: 9 MB in a year
MONTH_H: Final = 720.0
MONTH_DEVICES, MONTH_VALUES, MONTH_EVERY_S = 16, 12, 60.0
MONTH_RAW_DAYS: Final = 7  # so that the month shows the history's retention as well


@dataclass(frozen=True, slots=True)
class Soak:
    """One run: how long, what it was, what was seen of it, from when on [h] it is judged."""

    name: str
    about: str
    samples: Sequence[Sample]
    warm_h: float


def hour(given: argparse.Namespace, folder: Path) -> Soak:
    """Run the gateway on the wall's clock at so many values a second."""
    ports = max(1, round(given.rate / VALUES / UNITS))
    rate = ports * UNITS * VALUES
    about = f"{rate:,} values/s: {ports * UNITS} Modbus TCP devices × {VALUES} values at 1 Hz"
    with ExitStack() as stack:
        influx = stack.enter_context(influxdb(folder))
        plant = stack.enter_context(simulated(folder, ports, UNITS, VALUES))
        port = free_port()
        config = configuration(plant, folder, influx.url, DATABASE, port)
        command = python("-m", "tanflow", "run", "-c", str(config))
        program = stack.enter_context(Program(command, folder / "gateway.log"))
        samples = watched(program, port, folder / "data", given.hours * 3_600, given.every)
    return Soak("an hour" if given.hours == 1 else f"{given.hours:g} hours", about, samples, given.warm * given.hours)


def month(given: argparse.Namespace, folder: Path) -> Soak:
    """Run the gateway on a clock that lets a month pass in `--month` minutes, read once a minute of it."""
    speed = MONTH_H * 60 / given.month
    about = (
        f"{MONTH_DEVICES} Modbus TCP devices × {MONTH_VALUES} values every minute; the gateway's clock runs"
        f" {speed:,.0f} times as fast.\nRaw rows are kept for {MONTH_RAW_DAYS} days, so that retention shows;"
        " roll-ups of a minute, here as many as readings, for ten years"
    )
    with ExitStack() as stack:
        influx = stack.enter_context(influxdb(folder))
        plant = stack.enter_context(simulated(folder, 1, MONTH_DEVICES, MONTH_VALUES))
        port = free_port()
        config = configuration(plant, folder, influx.url, DATABASE, port)
        content: dict[str, Any] = orjson.loads(config.read_bytes())
        content["connections"]["floor"]["every_s"] = MONTH_EVERY_S
        content["data"]["history"] = {"raw_days": MONTH_RAW_DAYS}
        for asset in content["areas"]["hall"]["assets"].values():
            asset["max_hold_s"] = 3_600  # a second the machine is late is half an hour there
        config.write_bytes(orjson.dumps(content))
        command = python("-m", "benchmarks.soak", "--serve", str(config), "--speed", str(speed))
        program = stack.enter_context(Program(command, folder / "gateway.log"))
        samples = watched(program, port, folder / "data", given.month * 60, given.every / 4, speed)
    return Soak("a month", about, samples, given.warm * MONTH_H)


def watched(
    program: Program, port: int, data: Path, lasts_s: float, every_s: float, speed: float = 1.0
) -> list[Sample]:
    """Wait until a gateway answers, then watch it; what it has read tells its /metrics."""
    url = f"http://127.0.0.1:{port}"
    wait_for(f"{url}/api/health", program, 120)
    return sampled(program, data, lambda: metrics(url).total("collector.", "received"), lasts_s, every_s, speed)


async def run_fast(path: Path, speed: float) -> None:
    """Run a configuration on a fast clock until told to stop: what `tanflow run` does, but for the clock."""
    tame_malloc()
    loaded, stop = load(path), stop_on_signals()
    async with open_gateway(loaded.gateway, loaded.templates, base=path.parent, clock=Clock(speed=speed)) as gateway:
        add_page(gateway)
        settle()
        let_go_of_code()
        giving = start("memory", stay_small())
        try:
            await gateway.run(stop)
        finally:
            await cancel([giving])


def course(soak: Soak) -> str:
    """Return the samples as a table of a dozen moments, the mean of each stretch."""
    rows = [["after", "resident", "proportional", "anonymous", "log", "history", "ledger", "readings"]]
    size = max(1, len(soak.samples) // POINTS)
    for begin in range(0, len(soak.samples) - size + 1, size):
        part = soak.samples[begin : begin + size]
        means = [sum(getattr(s, what) for s in part) / len(part) for what in ("rss", "pss", "anonymous")]
        disk = [f"{getattr(part[-1], what):,.1f} MB" for what in ("log", "history", "ledger")]
        rows.append([lasted(part[-1].hours), *(f"{m:.1f} MB" for m in means), *disk, f"{part[-1].readings:,}"])
    return table(rows)


def lasted(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours / 24:.1f} days"


def growth(soak: Soak) -> str:
    """Return how each grows once warm, and what that is."""
    samples = after(soak.samples, soak.warm_h)
    readings = samples[-1].readings - samples[0].readings
    span_h = samples[-1].hours - samples[0].hours
    rows = [["of", "grows by", "which is", "a reading", "largest", "what it is"]]
    for what, name, means in (
        ("rss", "resident memory", "all of the process, libraries and files that are mapped too"),
        ("pss", "proportional memory", "the same, libraries shared out among those who use them"),
        ("anonymous", "anonymous memory", "arrays, objects, buffers: where a leak would show"),
        ("log", "log", "what waits for the next file of the history, and pages kept for use again"),
        ("history", "history", "Parquet of raw rows and roll-ups, until their age takes them"),
        ("ledger", "ledger", "hourly entries, kept for good: with hours and assets, not with readings"),
    ):
        found = slope(samples, what)
        told = (
            "flat" if abs(found.per_hour) <= max(2 * found.error, LEAST) else "growth" if found.per_hour > 0 else "less"
        )
        each = f"{found.per_hour * span_h / readings * 1e6:.2f} B" if what in ("history", "ledger") else "–"
        most = max(getattr(s, what) for s in samples)
        rows.append([name, found.text(), told, each, f"{most:,.1f} MB", means])
    return table(rows)


def block(soak: Soak) -> str:
    """Return the block of the document."""
    return f"""{heading(f"Memory and disk over {soak.name}", "soak")}

{soak.about}.

Modbus → normalise → meter → CO₂ → log → ledger, history and InfluxDB 1.x, in a process of its own whose memory
(`smaps_rollup`) and files (blocks on disk) are looked at from outside. Memory is the mean and disk the end of a
twelfth of the run each.

{course(soak)}

A slope is the least-squares line through the means of 30 stretches from {lasted(soak.warm_h)} on, with its standard
error; flat is what lies within two of them, or below a kilobyte an hour. Memory rises for a moment while a file of the
history is written or hours are compacted.

{growth(soak)}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Watch memory and disk of a gateway for a long time.")
    parser.add_argument("--hours", type=float, default=1.0, help="hours on the wall; 0 leaves this run out")
    parser.add_argument("--rate", type=float, default=10_000.0, help="values a second of that run")
    parser.add_argument("--month", type=float, default=30.0, help="minutes a month takes; 0 leaves this run out")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    parser.add_argument("--warm", type=float, default=0.25, help="share of a run that slopes leave out")
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--speed", type=float, default=1.0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(run_fast(given.serve, given.speed))
        return
    for name, run, wanted in (("soak", hour, given.hours), ("soak_month", month, given.month)):
        if wanted:
            with tempfile.TemporaryDirectory(prefix="tanflow-soak-") as folder:
                text = block(run(given, Path(folder)))
            print(text, flush=True)
            if not given.no_write:
                put_block(ROOT / "docs" / "PERFORMANCE.md", name, text)


if __name__ == "__main__":
    main()
