"""The log's rows in, Parquet files out: raw rows and roll-ups of the gateway's own history, and answers from them.

    <directory>/raw/   rows by (series, time); the newest file's log range ends at the cursor
    <directory>/1m/    partials per series and minute
    <directory>/1h/    partials per series and hour

One write is one commit: roll-ups get their names first, the raw file's rename makes them count.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import numpy as np

from config import model
from config.errors import Unavailable
from pipeline.batch import COLUMNS, Batch
from sinks.history_compact import compact, groups, store
from sinks.history_files import (
    DAY_NS,
    HOURS,
    LEVELS,
    MINUTES,
    RAW,
    TEMPORARY,
    File,
    Level,
    live,
    make_folders,
    remove,
    scan,
)
from sinks.history_parquet import Columns, Parquet
from sinks.history_query import LIMIT, Aggregate, Answer, Question, Reader
from sinks.history_rollup import sort_rows, summarise, widened

LOG: Final = logging.getLogger("tanflow.history")
P = ParamSpec("P")
T = TypeVar("T")


class History:
    """The embedded history of one gateway; all file work happens in threads, one writer at a time.

    `cursor` is the log position up to which everything is stored. Every method raises Unavailable when the disk
    is full, read-only or failing; nothing half-written is ever visible.
    """

    def __init__(self, directory: Path, config: model.History) -> None:
        self._root = directory
        self._config = config
        self._parquet = Parquet()
        self._reader = Reader(directory, self._parquet)
        self._lock = asyncio.Lock()
        self._unfinished: list[File] = []
        self.cursor = 0

    async def open(self) -> None:
        """Find the cursor; remove what an interrupted write or compaction left behind."""
        async with self._lock:
            await self._work(self._open)

    async def close(self) -> None:
        """Wait for the work in hand; the files need no closing."""
        async with self._lock:
            self._parquet.rest()

    async def write(self, batch: Batch, after: int, upto: int) -> None:
        """Store all rows of log positions (after, upto]; an empty batch advances the cursor with a file of no rows.

        Raises ValueError when `after` is not the cursor, for then rows would be lost or doubled.
        """
        async with self._lock:
            if after != self.cursor or upto <= after:
                raise ValueError(f"history stands at log position {self.cursor}, cannot write ({after}, {upto}]")
            given = [batch]  # given away: while the files are written only the sorted copy of its rows is in memory
            del batch
            await self._work(self._write, given, after, upto)

    async def compact(self) -> int:
        """Put small files together, level by level; return how many files went. Hourly is often enough."""
        went = 0
        for level in LEVELS:
            async with self._lock:
                runs = await self._work(self._plan, level)
            for run in runs:
                async with self._lock:
                    await self._work(compact, level, run, self._parquet)
                went += len(run) - 1
        self._parquet.rest()
        return went

    async def retain(self, now_ns: int) -> int:
        """Remove files wholly older than what is kept; return how many raw rows went."""
        async with self._lock:
            return await self._work(self._retain, now_ns)

    async def query(
        self,
        series: Sequence[int],
        start_ns: int,
        end_ns: int,
        step_ns: int | None = None,
        aggregate: Aggregate = "mean",
        limit: int = LIMIT,
        *,
        tail: Batch | None = None,
        after: int | None = None,
    ) -> Answer:
        """Return rows (no step) or one aggregate per series and bucket; see Question and Answer.

        `tail`: the log's rows beyond position `after` (default: the present cursor). Raises Rejected when the
        question makes no sense or takes too many rows.
        """
        if tail is not None and after is None:
            after = self.cursor
        question = Question(tuple(series), start_ns, end_ns, step_ns, aggregate, limit, tail, after)
        return await asyncio.to_thread(self._reader.answer, question)

    async def count(self, after: int = 0) -> int:
        """Return how many raw rows are stored in files that begin at or beyond log position `after`."""
        return await self._work(self._reader.count, after)

    async def _work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in a thread and, cancelled or not, wait for its end: a second writer must never start meanwhile."""
        task = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise
        except OSError as error:
            raise Unavailable(
                f"history {self._root}: {error}; free space, or make it writable. The log keeps the rows meanwhile"
            ) from error

    def _open(self) -> None:
        make_folders(self._root)
        self._unfinished = []
        self.cursor = self._reader.cursor()
        orphans: list[File] = []
        for level in LEVELS:
            folder = self._root / level.name
            kept, superseded = live(scan(folder))
            remove([*folder.glob(f"*{TEMPORARY}"), *(f.path for f in superseded)])
            orphans += [f for f in kept if f.upto > self.cursor]
        if foreign := [f for f in orphans if f.after != self.cursor]:
            raise Unavailable(
                f"history {self._root}: roll-ups reach log position {max(f.upto for f in foreign)}, raw files only "
                f"{self.cursor}: raw files are missing. Put them back, or move the whole directory away to start anew"
            )
        remove(f.path for f in orphans)
        if orphans:
            LOG.info("removed %d roll-ups of a write that did not finish after position %d", len(orphans), self.cursor)

    def _write(self, given: list[Batch], after: int, upto: int) -> None:
        self._discard_unfinished()
        rows = _sorted(given)
        try:
            if len(rows["series"]):
                self._roll_up(rows, after, upto)
            store(self._root / RAW.name, rows, _reach(rows), (after, upto), self._parquet)
        except OSError as error:
            if self._in_doubt(after):
                raise RuntimeError(f"history {self._root}: the commit of position {upto} is in doubt") from error
            self._discard_unfinished()
            raise
        self._unfinished = []
        self.cursor = upto
        self._parquet.rest()

    def _roll_up(self, rows: Columns, after: int, upto: int) -> None:
        partials = rows
        for level in (MINUTES, HOURS):  # one at a time in memory, and none when the raw rows are written
            partials = widened(partials, level.step_ns) if level is HOURS else summarise(rows, level.step_ns)
            times = int(partials["bucket_ns"].min()), int(partials["bucket_ns"].max())
            folder = self._root / level.name
            self._unfinished.append(File.named(folder, *times, after, upto, len(partials["series"])))
            store(folder, partials, times, (after, upto), self._parquet)

    def _in_doubt(self, after: int) -> bool:
        """Return whether a failed commit may be there: renamed, but perhaps not durable. Opening it again tells."""
        try:
            return self._reader.cursor() != after
        except OSError:
            return True

    def _discard_unfinished(self) -> None:
        """Remove the roll-ups of a failed write before another log range can make them count."""
        remove(f.path for f in self._unfinished)
        self._unfinished = []

    def _plan(self, level: Level) -> list[list[File]]:
        files, superseded = live(scan(self._root / level.name))
        remove(f.path for f in superseded)
        return list(groups(level, (f for f in files if f.upto <= self.cursor)))

    def _retain(self, now_ns: int) -> int:
        went = 0
        for level in LEVELS:
            days = self._config.rollup_days if level.step_ns else self._config.raw_days
            oldest = now_ns - days * DAY_NS
            files = live(scan(self._root / level.name))[0]
            # The newest raw file carries the cursor: it stays whatever its age.
            old = [f for f in files if f.to_ns < oldest and f.upto < self.cursor]
            remove(f.path for f in old)
            went += 0 if level.step_ns else sum(f.rows for f in old)
            if old:
                LOG.info("removed %d files of %s/ older than %d days, as configured", len(old), level.name, days)
        return went


def _sorted(given: list[Batch]) -> Columns:
    """Return the rows of the one batch by (series, time); it goes column by column as they come."""
    batch = given.pop()
    columns = {name: getattr(batch, name) for name in COLUMNS}
    del batch
    return sort_rows(columns)


def _reach(rows: Columns) -> tuple[int, int]:
    """Return where the earliest interval begins and the latest row stands [ns UTC]."""
    if not len(rows["time_ns"]):
        return 0, 0
    begin = rows["time_ns"] - np.maximum(rows["span_ns"], 0)
    return int(begin.min()), int(rows["time_ns"].max())
