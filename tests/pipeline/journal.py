"""A real log in a test's folder, an ingest on it, and what it holds as plain rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.batch import Batch
from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.ingest import Ingest
from pipeline.log.log import Log
from pipeline.meter import MeterState
from pipeline.series import SeriesTable
from tests.pipeline.tables import SECOND, START

Row = tuple[int, float, float, str, int]


async def open_log(path: Path, clock: Clock | None = None, commit_s: float = 0.001) -> Log:
    """Return a log that commits at once unless told otherwise."""
    log = Log(path, clock or Clock(), commit_s)
    await log.open_boot()
    return log


def ingest_of(
    log: Log, table: SeriesTable, connection: str = "m", clock: Clock | None = None, *, stamps: bool = False
) -> Ingest:
    """Return a connection's ingest whose gate is open."""
    accepting = asyncio.Event()
    accepting.set()
    return Ingest(log, table, connection, clock or log.clock, Counters(), accepting, stamps)


def plain(batches: Iterable[Batch]) -> list[Row]:
    """Return (series, end [s], span [s], value as text, quality) of all rows; as text, not-a-numbers are equal too."""
    return [
        (series, (time_ns - START) / SECOND, span_ns / SECOND, repr(value), quality)
        for b in batches
        for series, time_ns, span_ns, value, quality in zip(
            b.series.tolist(), b.time_ns.tolist(), b.span_ns.tolist(), b.value.tolist(), b.quality.tolist(), strict=True
        )
    ]


def held(log: Log, stratum: int | None = None) -> list[Row]:
    """Return the log's rows in order, all or those of one stratum, untrusted ones included."""
    batches = (b for w in log.reader.read_raw(0, 10_000_000) for b in w.batches)
    return plain(b for b in batches if stratum is None or b.header.stratum == stratum)


def assert_same_state(one: MeterState, other: MeterState) -> None:
    """Assert that two states remember the same of every series."""
    for mine, its in zip(one.columns, other.columns, strict=True):
        np.testing.assert_array_equal(mine, its)
