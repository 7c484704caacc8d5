"""A day of synthetic plant readings in; bytes a row and times of the history beside a DuckDB table file out.

`python -m benchmarks.history` writes its block of docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from benchmarks.report import ROOT, Target, heading, put_block, table, target_table
from config import model
from pipeline.batch import COLUMNS, Batch, Header, make
from sinks.history import History
from sinks.history_files import HOUR_NS, RAW
from sinks.history_rows import sorted_rows

SECOND_NS = 1_000_000_000
START_NS = 1_767_225_600 * SECOND_NS  # 2026-01-01
_ASKED: Final = 7  # times


def readings(cut: int, rows: int, series: int, rng: np.random.Generator) -> Batch:
    """Return one cut in log order: every series once a second, half slow gauges, half counters, tenths resolved."""
    seconds = rows // series
    step = np.arange(cut * seconds, (cut + 1) * seconds)[:, None]
    kind = np.arange(series)[None, :]
    gauge = 200 + 20 * np.sin((step + kind) / 600) + rng.normal(0, 0.2, (seconds, series))
    counter = 10_000 * kind + np.floor(step * (kind % 7 + 1) / 3) / 10
    value = np.where(kind % 2 == 0, np.round(gauge, 1), counter)
    times = np.broadcast_to(START_NS + step * SECOND_NS, value.shape)
    ids = np.broadcast_to(kind, value.shape)
    header = Header("bench", 1, "boot", START_NS, 0)
    return make(header, times.ravel(), ids.ravel(), value.ravel())


async def largest_lag(stop: asyncio.Event) -> float:
    """Return the longest the loop was held up [s] until `stop`."""
    worst = 0.0
    while not stop.is_set():
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        worst = max(worst, time.perf_counter() - before - 0.001)
    return worst


@dataclass(slots=True)
class Kept:
    """What one way of keeping rows took: writing [ns a row], size [bytes a row], hourly means of the day [ms]."""

    ns: float
    bytes: float
    means_ms: float


class Table:
    """The same rows, sorted by series within a cut as the history's, in a table of a DuckDB file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = duckdb.connect(str(path), config={"threads": 1, "memory_limit": "256MB"})
        self._db.execute("CREATE TABLE r (time_ns BIGINT, span_ns BIGINT, series INT, value DOUBLE, quality USMALLINT)")

    def write(self, batch: Batch) -> None:
        self._db.register("columns", sorted_rows({c: getattr(batch, c) for c in COLUMNS}))
        self._db.execute("INSERT INTO r SELECT * FROM columns")
        self._db.execute("CHECKPOINT")

    def hourly_means(self, begin_ns: int, end_ns: int) -> int:
        """Return how many means there are of all series over the time."""
        sql = f"""SELECT series, time_ns // {HOUR_NS} AS hour, avg(value) FROM r
            WHERE time_ns > ? AND time_ns <= ? GROUP BY ALL ORDER BY ALL"""
        return len(self._db.execute(sql, [begin_ns, end_ns]).fetchnumpy()["hour"])

    def close(self) -> None:
        self._db.close()


async def measure(folder: Path, rows: int, cuts: int, series: int) -> tuple[Kept, Kept, float]:
    """Return what history and table took, and the longest the loop was held up [s]."""
    rng, total = np.random.default_rng(1), rows * cuts
    history, compared = History(folder / "history", model.History()), Table(folder / "table.duckdb")
    await history.open()
    stop = asyncio.Event()
    lag = asyncio.create_task(largest_lag(stop))
    ours, theirs = [], []
    for i in range(cuts):
        batch = readings(i, rows, series, rng)
        begin = time.process_time()
        await history.write(batch, i, i + 1)
        ours.append((time.process_time() - begin) * 1e9 / len(batch))
        begin = time.process_time()
        await asyncio.to_thread(compared.write, batch)
        theirs.append((time.process_time() - begin) * 1e9 / len(batch))
    await history.compact()
    size = sum(f.stat().st_size for f in (folder / "history" / RAW.name).rglob("*") if f.is_file())
    end_ns = START_NS + cuts * (rows // series) * SECOND_NS
    fast, slow = [], []
    for _ in range(_ASKED):  # in turns
        begin = time.perf_counter()
        await history.query(list(range(series)), START_NS, end_ns, HOUR_NS)
        fast.append((time.perf_counter() - begin) * 1e3)
        begin = time.perf_counter()
        await asyncio.to_thread(compared.hourly_means, START_NS, end_ns)
        slow.append((time.perf_counter() - begin) * 1e3)
    stop.set()
    held_s = await lag
    await history.close()
    compared.close()
    return (
        Kept(statistics.median(ours), size / total, statistics.median(fast)),
        Kept(statistics.median(theirs), compared.path.stat().st_size / total, statistics.median(slow)),
        held_s,
    )


def block(ours: Kept, theirs: Kept, held_s: float, asked: argparse.Namespace) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    lines = [["a day of readings", "CPU to write", "size", "hourly means of all series"]]
    for name, kept in (("tanflow: Parquet, with roll-ups and fsync", ours), ("a table in a DuckDB file", theirs)):
        lines.append([name, f"{kept.ns:.0f} ns a row", f"{kept.bytes:.2f} B a row", f"{kept.means_ms:.0f} ms"])
    targets = [
        Target.at_most("raw rows, compacted", ours.bytes, 2.2, "B a row", 2),
        Target.at_least("hourly means, DuckDB file ÷ tanflow", theirs.means_ms / ours.means_ms, 10, "x"),
    ]
    return f"""{heading("History", "history")}

{asked.rows * asked.cuts:,} rows of {asked.series:,} series at 1 Hz, half slow gauges, half counters, to a tenth, in \
{asked.cuts} cuts; DuckDB with one
thread in both. Medians, of the question over {_ASKED} turns on the wall. The loop was held up for at most
{held_s * 1e3:.0f} ms. The size is that of the raw rows; other programs can read them while the gateway writes, which a
DuckDB file does not allow.

{table(lines)}

{target_table(targets)}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what keeping and asking a day of rows costs.")
    parser.add_argument("--rows", type=int, default=300_000, help="rows in a cut")
    parser.add_argument("--cuts", type=int, default=288)
    parser.add_argument("--series", type=int, default=1_000)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tanflow-bench-") as folder:
        found = asyncio.run(measure(Path(folder), asked.rows, asked.cuts, asked.series))
    text = block(*found, asked)
    print(text)
    if not asked.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "history", text)


if __name__ == "__main__":
    main()
