"""Log → embedded history: cuts the log by position into files, whose names are the cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.batch import LEDGER, Batch, Window, concat
from pipeline.clock import SECOND_NS, Clock
from pipeline.counters import Counters
from pipeline.log.log import Log

_POLL_S: Final = 1.0
_PIECE_ROWS: Final = 20_000
_COMPACT_S: Final = 3600.0


class Archive(Protocol):
    """The embedded history as the core sees it: a cursor that lives with the files, and cuts that extend it."""

    @property
    def cursor(self) -> int: ...
    async def write(self, batch: Batch, after: int, upto: int) -> None: ...
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
            await asyncio.sleep(_POLL_S)
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
        while chunk := await self._chunk():
            batch, upto = chunk
            rows, received_ns = len(batch), batch.header.received_ns
            writing = self.archive.write(batch, self.archive.cursor, upto)
            del chunk, batch  # the archive has it alone: it is the largest thing in memory
            await writing
            self.counters.received += rows
            self.counters.delivered += rows
            self.counters.lag_s = (self.clock.now_ns() - received_ns) / SECOND_NS
            self.counters.backlog = self.log.reader.rows_after(upto)
            await asyncio.to_thread(self.after_cut)

    async def _chunk(self) -> tuple[Batch, int] | None:
        """Return the next `cut_rows` rows and where they end; read in pieces, for the loop has others to serve."""
        position, rows, batches = self.archive.cursor, 0, list[Batch]()
        while rows < self.cut_rows and (windows := self.log.read(position, _PIECE_ROWS)):
            position = windows[-1].position
            rows += sum(w.rows for w in windows)
            # A restated hour would stand twice in roll-ups; the ledger has every version and gives the last.
            batches += [b for w in windows for b in w.batches if b.header.connection != LEDGER]
            await asyncio.sleep(0)
        return (concat(batches[-1].header, batches), position) if batches else None

    async def tail(self, series: Sequence[int]) -> tuple[int, Batch | None]:
        """Return the archive's cursor and, of some series, the rows the log holds beyond it (None: no rows at all)."""
        after = position = self.archive.cursor
        wanted = np.zeros(max(series, default=-1) + 2, bool)
        wanted[list(series)] = True  # the last place stands for all higher ids, which nobody asked for
        batches = list[Batch]()
        while windows := self.log.read(position, _PIECE_ROWS):
            position = windows[-1].position
            batches += await asyncio.to_thread(_chosen, windows, wanted)
        return after, concat(batches[-1].header, batches) if batches else None


def _chosen(windows: Sequence[Window], wanted: npt.NDArray[np.bool_]) -> list[Batch]:
    """Return the rows of the series that are wanted as one batch, none where there are no rows at all."""
    batches = [b for w in windows for b in w.batches]
    if not batches:
        return []
    together = concat(batches[-1].header, batches)
    return [together.take(wanted[np.minimum(together.series, len(wanted) - 1)])]
