"""Log → embedded history: cuts the log by position into files, whose names are the cursor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.batch import LEDGER, Batch, Header, Window, concat
from pipeline.clock import SECOND_NS, Clock, to_beat_s
from pipeline.counters import Counters
from pipeline.log.codec import DamagedLog
from pipeline.log.log import Log

_POLL_S: Final = 1.0
_PIECE_ROWS: Final = 20_000
_BAND_ROWS: Final = 300_000  # rows of a cut in memory at a time
_COMPACT_S: Final = 3600.0
_NOBODY: Final = Header("", 0, "", 0, 0)  # where there are no rows


class Archive(Protocol):
    """The embedded history as the core sees it: a cursor that lives with the files, and cuts that extend it."""

    @property
    def cursor(self) -> int: ...
    async def write(self, given: Batch | AsyncIterable[Batch], after: int, upto: int) -> None: ...
    async def compact(self) -> int: ...
    async def retain(self, now_ns: int) -> int: ...


@dataclass(slots=True)
class Archivist:
    """Cuts every `cut_s` or `cut_rows`, whichever comes first; compacts and retires files every hour."""

    log: Log
    archive: Archive
    clock: Clock
    counters: Counters
    cut_s: float
    cut_rows: int
    after_cut: Callable[[], None] = lambda: None  # called in a thread, after a compaction too

    async def run(self) -> None:
        """Cut for ever; raises Unavailable when the files cannot be written."""
        self.counters.state = "running"
        cut = tidied = self._now_s()
        while True:
            await asyncio.sleep(to_beat_s(_POLL_S))
            rows = self.counters.backlog = self.log.reader.rows_after(self.archive.cursor)
            now = self._now_s()
            if rows >= self.cut_rows or now - cut >= self.cut_s:
                await self.cut()
                cut = now
            if now - tidied >= _COMPACT_S:
                await self.archive.compact()
                await self.archive.retain(self.clock.now_ns())
                await asyncio.to_thread(self.after_cut)
                tidied = now

    def _now_s(self) -> float:
        return self.clock.monotonic_ns() / SECOND_NS

    async def cut(self) -> None:
        """Write everything the log holds by now."""
        while (chunk := await self._chunk()).upto > chunk.after:
            try:
                await self.archive.write(self._bands(chunk), chunk.after, chunk.upto)
            finally:  # a write that was cancelled may have come to its end
                if self.archive.cursor == chunk.upto:
                    self.counters.received += chunk.rows
                    self.counters.delivered += chunk.rows
            self.counters.lag_s = (self.clock.now_ns() - chunk.received_ns) / SECOND_NS
            self.counters.backlog = self.log.reader.rows_after(chunk.upto)
            await asyncio.to_thread(self.after_cut)

    async def _chunk(self) -> _Chunk:
        """Return where the next `cut_rows` rows end; read in pieces, for the loop has others to serve."""
        chunk = _Chunk(self.archive.cursor, self.archive.cursor)
        while chunk.rows < self.cut_rows and (windows := self.log.read(chunk.upto, _PIECE_ROWS)):
            chunk.take(windows)
            await asyncio.sleep(0)
        return chunk

    async def _bands(self, chunk: _Chunk) -> AsyncIterator[Batch]:
        """Yield the rows by rising series, about `_BAND_ROWS` at a time: of more than that, each band is read anew."""
        if chunk.rows <= _BAND_ROWS:
            yield _together(chunk.kept)
            return
        for wanted in chunk.bands():
            rows: list[Batch] = []
            position = chunk.after
            while position < chunk.upto and (windows := self.log.read(position, _PIECE_ROWS)):
                position = windows[-1].position
                inside = [b for w in windows if w.position <= chunk.upto for b in _archived(w)]
                rows += await asyncio.to_thread(_chosen, inside, wanted)
            if position < chunk.upto:
                raise DamagedLog(f"the log ends at position {position}, it went on to {chunk.upto} when it was cut")
            yield _together(rows)

    async def tail(self, series: Sequence[int]) -> tuple[int, Batch | None]:
        """Return the archive's cursor and, of some series, the rows the log holds beyond it (None: no rows at all)."""
        after = position = self.archive.cursor
        wanted = np.zeros(max(series, default=-1) + 2, bool)
        wanted[list(series)] = True  # the last place stands for all higher ids, which nobody asked for
        batches = list[Batch]()
        while windows := self.log.read(position, _PIECE_ROWS):
            position = windows[-1].position
            batches += await asyncio.to_thread(_chosen, [b for w in windows for b in w.batches], wanted)
        return after, concat(batches[-1].header, batches) if batches else None


@dataclass(slots=True)
class _Chunk:
    """What one cut takes: log positions (after, upto], how many rows each series has, and few rows themselves."""

    after: int
    upto: int
    rows: int = 0
    received_ns: int = 0
    counts: npt.NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    kept: list[Batch] = field(default_factory=list)

    def take(self, windows: Sequence[Window]) -> None:
        """Let it reach over windows that follow."""
        self.upto = windows[-1].position
        for batch in (b for w in windows for b in _archived(w)):
            self.rows += len(batch)
            self.received_ns = batch.header.received_ns
            found = np.bincount(batch.series, minlength=len(self.counts))
            found[: len(self.counts)] += self.counts
            self.counts = found
            self.kept.append(batch)
        if self.rows > _BAND_ROWS:
            self.kept.clear()

    def bands(self) -> Iterator[npt.NDArray[np.bool_]]:
        """Yield which series are next, by id; the last place stands for all higher ids."""
        ends = np.cumsum(self.counts)
        band = (ends - 1) // -(-self.rows // -(-self.rows // _BAND_ROWS))
        for number in np.unique(band[self.counts > 0]):
            yield np.append(band == number, False)


def _archived(window: Window) -> list[Batch]:
    """Return what belongs into the history: a restated hour would stand twice in roll-ups; the ledger has them all."""
    return [b for b in window.batches if b.header.connection != LEDGER]


def _together(batches: list[Batch]) -> Batch:
    """Return one batch of all; the list is empty then, so that their memory is free."""
    together = concat(batches[-1].header if batches else _NOBODY, batches)
    batches.clear()
    return together


def _chosen(batches: Sequence[Batch], wanted: npt.NDArray[np.bool_]) -> list[Batch]:
    """Return the rows of the series that are wanted as one batch, none where there are no rows at all."""
    if not batches:
        return []
    together = concat(batches[-1].header, batches)
    return [together.take(wanted[np.minimum(together.series, len(wanted) - 1)])]
