"""A year of hourly entries is booked, restated, summed and verified: time and peak memory of each step leave.

python -m benchmarks.ledger [--meters 1000] [--days 365]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from rich.console import Console
from rich.table import Table

from carbon.compute import compute
from carbon.entries import Activity, Entries, Line, MeterVersion
from carbon.factor import Factor, FactorSteps
from carbon.ledger import Ledger, Reason, verify
from carbon.restate import Span, restate_factors
from pipeline.factors import Provenance

HOUR_NS: Final = 3_600_000_000_000
START_NS: Final = 1_735_660_800_000_000_000  # 2025-01-01 in Shanghai
METHODS: Final = ("location", "market", "td_losses")
SHANGHAI: Final = ZoneInfo("Asia/Shanghai")


def factor(method: str, year: int) -> FactorSteps:
    """Return a constant factor of a year; the figures are of a plausible size, no more."""
    said = Provenance("benchmark", "benchmark", year, f"{year + 2}-01-01", "co2e", "invented for a benchmark")
    kg = {"location": 0.4403, "market": 0.5942, "td_losses": 0.0231}[method] + (year - 2023) * 0.0121
    return FactorSteps.constant(
        Factor(f"benchmark/{method}/{year}", "kWh", (0, 0, 0, 0, kg), float(method != "td_losses"), said)
    )


def line(meter: int, method: str) -> Line:
    """Return one line of a meter."""
    scope, category = (3, "td_losses") if method == "td_losses" else (2, "purchased_electricity")
    return Line(
        f"meter-{meter:04d}.electricity", f"meter-{meter:04d}", "hall", "meter", "electricity", "kWh", "boundary",
        scope, category, "market" if method == "market" else "location",
    )  # fmt: skip


def book(folder: Path, meters: int, days: int) -> str:
    """Book every hour in a block of its own, as the gateway does; a day is one transaction, to spare the disk."""
    random = np.random.default_rng(7)
    base = random.uniform(20e6, 400e6, meters)  # [1e-6 kWh an hour]
    with Ledger.open(folder, write=True) as ledger:
        for day in range(days):
            with ledger.writing() as w:
                lines = {m: [w.line(line(i, m)) for i in range(meters)] for m in METHODS}
                meter = [w.meter(MeterVersion(f"M{i}", 1, f"S{i}", 80.0, 0.01)) for i in range(meters)]
                for hour in range(24):
                    start = START_NS + (day * 24 + hour) * HOUR_NS
                    amount = (base * random.uniform(0.6, 1.4, meters)).astype(np.int64)
                    activity = Activity.make(start, HOUR_NS, np.arange(meters), amount, peak=amount / 1e6 * 1.2)
                    parts = [compute(activity, lines[m], factor(m, 2023), w.factor, meter) for m in METHODS]
                    w.entries(Entries.join(parts), Reason("live"))
    return f"{meters * days * 24 * len(METHODS):,} entries"


def restate(folder: Path) -> str:
    """Give every entry of the year the factors of another year."""
    with Ledger.open(folder, write=True) as ledger:
        steps = {n: factor(of(known), 2024) for n, known in ledger.lines.items()}
        span = Span(START_NS, START_NS + 366 * 24 * HOUR_NS, SHANGHAI)
        difference = restate_factors(ledger, steps, span, Reason("restatement", "factors of 2024", "benchmark"))
    return f"{difference.changed:,} new versions"


def of(known: Line) -> str:
    """Return which of METHODS a line is."""
    return "td_losses" if known.scope == 3 else known.method


def sums(folder: Path) -> str:
    """Sum the effective entries by month."""
    edges = [START_NS + d * 24 * HOUR_NS for d in (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)]
    with Ledger.open(folder) as ledger:
        found = ledger.sums(edges)
    return f"{len(found):,} groups of {int(found.count.sum()):,} entries, {int(found.co2e.sum()) / 1e9:,.3f} t"


def audit(folder: Path) -> str:
    """Verify the whole ledger."""
    verdict = verify(folder)
    return f"{verdict.entries:,} entries in {verdict.blocks:,} blocks: " + ("sound" if verdict.ok else "NOT SOUND")


def _measured(step: Callable[..., str], arguments: tuple[Any, ...], answer: Any) -> None:
    began = time.monotonic()
    said = step(*arguments)
    answer.send((said, time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def measure(step: Callable[..., str], *arguments: Any) -> tuple[str, float, float]:
    """Run a step in a fresh process; return what it says, its time [s] and its peak memory [MB]."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_measured, args=(step, arguments, there))
    process.start()
    there.close()
    found: tuple[str, float, float] = here.recv()
    process.join()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meters", type=int, default=1000)
    parser.add_argument("--days", type=int, default=365)
    options = parser.parse_args()
    table = Table("step", "what", "time [s]", "peak memory [MB]", "ledger.db [MB]")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        steps: list[tuple[Callable[..., str], tuple[Any, ...]]] = [
            (book, (folder, options.meters, options.days)), (sums, (folder,)), (restate, (folder,)),
            (sums, (folder,)), (audit, (folder,)),
        ]  # fmt: skip
        for step, arguments in steps:
            said, seconds, peak = measure(step, *arguments)
            size = (folder / "ledger.db").stat().st_size / 1e6
            table.add_row(step.__name__, said, f"{seconds:.1f}", f"{peak:.0f}", f"{size:.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
