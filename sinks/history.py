"""The log's rows in, Parquet files out: raw rows and roll-ups of the gateway's own history, and answers from them.

    <directory>/raw/   rows by (series, time); the newest file's log range ends at the cursor
    <directory>/1m/    partials per series and minute
    <directory>/1h/    partials per series and hour

The files of each level cover the log's positions without a hole: what is too old leaves a file of no rows behind.

One write is one commit, however many rows it has: roll-ups get their names first, the raw file's rename makes them
count.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from config import model
from config.errors import Unavailable
from pipeline.batch import COLUMNS, Batch
from sinks.history_compact import compact, groups
from sinks.history_cut import Cut
from sinks.history_files import (
    DAY_NS,
    LEVELS,
    TEMPORARY,
    File,
    Level,
    live,
    make_folders,
    remove,
    scan,
)
from sinks.history_parquet import Parquet
from sinks.history_query import LIMIT, Aggregate, Answer, Question, Reader
from sinks.history_retire import retire, retired_before
from sinks.history_rows import sort_rows

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
        self._unfinished: Cut | None = None
        self.cursor = 0

    async def open(self) -> None:
        """Find the cursor; remove what an interrupted write or compaction left behind."""
        async with self._lock:
            await self._work(self._open)

    def skip(self, position: int) -> None:
        """Await nothing up to a log position any more: files that are away held it. None will claim what is missing."""
        self.cursor = max(self.cursor, position)

    async def own(self) -> None:
        """Take over files of an earlier version, which left nothing where it had retired some."""
        async with self._lock:
            await self._work(retired_before, self._root)

    async def close(self) -> None:
        """Wait for the work in hand; the files need no closing."""
        async with self._lock:
            self._parquet.rest()

    async def write(self, given: Batch | AsyncIterable[Batch], after: int, upto: int) -> None:
        """Store all rows of log positions (after, upto]; an empty batch advances the cursor with a file of no rows.

        Given batch by batch, each has other series than the others, and higher ones than those before it; only one is
        in memory at a time. Raises ValueError when `after` is not the cursor, for then rows would be lost or doubled.
        """
        async with self._lock:
            if after != self.cursor or upto <= after:
                raise ValueError(f"history stands at log position {self.cursor}, cannot write ({after}, {upto}]")
            cut = await self._work(self._begin, after, upto)
            try:
                batches = _one(given) if isinstance(given, Batch) else given
                del given
                async for batch in batches:
                    rows = [batch]  # given away: the sorted copy of each column takes its place
                    del batch
                    await self._work(_add, cut, rows)
                await self._work(self._commit, cut)
            except (Exception, asyncio.CancelledError) as error:
                await self._give_up(error)
                raise

    async def _give_up(self, why: BaseException) -> None:
        """Remove what an unfinished write left; what cannot be removed now is at the next write."""
        try:
            await self._work(self._discard_unfinished)
        except Unavailable as error:
            why.add_note(f"what was written by then could not be removed either: {error}")
            LOG.warning("%s", error)

    async def compact(self) -> int:
        """Put small files together, level by level; return how many files went. Hourly is often enough."""
        went = 0
        for level in LEVELS:
            async with self._lock:
                runs = await self._work(self._plan, level)
            for run in runs:
                async with self._lock:
                    await self._work(compact, self._root, level, run, self._parquet)
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
        self._unfinished = None
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

    def _begin(self, after: int, upto: int) -> Cut:
        self._discard_unfinished()
        self._unfinished = cut = Cut(self._root, after, upto)
        return cut

    def _commit(self, cut: Cut) -> None:
        try:
            cut.commit()
        except OSError as error:
            if self._in_doubt():
                self._unfinished = None
                raise RuntimeError(f"history {self._root}: the commit of position {cut.upto} is in doubt") from error
            raise
        self._unfinished = None
        self.cursor = cut.upto
        self._parquet.rest()

    def _in_doubt(self) -> bool:
        """Return whether a failed commit may be there: renamed, but perhaps not durable. Opening it again tells."""
        try:
            return self._reader.cursor() > self.cursor
        except OSError:
            return True

    def _discard_unfinished(self) -> None:
        """Remove the roll-ups of a write that failed before another log range can make them count."""
        if self._unfinished:
            self._unfinished.abandon()
        self._unfinished = None

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
            old = retire(self._root, level, files, oldest, self.cursor)
            went += 0 if level.step_ns else sum(f.rows for f in old)
            if old:
                LOG.info("removed %d files of %s/ older than %d days, as configured", len(old), level.name, days)
        return went


async def _one(batch: Batch) -> AsyncIterator[Batch]:
    yield batch


def _add(cut: Cut, given: list[Batch]) -> None:
    """Hand the one batch to the cut, sorted; it goes column by column as the sorted ones come."""
    batch = given.pop()
    columns = {name: getattr(batch, name) for name in COLUMNS}
    del batch
    cut.add(sort_rows(columns))
