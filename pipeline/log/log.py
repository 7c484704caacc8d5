"""The durable log as everyone else sees it: append entries, read windows in order, wait for more."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from pipeline.batch import Batch, Window
from pipeline.clock import Clock, to_beat_s
from pipeline.log.codec import decode
from pipeline.log.schema import open_reader
from pipeline.log.writer import Cursor, Entry, LogWriter
from pipeline.quality import CLOCK

_KEYS: Final = 2_000  # new series in one statement
_GATHER_S: Final = 1.0  # for those who need not know of each commit
_LEAD: Final = 0.125  # of the commit interval: what is taken this long before a commit is ready for it
# Decoded windows kept for the consumers that follow closely: so many rows, and more where a second brings more.
_RECENT_ROWS: Final = 100_000
_MOST_RECENT_ROWS: Final = 400_000


class LogReader:
    """Reads windows in order; holds no transaction between calls. From any process; no thread of its own."""

    def __init__(self, directory: Path) -> None:
        self._db = open_reader(directory)
        # Offset each boot's own stamps need; None: that boot's clock is not yet trusted, nobody may pass.
        self.boots: dict[str, int | None] = {}
        self.load_boots()

    def load_boots(self) -> None:
        """Read which boots' clocks are trusted."""
        self.boots.update(self._db.execute("SELECT boot, offset_ns FROM boots"))

    def close(self) -> None:
        self._db.close()

    def read(self, after: int, max_rows: int = 50_000) -> list[Window]:
        """Return windows after a position, oldest first, up to about `max_rows`; stops before an untrusted boot."""
        windows: list[Window] = []
        for window in self._stored(after, max_rows):
            trusted = self._on_time(window)
            if trusted is None:
                break
            windows.append(trusted)
        return windows

    def read_raw(self, after: int, max_rows: int = 50_000) -> list[Window]:
        """Return windows as written, untrusted clocks included: only recovery may."""
        return list(self._stored(after, max_rows))

    def _stored(self, after: int, max_rows: int) -> Iterable[Window]:
        rows = 0
        cursor = self._db.execute("SELECT position, rows, blob FROM log WHERE position > ? ORDER BY position", (after,))
        try:
            for position, count, blob in cursor:
                yield Window(position, decode(blob))
                rows += count
                if rows >= max_rows:
                    break
        finally:
            cursor.close()

    def _on_time(self, window: Window) -> Window | None:
        """Return the window with each boot's offset applied to the times that boot stamped itself."""
        batches = []
        for batch in window.batches:
            offset = self.boots.get(batch.header.boot, 0)
            if offset is None:
                return None
            batches.append(_shift(batch, offset) if offset else batch)
        return Window(window.position, tuple(batches))

    def last_position(self) -> int:
        """Return the position of the last commit, 0 before the first."""
        return int(self._db.execute("SELECT coalesce(max(position), 0) FROM log").fetchone()[0])

    def first_position(self) -> int:
        """Return the position of the oldest commit still held, 1 before the first."""
        return int(self._db.execute("SELECT coalesce(min(position), 1) FROM log").fetchone()[0])

    def rows_upto(self, position: int) -> int:
        """Return how many rows were ever accepted up to a position; where it is gone, before the oldest still held."""
        upto = "SELECT rows_before + rows FROM log WHERE position <= ? ORDER BY position DESC LIMIT 1"
        found = self._db.execute(upto, (position,)).fetchone()
        found = found or self._db.execute("SELECT rows_before FROM log ORDER BY position LIMIT 1").fetchone()
        return int(found[0]) if found else 0

    def rows_after(self, position: int) -> int:
        """Return how many rows stand after a position."""
        return self._beyond(position, "rows_before + rows", "rows_before")

    def bytes_after(self, position: int) -> int:
        """Return how many bytes the commits after a position take."""
        return self._beyond(position, "bytes_before + length(blob)", "bytes_before")

    def _beyond(self, position: int, end: str, start: str) -> int:
        last = self._db.execute(f"SELECT {end} FROM log ORDER BY position DESC LIMIT 1").fetchone()
        first = self._db.execute(f"SELECT {start} FROM log WHERE position > ? ORDER BY position LIMIT 1", (position,))
        begin = first.fetchone()
        return int(last[0] - begin[0]) if last and begin else 0

    def received_ns(self, position: int) -> int | None:
        """Return when the first commit after a position was received, by the corrected clock; None: there is none."""
        query = "SELECT received_ns, blob FROM log WHERE position > ? ORDER BY position LIMIT 1"
        row = self._db.execute(query, (position,)).fetchone()
        if row is None or not any(self.boots.values()):
            return int(row[0]) if row else None
        header = decode(row[1])[-1].header
        return header.received_ns + (self.boots.get(header.boot) or 0)

    def last_received_ns(self, but: str = "") -> int:
        """Return when the newest row of a trusted boot was received, leaving one boot out; 0 for an empty log."""
        for (blob,) in self._db.execute("SELECT blob FROM log ORDER BY position DESC LIMIT 100"):
            for batch in decode(blob)[::-1]:
                if batch.header.boot != but and self.boots.get(batch.header.boot, 0) == 0:
                    return batch.header.received_ns
        return 0

    def oldest_revision(self) -> int:
        """Return the revision of the oldest rows still in the log; 0 for an empty one."""
        row = self._db.execute("SELECT blob FROM log ORDER BY position LIMIT 1").fetchone()
        return min((b.header.revision for b in decode(row[0])), default=0) if row else 0

    def cursor(self, consumer: str) -> Cursor:
        """Return how far a consumer has come; position 0 and no state for a new one."""
        row = self._db.execute("SELECT position, state FROM cursors WHERE consumer = ?", (consumer,)).fetchone()
        return Cursor(consumer, *row) if row else Cursor(consumer, 0)

    def each(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a read-only query one by one; to be read to the end at once, for it holds the file open."""
        yield from self._db.execute(sql)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return rows of a read-only query: what `status` and `deadletters` show."""
        return self._db.execute(sql, parameters).fetchall()


def _shift(batch: Batch, offset_ns: int) -> Batch:
    own = (batch.quality & np.uint16(CLOCK)) != 0
    header = replace(batch.header, received_ns=batch.header.received_ns + offset_ns)
    return replace(batch, header=header, time_ns=batch.time_ns + np.where(own, offset_ns, 0))


class Log:
    """The log of a running gateway: the writer, a reader, and the latest windows still decoded."""

    def __init__(self, directory: Path, clock: Clock, commit_s: float = 0.25) -> None:
        self.directory = directory
        self.clock = clock
        self.writer = LogWriter(directory, commit_s, self._committed)
        self.reader = LogReader(directory)
        self.position = self.reader.last_position()
        self._recent: OrderedDict[int, Window] = OrderedDict()
        self._recent_rows = 0
        self._a_gathering = 1 + math.ceil(_GATHER_S / max(commit_s, 0.01))  # the most commits that are gathered
        self._more = asyncio.Event()
        self._gathered = asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None

    async def append(self, entry: Entry) -> int:
        """Commit an entry and return its position; raises LogFailed."""
        return await self.writer.append(entry)

    async def turn(self) -> None:
        """Return shortly before the next commit may begin: what was taken earlier would only wait for it here."""
        due_s = self.writer.begun_s + self.writer.interval_s * (1 - _LEAD)
        await asyncio.sleep(due_s - time.monotonic())

    async def flushed(self) -> None:
        """Return once all that was appended before is on disk. Raises LogFailed."""
        await self.append(Entry())

    def ride(self, cursor: Cursor) -> None:
        """Write a cursor with the next commit; until then its work may be done again."""
        self.writer.ride(cursor)

    async def open_boot(self) -> None:
        """Record this boot; while its clock is untrusted no consumer passes its rows."""
        clock = self.clock
        row = (clock.boot, clock.anchor_ns, 0 if clock.trusted else None)
        await self.append(Entry(statements=[("INSERT OR REPLACE INTO boots VALUES (?, ?, ?)", row)]))
        self.reader.load_boots()

    async def release_boot(self, boot: str, offset_ns: int, batch: Batch) -> None:
        """Commit a boot's clock offset together with the row that says so; consumers may pass from then on."""
        statement = ("UPDATE boots SET offset_ns = ? WHERE boot = ?", (offset_ns, boot))
        await self.append(Entry([batch], statements=[statement]))
        self.reader.load_boots()
        self._more.set()

    async def series_ids(self, keys: Iterable[str]) -> dict[str, int]:
        """Return the persistent id of each key; new keys get new ids, ids are never reused."""
        ids = dict.fromkeys(keys, -1)
        self._fill(ids)
        fresh = [key for key, number in ids.items() if number < 0]
        if fresh:
            # Not one statement a key: those of many thousand series would be the largest thing a start ever holds.
            insert = "INSERT INTO series (key) SELECT value FROM json_each(?) ORDER BY key"
            parts = (orjson.dumps(fresh[i : i + _KEYS]).decode() for i in range(0, len(fresh), _KEYS))
            await self.append(Entry(statements=[(insert, (part,)) for part in parts]))
            self._fill(ids)
        return ids

    def _fill(self, ids: dict[str, int]) -> None:
        """Put the persistent id of each key that has one into `ids`."""
        for key, number in self.reader.each("SELECT key, id FROM series"):
            if key in ids:
                ids[key] = number

    def read(self, after: int, max_rows: int = 50_000) -> list[Window]:
        """Return windows after a position, from memory where they are still there, else from disk."""
        if after >= self.position:
            return []
        if next(iter(self._recent), self.position + 1) > after + 1:
            return self.reader.read(after, max_rows)
        windows, rows = [], 0
        for position in range(after + 1, self.position + 1):
            window = self._recent.get(position)
            if window is None or rows >= max_rows:
                break
            windows.append(window)
            rows += window.rows
        return windows

    async def changed(self) -> None:
        """Return at the next commit."""
        self._more.clear()
        await self._more.wait()

    async def gathered(self) -> None:
        """Return when there are commits, up to a second of them at once: they wake all who wait here together."""
        self._gathered.clear()
        await self._gathered.wait()

    def hurry(self) -> None:
        """Let those go on who gather, now."""
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._gathered.set()

    async def follow(self, step: Callable[[], Awaitable[bool]], *, live: bool) -> None:
        """Take step after step for ever; after one that found nothing, wait: `live` for a commit, else for several."""
        while True:
            if not await step():
                await (self.changed() if live else self.gathered())

    async def close(self) -> None:
        """Commit what waits and close; the reader first, so that the writer's connection is the last."""
        self.reader.close()
        await self.writer.close()

    def _committed(self, window: Window) -> None:
        if window.batches:
            self.position = window.position
            self._remember(window)
        self._more.set()
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(to_beat_s(_GATHER_S), self.hurry)

    def _remember(self, window: Window) -> None:
        offsets = [self.reader.boots.get(b.header.boot, 0) for b in window.batches]
        if any(offset != 0 for offset in offsets):  # a clock to be corrected: let the reader do it
            self._recent.clear()
            self._recent_rows = 0
            return
        self._recent[window.position] = window
        self._recent_rows += window.rows
        while len(self._recent) > 1 and self._recent_rows > (
            _RECENT_ROWS if len(self._recent) > self._a_gathering else _MOST_RECENT_ROWS
        ):
            self._recent_rows -= self._recent.popitem(last=False)[1].rows
