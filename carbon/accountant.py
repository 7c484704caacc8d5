"""Log → ledger: collects the amounts of every stream, and books each interval once it is over."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np

from carbon.books import Books
from carbon.cells import QUARTER_NS, Cells, close, cut, gather, merge, none
from carbon.entries import MICRO, Activity, Entries, one_of_each
from carbon.ledger import Ledger, Reason, Writing
from carbon.live.repricing import repriced
from carbon.refresh import keeping_all, refresh_virtual
from carbon.restate import multiply, without_fallback
from pipeline import quality as q
from pipeline.batch import DERIVED, Batch, Series, Window
from pipeline.counters import Counters
from pipeline.log.log import Log

logger = logging.getLogger("tanflow.ledger")

_CHUNK_ROWS: Final = 50_000
_LONGEST_NS: Final = 4 * QUARTER_NS  # of an interval, by any configuration
_CHECKPOINT_S: Final = 60.0  # how much of the log a restart reads again


class Unbooked(NamedTuple):
    """What the account knows and has not booked yet: the books, until when all is booked, and cells of what follows."""

    books: Books
    booked_ns: int
    parts: tuple[Cells, ...]  # to be merged


@dataclass(slots=True)
class Accountant:
    """Follows the log for a ledger open for writing; cursor and open cells lie in the ledger, beside what they led to.

    An interval is booked when the latest tick has passed its end by the grace, however it is split over commits;
    amounts that come for a booked one are added to it in a new version. `position` is how far the log has been read,
    `kept` how far it is no longer needed.
    """

    log: Log
    ledger: Ledger
    books: Books
    stream_of: Series  # int32 by series id: which of the books' streams its amounts belong to, −1 none
    tick: int
    counters: Counters
    intensity: int = -1  # series of what a live provider says of the grid, −1: none is asked
    position: int = 0
    kept: int = 0
    _names: tuple[str, ...] = field(init=False)
    _cells: Cells = field(default_factory=none)
    _fresh: list[Cells] = field(default_factory=list)
    _reopened: set[int] = field(default_factory=set)  # intervals whose live factor came or changed after booking
    _booked_ns: int = 0  # every interval that ends by then has been booked
    _watermark_ns: int = 0
    _papers: int = 0  # documents of the ledger that the books know
    _plain: Books = field(init=False)
    _turning: threading.Lock = field(default_factory=threading.Lock)  # held while cells change hands

    def __post_init__(self) -> None:
        self._plain = self.books
        self._names = tuple(self.books.streams)
        self.position, state = self.ledger.cursor()
        self.kept = self.position
        if self.books.live:
            self.books.live.open(self.ledger)
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
                await self.log.gathered()
            if loop.time() - checked >= _CHECKPOINT_S:
                await self.checkpoint()
                checked = loop.time()

    async def step(self) -> bool:
        """Read the next commits and book what is over; False when there are none."""
        windows = self.log.read(self.position, _CHUNK_ROWS)
        for window in windows:
            self._collect(window)
            self.position = window.position
            if self._due() or self._reopened:
                await asyncio.to_thread(self._book)
        behind = self.log.position > self.position
        self.counters.backlog = self.log.reader.rows_after(self.position) if behind else 0
        return bool(windows)

    async def checkpoint(self) -> None:
        """Keep the open cells, so that the log behind them can go."""
        if self.position > self.kept:
            await asyncio.to_thread(self._book if self._reopened else self._keep)

    def _collect(self, window: Window) -> None:
        for batch in window.batches:
            if batch.header.stratum > DERIVED:
                continue
            self._hear(batch)
            cells, absurd = cut(batch, self.stream_of)
            if absurd:
                self.counters.rejected += absurd
                logger.warning("%d amounts over decades, or larger than any site's, are not accounted for", absurd)
            if len(cells):
                self._fresh.append(cells)
                self.counters.received += len(cells)

    def _hear(self, batch: Batch) -> None:
        ticks = batch.time_ns[batch.series == self.tick]
        if len(ticks):
            self._watermark_ns = max(self._watermark_ns, int(ticks.max()) - self.books.grace_ns)
        if self.books.live:
            touched = self.books.live.hear(batch, self.intensity)
            self._reopened |= {start for start in touched if start < self._booked_ns}

    def _due(self) -> bool:
        """Whether an interval has ended since the last one was booked."""
        return self.books.interval_of(self._watermark_ns) > self._booked_ns

    def unbooked(self) -> Unbooked:
        """Return what is not booked yet, for another thread to look at; to be called on the loop."""
        books = replace(self.books, live=self.books.live.apart()) if self.books.live else self.books
        with self._turning:
            return Unbooked(books, self._booked_ns, (self._cells, *self._fresh))

    def _gathered(self) -> Cells:
        gathered = merge([self._cells, *self._fresh])
        with self._turning:
            self._cells, self._fresh = gathered, []
        return gathered

    def _book(self) -> None:
        upto = max(self.books.interval_of(self._watermark_ns), self._booked_ns)
        cells = self._gathered()
        over = cells.quarter_ns < upto
        late = over & (self.books.intervals_of(cells.quarter_ns) < self._booked_ns)
        activity = close(cells.take(over & ~late), self.books.interval_ns, self.books.phase_ns)
        kept = cells.take(~over)
        with self.ledger.writing() as w:
            self._read_papers()
            self._reprice(w)
            added = add_to_booked(self.ledger, self.books, as_booked(self.ledger, self.books, cells.take(late)))
            if len(activity):
                w.entries(self.books.entries(w, activity), Reason("live"))
            if len(added):
                w.entries(keeping_all(self.ledger, w, self.books.entries(w, added)), Reason("late"))
            if starts := [*activity.start_ns.tolist(), *added.start_ns.tolist()]:
                first, last = min(starts), max(starts)
                refresh_virtual(self.ledger, w, self.books, first, last + 1)
            w.cursor(self.position, self._pack(upto, kept))
        # Only now: a ledger that could not be written leaves everything to be booked again.
        with self._turning:
            self._cells, self._booked_ns, self.kept, self._reopened = kept, upto, self.position, set()
        if self.books.live:
            self.books.live.forget()
        self.counters.committed += len(activity) + len(added)

    def _read_papers(self) -> None:
        """Take in what people have entered of fuels since: what is booked from now on counts by it."""
        if self.ledger.papers != self._papers:
            self.books, self._papers = self._plain.with_papers(self.ledger.documents()), self.ledger.papers

    def _reprice(self, writing: Writing) -> None:
        """Book anew what was booked before its live factor was known, or was revised."""
        if self.books.live and self._reopened:
            entries = repriced(self.ledger, writing, self.books, self._reopened)
            if len(entries):
                writing.entries(entries, Reason("late", f"factor: {self.books.live.said.publisher} has said more"))

    def _keep(self) -> None:
        with self.ledger.writing() as w:
            w.cursor(self.position, self._pack(self._booked_ns, self._gathered()))
        self.kept = self.position

    def _pack(self, booked_ns: int, cells: Cells) -> bytes:
        """Return what a restart begins with; what is known of live factors follows the cells."""
        live = self.books.live.pack() if self.books.live else b""
        return booked_ns.to_bytes(8, "little") + cells.pack(self._names) + live


def as_booked(ledger: Ledger, books: Books, late: Cells) -> Activity:
    """Return late amounts in the intervals that are booked where they lie, which may be longer or shorter than today's.

    Where only parts of today's interval are booked, in shorter ones, what lies between them gets quarter hours.
    """
    start, span = books.intervals_of(late.quarter_ns), np.full(len(late), books.interval_ns)
    if not len(late):
        return gather(late, start, span)
    chosen = one_of_each(ledger.lines, [n for n, line in ledger.lines.items() if line.stream in books.streams])
    stream_of = {n: books.names.index(stream) for stream, numbers in chosen.items() for n in numbers}
    places: dict[tuple[int, int], tuple[int, int]] = {}  # (stream, quarter) → (start, span)
    first, end = int(start.min()) - _LONGEST_NS, int(late.quarter_ns.max()) + books.interval_ns
    for booked in ledger.read(first, end, set(stream_of)) if stream_of else ():
        for line, begin, length in zip(
            *(c.tolist() for c in (booked.line, booked.start_ns, booked.span_ns)), strict=True
        ):
            if length <= _LONGEST_NS:
                places |= {(stream_of[line], at): (begin, length) for at in range(begin, begin + length, QUARTER_NS)}
    for i, (stream, quarter) in enumerate(zip(late.stream.tolist(), late.quarter_ns.tolist(), strict=True)):
        whole = range(int(start[i]), int(start[i]) + books.interval_ns, QUARTER_NS)
        if (found := places.get((stream, quarter))) is not None:
            start[i], span[i] = found
        elif any((stream, at) in places for at in whole):
            start[i], span[i] = quarter, QUARTER_NS
    return gather(late, start, span)


def add_to_booked(ledger: Ledger, books: Books, late: Activity) -> Activity:
    """Return what intervals that are booked already amount to with late amounts on top.

    Late amounts are brought to the transformer ratio their interval is booked with, where that was corrected.
    What had been substituted in them falls away: the gap it stood for is no longer the same, and is shown again where
    it remains.
    """
    if not len(late):
        return late
    chosen = one_of_each(ledger.lines, ledger.lines)
    stream_of = {number: stream for stream, numbers in chosen.items() for number in numbers}
    pairs = zip(late.stream.tolist(), late.start_ns.tolist(), strict=True)
    row = {(books.names[s], t): i for i, (s, t) in enumerate(pairs)}
    columns = {name: getattr(late, name).copy() for name in ("amount", "estimated", "covered_ns", "quality", "peak")}
    for booked in ledger.read(int(late.start_ns.min()), int(late.start_ns.max()) + 1, set(stream_of)):
        for i in range(len(booked)):
            at = row.get((stream_of[int(booked.line[i])], int(booked.start_ns[i])))
            if at is not None and booked.span_ns[i] == late.span_ns[at]:
                by = _correction(ledger, books, late, at, booked.take(slice(i, i + 1)))
                for name in ("amount", "estimated") if by != 1 else ():
                    columns[name][at] = multiply(columns[name][at : at + 1], by)[0]
                _add(columns, at, booked, i)
    columns["covered_ns"] = np.minimum(columns["covered_ns"], late.span_ns)
    # Of longer ones nobody knows any more in which of their quarters the late amount lies.
    of_quarter = (columns["amount"] / (MICRO * 0.25)).astype(np.float32)
    columns["peak"] = np.where(late.span_ns == QUARTER_NS, of_quarter, columns["peak"])
    return replace(late, **columns)


def _correction(ledger: Ledger, books: Books, late: Activity, at: int, booked: Entries) -> Fraction:
    """Return what a late amount is multiplied by to be of the ratio its interval is booked with.

    A register behind transformers was multiplied by the ratio of the configuration; one that includes them shows still
    what it showed when the interval was first booked.
    """
    key = books.names[int(late.stream[at])]
    steps, known = books.meters.get(key), ledger.meters.get(int(booked.meter[0]))
    if steps is None or known is None or known.meter not in books.config.accounting.meters:
        return Fraction(1)
    version = steps.versions[int(steps.at(late.start_ns[at : at + 1])[0])]
    if (version.meter, version.number) != (known.meter, known.number):
        return Fraction(1)
    applied = version.ratio
    if books.config.accounting.meters[known.meter].shows == "primary":
        first = ledger.versions(int(booked.line[0]), int(booked.start_ns[0]))[0].entry.meter[0]
        applied = ledger.meters[int(first)].ratio if first >= 0 else known.ratio
    if applied == known.ratio:
        return Fraction(1)
    true, wrong = (Fraction(ratio).limit_denominator(1_000_000) for ratio in (known.ratio, applied))
    return true / wrong


def _add(columns: dict[str, Any], at: int, booked: Entries, i: int) -> None:
    columns["amount"][at] += booked.amount[i] - booked.substituted[i]
    columns["estimated"][at] += booked.estimated[i]
    columns["covered_ns"][at] += booked.covered_ns[i]
    kept = without_fallback(booked.quality[i : i + 1])  # the mark of one line's factor, not of the amount
    if booked.substituted[i] and not booked.estimated[i]:  # the doubt was that of the filling, which falls away
        kept = kept & np.uint16(0xFFFF ^ (q.SUBSTITUTED | q.QUANTITY_ESTIMATED | q.SEVERITY))
    columns["quality"][at] = q.merge(columns["quality"][at : at + 1], kept)[0]
    columns["peak"][at] = np.fmax(columns["peak"][at], booked.peak[i])
