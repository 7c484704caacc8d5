"""Synthetic plant readings in, bytes and nanoseconds a row out: the history beside a DuckDB table file, in one run.

python -m benchmarks.history [--rows 100000] [--cuts 10] [--series 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np

from config import model
from pipeline.batch import COLUMNS, Batch, Header, make
from sinks.history import History
from sinks.history_files import HOUR_NS, MINUTE_NS, RAW
from sinks.history_parquet import Parquet
from sinks.history_rollup import sorted_rows

SECOND_NS = 1_000_000_000
START_NS = 1_767_225_600 * SECOND_NS  # 2026-01-01


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


def duckdb_table(path: Path, batches: list[Batch]) -> tuple[float, float]:
    """Return (ns, bytes) a row of appending the same sorted rows to a table in a DuckDB file."""
    total = sum(map(len, batches))
    with duckdb.connect(str(path), config={"threads": 1, "memory_limit": "256MB"}) as db:
        db.execute("CREATE TABLE r (time_ns BIGINT, span_ns BIGINT, series INT, value DOUBLE, quality USMALLINT)")
        begin = time.perf_counter()
        for batch in batches:
            db.register("columns", sorted_rows({c: getattr(batch, c) for c in COLUMNS}))
            db.execute("INSERT INTO r SELECT * FROM columns")
            db.execute("CHECKPOINT")
        spent = time.perf_counter() - begin
    return spent * 1e9 / total, path.stat().st_size / total


def raw_only(folder: Path, batches: list[Batch]) -> float:
    """Return ns a row of sorting and writing Parquet, without roll-ups, fsync and names."""
    parquet = Parquet()
    begin = time.perf_counter()
    for i, batch in enumerate(batches):
        parquet.write(folder / f"{i}.parquet", sorted_rows({c: getattr(batch, c) for c in COLUMNS}))
    return (time.perf_counter() - begin) * 1e9 / sum(map(len, batches))


async def measure(folder: Path, rows: int, cuts: int, series: int) -> None:
    rng = np.random.default_rng(1)
    batches = [readings(i, rows, series, rng) for i in range(cuts)]
    total = sum(map(len, batches))
    history = History(folder / "history", model.History())
    await history.open()
    stop = asyncio.Event()
    lag = asyncio.create_task(largest_lag(stop))
    spent = []
    for i, batch in enumerate(batches):
        begin = time.perf_counter()
        await history.write(batch, i, i + 1)
        spent.append((time.perf_counter() - begin) * 1e9 / len(batch))
    size = {
        level: sum(f.stat().st_size for f in (folder / "history" / level).iterdir()) for level in ("raw", "1m", "1h")
    }
    begin = time.perf_counter()
    await history.compact()
    compacted = (time.perf_counter() - begin) * 1e9 / total
    raw = sum(f.stat().st_size for f in (folder / "history" / RAW.name).iterdir())
    end = START_NS + cuts * (rows // series) * SECOND_NS
    print(f"rows                       {total:>12,}   in {cuts} cuts of {series} series")
    print(f"write, roll-ups and fsync  {statistics.median(spent):>12.0f} ns a row")
    print(f"compaction, all levels     {compacted:>12.0f} ns a row")
    print(f"raw                        {size['raw'] / total:>12.2f} B a row, {raw / total:.2f} compacted")
    print(f"roll-ups 1 min, 1 h        {size['1m'] / total:>12.2f}, {size['1h'] / total:.2f} B a raw row")
    for what, ids, step in (
        ("one series raw", [0], None),
        ("one series at 1 min", [0], MINUTE_NS),
        ("100 series at 1 h", range(100), HOUR_NS),
    ):
        taken = []
        for _ in range(7):
            begin = time.perf_counter()
            answer = await history.query(list(ids), START_NS, end, step)
            taken.append(time.perf_counter() - begin)
        print(f"{what:<27}{statistics.median(taken) * 1e3:>12.1f} ms, {len(answer)} rows")
    stop.set()
    print(f"longest hold-up of the loop{await lag * 1e3:>12.1f} ms")
    print(f"raw file alone             {raw_only(folder, batches):>12.0f} ns a row")
    print(f"peak memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:>12.0f} MB")
    await history.close()
    ns, size_b = duckdb_table(folder / "table.duckdb", batches)
    print(f"DuckDB table file          {ns:>12.0f} ns a row, {size_b:.2f} B a row")
    faster, smaller = ns / statistics.median(spent), size_b / (raw / total)
    print(f"ratio table/history        {faster:>12.2f} in time, {smaller:.2f} in bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows in a cut")
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--series", type=int, default=1_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), asked.rows, asked.cuts, asked.series))


if __name__ == "__main__":
    main()
