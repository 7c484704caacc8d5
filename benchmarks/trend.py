"""A year of one series at 1 Hz in the history; out: how long the server takes to answer a trend of it, by span.

python -m benchmarks.trend [--days 365] [--series 2] [--rounds 9] [--no-write]

The rows go through the history's own writer, cut and compacted as a gateway does; raw rows are kept for as long as
retention declares by default. The question is asked over HTTP of a gateway that has the history.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import yaml

from benchmarks.database import free_port
from benchmarks.report import ROOT, heading, put_block, table
from config.load import Loaded, load
from config.model import Api
from pipeline.batch import Batch, Header, make
from pipeline.clock import SECOND_NS, Clock
from pipeline.log.writer import Entry
from sinks.history_files import DAY_NS
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tanflow.web.server import serve

MAX_MS: Final = 300.0
CUT_S: Final = 21_600  # rows of a series in a cut: with more series a gateway cuts sooner
TAIL_S: Final = 300  # between two cuts
KEY: Final = "press.v0.power"
# Span, step: about as many points as a screen is wide, as the page asks for them.
QUESTIONS: Final = (
    ("-365d", "6h"),
    ("-365d", "1h"),
    ("-30d", "1h"),
    ("-30d", "15min"),
    ("-1d", "1min"),
    ("-1h", "none"),
)


def configured(folder: Path, series: int) -> Loaded:
    """Return the configuration of a plant of one device with so many values."""
    points = {
        f"v{n}": {"quantity": "power", "unit": "kW", "modbus": {"address": 2 * n, "type": "float32"}}
        for n in range(series)
    }
    device = {"connection": "floor", "address": "127.0.0.1:9/1", "every_s": 1, "points": points}
    asset = {"type": "other", "energy": "none", "devices": {"meter": device}}
    text = {
        "version": 1,
        "site": {"name": "bench", "zone": "Asia/Shanghai", "region": "CN-GD"},
        "data": {"ballast_mb": 1},
        "connections": {"floor": {"protocol": "modbus"}},
        "areas": {"hall": {"assets": {"press": asset}}},
    }
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(text), "utf-8")
    return load(path)


def readings(start_ns: int, seconds: int, ids: list[int], rng: np.random.Generator) -> Batch:
    """Return one cut in log order: each series once a second, a day's wave and noise, tenths resolved."""
    step = np.arange(seconds)[:, None]
    times = start_ns + step * SECOND_NS
    wave = 200 + 80 * np.sin(2 * np.pi * (times % DAY_NS) / DAY_NS)
    value = np.round(wave + rng.normal(0, 5, (seconds, len(ids))), 1)
    series = np.broadcast_to(np.array(ids, np.int32), value.shape)
    header = Header("floor", 1, "bench", int(times[-1, 0]), 0)
    return make(header, np.broadcast_to(times, value.shape).ravel(), series.ravel(), value.ravel())


async def filled(gateway: Gateway, ids: list[int], days: int, end_ns: int) -> int:
    """Write so many days that end at `end_ns` into the history, compact and retire them; return the rows."""
    history, rng = gateway.history, np.random.default_rng(1)
    first, cuts = end_ns - days * DAY_NS, days * DAY_NS // (CUT_S * SECOND_NS)
    position, rows = history.cursor, 0
    for cut in range(cuts):
        batch = readings(first + cut * CUT_S * SECOND_NS, CUT_S, ids, rng)
        rows += len(batch)
        await history.write(batch, position, position + 1)
        position += 1
        if cut % 40 == 39:
            await history.compact()
            await history.retain(first + (cut + 1) * CUT_S * SECOND_NS)
            print(f"\r{100 * cut // cuts} %", end="", file=sys.stderr, flush=True)
    await history.compact()
    print("\r     \r", end="", file=sys.stderr)
    return rows


async def followed(gateway: Gateway, ids: list[int], start_ns: int) -> None:
    """Commit what comes between two cuts of a gateway: its log's tail, which every answer includes."""
    rng, position = np.random.default_rng(2), gateway.history.cursor
    forward = ("UPDATE sqlite_sequence SET seq = ? WHERE name = 'log'", (position,))  # the log made what is archived
    await gateway.log.append(Entry(statements=[forward]))
    tail = (readings(start_ns + n * SECOND_NS, 1, ids, rng) for n in range(TAIL_S))
    await asyncio.gather(*(gateway.log.append(Entry([batch])) for batch in tail))


@dataclass(frozen=True, slots=True)
class Trend:
    """One question: median and longest time of the server [ms], and points of its answer."""

    span: str
    step: str
    points: int
    median_ms: float
    longest_ms: float
    first_ms: float


async def asked(port: int, rounds: int) -> list[Trend]:
    """Ask each question `rounds` times, after once to begin with."""
    found = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        for span, step in QUESTIONS:
            spent = []
            for _ in range(rounds + 1):
                begin = time.perf_counter()
                answer = await client.get("/api/query", params={"series": KEY, "from": span, "step": step})
                spent.append((time.perf_counter() - begin) * 1e3)
                answer.raise_for_status()
            first, *others = spent
            found.append(Trend(span, step, answer.json()["rows"], statistics.median(others), max(others), first))
    return found


async def measure(folder: Path, given: argparse.Namespace) -> tuple[list[Trend], int, int]:
    """Return the answers' times, the rows written, and the bytes the history takes."""
    loaded = configured(folder, given.series)
    end_ns = time.time_ns() // DAY_NS * DAY_NS
    api = Api(port=free_port())
    clock = Clock(anchor_ns=end_ns + TAIL_S * SECOND_NS)
    async with open_gateway(loaded.gateway, loaded.templates, base=folder, clock=clock) as gateway:
        ids = [gateway.table.ids[f"press.v{n}.power"] for n in range(given.series)]
        rows = await filled(gateway, ids, given.days, end_ns)
        await followed(gateway, ids, end_ns)
        serving = asyncio.create_task(serve(gateway, api))
        try:
            async with asyncio.timeout(30):
                while True:
                    with contextlib.suppress(httpx.ConnectError):
                        async with httpx.AsyncClient() as client:
                            await client.get(f"http://127.0.0.1:{api.port}/api/health")
                        break
                    await asyncio.sleep(0.05)
            found = await asked(api.port, given.rounds)
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
    size = sum(path.stat().st_size for path in (loaded.gateway.data.dir / "history").rglob("*.parquet"))
    return found, rows, size


def block(found: list[Trend], rows: int, size: int, given: argparse.Namespace) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    lines = [["trend of one series", "step", "points", "median", "longest", "first", "target", "met"]]
    for t in found:
        met = "yes" if t.median_ms <= MAX_MS else "**no**"
        times = [f"{ms:.0f} ms" for ms in (t.median_ms, t.longest_ms, t.first_ms)]
        lines.append([t.span, t.step, f"{t.points:,}", *times, f"≤ {MAX_MS:.0f} ms", met])
    return f"""{heading("Trends", "trend")}

{given.series} series at 1 Hz over {given.days} days, {rows:,} rows through the history's own writer, compacted and
retired as a gateway does it: {size / 2**20:,.0f} MiB; the log holds {TAIL_S} s more. Times are those of GET
/api/query over loopback, JSON included, medians of {given.rounds}; "first" is the first time a question is asked.

{table(lines)}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long a trend over a year takes.")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument(
        "--series", type=int, default=2, help="series in the same files (default 2; 20 take half an hour)"
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tanflow-trend-") as folder:
        found, rows, size = asyncio.run(measure(Path(folder), given))
    text = block(found, rows, size, given)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "trend", text)
    missed = [t.span for t in found if t.median_ms > MAX_MS]
    sys.exit(f"missed: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
