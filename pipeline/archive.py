"""Log → embedded history: cuts the log by position into files, whose names are the cursor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.bands import NOBODY, Bands
from pipeline.batch import LEDGER, Batch, Window, concat
from pipeline.clock import SECOND_NS, Clock, to_beat_s
from pipeline.counters import Counters
from pipeline.log.log import Log
from pipeline.log.writer import Cursor

REACHED: Final = "history.reached"  # how far files were ever cut; a name no stage or sink can have
_POLL_S: Final = 1.0
_PIECE_ROWS: Final = 20_000
_BAND_ROWS: Final = 60_000  # rows of a cut sorted and written at a time: two row groups
_APART_ROWS: Final = 40_000  # put into bands at a time
_COMPACT_S: Final = 3600.0


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
                tidied = now

    def _now_s(self) -> float:
        return self.clock.monotonic_ns() / SECOND_NS

    async def cut(self) -> None:
        """Write everything the log holds by now."""
        while (chunk := await self._chunk()).upto > chunk.after:
            try:
                await self.archive.write(chunk.batches(), chunk.after, chunk.upto)
            finally:  # a write that was cancelled may have come to its end
                if self.archive.cursor == chunk.upto:
                    self.log.ride(Cursor(REACHED, chunk.upto))
                    self.counters.received += chunk.rows
                    self.counters.delivered += chunk.rows
            self.counters.lag_s = (self.clock.now_ns() - chunk.received_ns) / SECOND_NS
            self.counters.backlog = self.log.reader.rows_after(chunk.upto)
            del chunk

    async def _chunk(self) -> _Chunk:
        """Return the next `cut_rows` rows; read in pieces, for the loop has others to serve."""
        cursor = self.archive.cursor
        chunk = _Chunk(cursor, cursor, min(self.cut_rows, self.log.reader.rows_after(cursor)))
        while chunk.rows < self.cut_rows and (windows := self.log.read(chunk.upto, _PIECE_ROWS)):
            await asyncio.to_thread(chunk.take, windows)
        return chunk

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
    """What one cut takes: log positions (after, upto] and their rows, apart by bands of series when they are many."""

    after: int
    upto: int
    expected: int  # rows
    rows: int = 0
    received_ns: int = 0
    _few: list[Batch] = field(default_factory=list)
    _bands: Bands | None = None

    def take(self, windows: Sequence[Window]) -> None:
        """Let it reach over windows that follow."""
        batches = [b for w in windows for b in _archived(w)]
        self.upto = windows[-1].position
        if batches:
            self.rows += sum(map(len, batches))
            self.received_ns = batches[-1].header.received_ns
        self._few += batches
        if sum(map(len, self._few)) > _APART_ROWS:
            self._set_apart()

    def _set_apart(self) -> None:
        """Put the few into their bands: large blocks, for small ones leave holes between what outlasts the cut."""
        if self._bands is None:  # so many tell how many each series has beside the others
            counts = np.bincount(np.concatenate([b.series for b in self._few]))
            self._bands = Bands(counts, -(-max(self.expected, self.rows) // _BAND_ROWS))
        self._bands.add(self._few)
        self._few.clear()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield the rows by rising series, about `_BAND_ROWS` at a time."""
        if self._bands is None:
            yield _together(self._few)
            return
        await asyncio.to_thread(self._set_apart)
        bands = self._bands.batches()
        while (batch := await asyncio.to_thread(next, bands, None)) is not None:
            given = [batch]
            del batch
            yield given.pop()


def _archived(window: Window) -> list[Batch]:
    """Return what belongs into the history: a restated hour would stand twice in roll-ups; the ledger has them all."""
    return [b for b in window.batches if b.header.connection != LEDGER]


def _together(batches: list[Batch]) -> Batch:
    """Return one batch of all; the list is empty then, so that their memory is free."""
    together = concat(batches[-1].header if batches else NOBODY, batches)
    batches.clear()
    return together


def _chosen(batches: Sequence[Batch], wanted: npt.NDArray[np.bool_]) -> list[Batch]:
    """Return the rows of the series that are wanted as one batch, none where there are no rows at all."""
    if not batches:
        return []
    together = concat(batches[-1].header, batches)
    return [together.take(wanted[np.minimum(together.series, len(wanted) - 1)])]
