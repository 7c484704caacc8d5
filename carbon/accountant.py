"""Log → ledger: collects the amounts of every stream, and books each interval once it is over."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from carbon.books import Books
from carbon.cells import Cells, close, cut, merge, none
from carbon.ledger import Ledger, Reason
from carbon.virtual import with_virtual
from pipeline.batch import DERIVED, Batch, Series, Window
from pipeline.counters import Counters
from pipeline.log.log import Log

logger = logging.getLogger("tanflow.ledger")

_CHUNK_ROWS: Final = 50_000
_CHECKPOINT_S: Final = 60.0  # how much of the log a restart reads again


@dataclass(slots=True)
class Accountant:
    """Follows the log for the ledger in `folder`; cursor and open cells lie in the ledger, beside what they led to.

    An interval is booked when the latest tick has passed its end by the grace, however it is split over commits; amounts
    that come for a booked one are added to it in a new version. `position` is how far the log has been read,
    `kept` how far it is no longer needed.
    """

    log: Log
    folder: Path
    books: Books
    stream_of: Series  # int32 by series id: which of the books' streams its amounts belong to, −1 none
    tick: int
    counters: Counters
    position: int = 0
    kept: int = 0
    _names: tuple[str, ...] = field(init=False)
    _cells: Cells = field(default_factory=none)
    _fresh: list[Cells] = field(default_factory=list)
    _booked_ns: int = 0  # every interval that ends by then has been booked
    _watermark_ns: int = 0

    def __post_init__(self) -> None:
        self._names = tuple(self.books.streams)
        with Ledger.open(self.folder) as ledger:
            self.position, state = ledger.cursor()
        self.kept = self.position
        if state:
            self._booked_ns = int.from_bytes(state[:8], "little")
            self._cells, gone = Cells.unpack(state[8:], self._names)
            for name in gone:
                logger.warning("%s is no longer accounted for: what its open interval held is not booked", name)

    async def run(self) -> None:
        """Follow the log for ever; raises GatewayError when the ledger cannot be written."""
        self.counters.state = "running"
        loop = asyncio.get_running_loop()
        checked = loop.time()
        while True:
            if not await self.step():
                await self.log.changed()
            if loop.time() - checked >= _CHECKPOINT_S:
                await self.checkpoint()
                checked = loop.time()

    async def step(self) -> bool:
        """Read the next commits and book what is over; False when there are none."""
        windows = self.log.read(self.position, _CHUNK_ROWS)
        for window in windows:
            self._collect(window)
            self.position = window.position
            if self._due():
                await asyncio.to_thread(self._book)
        self.counters.backlog = self.log.reader.rows_after(self.position)
        return bool(windows)

    async def checkpoint(self) -> None:
        """Keep the open cells, so that the log behind them can go."""
        if self.position > self.kept:
            await asyncio.to_thread(self._keep)

    def _collect(self, window: Window) -> None:
        for batch in window.batches:
            if batch.header.stratum > DERIVED:
                continue
            self._hear(batch)
            cells, absurd = cut(batch, self.stream_of)
            self.counters.rejected += absurd
            if len(cells):
                self._fresh.append(cells)
                self.counters.received += len(cells)

    def _hear(self, batch: Batch) -> None:
        ticks = batch.time_ns[batch.series == self.tick]
        if len(ticks):
            self._watermark_ns = max(self._watermark_ns, int(ticks.max()) - self.books.grace_ns)

    def _due(self) -> bool:
        """Whether an interval has ended since the last one was booked."""
        return self.books.interval_of(self._watermark_ns) > self._booked_ns

    def _gathered(self) -> Cells:
        self._cells, self._fresh = merge([self._cells, *self._fresh]), []
        return self._cells

    def _book(self) -> None:
        upto = self.books.interval_of(self._watermark_ns)
        cells = self._gathered()
        over = cells.quarter_ns < upto
        activity = close(cells.take(over), self.books.interval_ns, self.books.phase_ns)
        late = activity.start_ns < self._booked_ns
        self._cells, self._booked_ns = cells.take(~over), upto
        with Ledger.open(self.folder, write=True) as ledger:
            added = _on_top(ledger, self.books, activity.take(late))
            with ledger.writing() as w:
                for part, reason in ((activity.take(~late), "live"), (added, "late")):
                    if len(part):
                        self.books.book(w, with_virtual(self.books, ledger, part), Reason(reason))
                        self.counters.committed += len(part)
                w.cursor(self.position, self._state())
        self.kept = self.position

    def _keep(self) -> None:
        self._gathered()
        with Ledger.open(self.folder, write=True) as ledger, ledger.writing() as w:
            w.cursor(self.position, self._state())
        self.kept = self.position

    def _state(self) -> bytes:
        return self._booked_ns.to_bytes(8, "little") + self._cells.pack(self._names)
