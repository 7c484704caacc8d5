"""Index readings and amounts about a declared exchange of a meter → the hours it fell in, booked to the last unit.

Ingest sees the index jump and cannot know what the old meter counted after its last reading, nor what the new one had
counted before its first: the final and the initial index, which somebody read and entered, say it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.books import Books
from carbon.cells import close, cut
from carbon.entries import Activity, Entries
from carbon.ledger import Ledger, Reason
from carbon.local_time import midnight_ns
from carbon.refresh import keeping_factors, refresh_virtual
from config.meters import Meter, MeterEvent, applied_ratios
from pipeline import quality as q
from pipeline.batch import Header, Qualities, Times, Values, make

BEFORE: Final = timedelta(days=2)  # the jump is looked for from so long before the day …
AFTER: Final = timedelta(days=3)  # … until so long after its beginning
_TOLERANCE: Final = 1.0  # a person reads a display in whole units, its register says more
_HEADER: Final = Header("", 0, "", 0, 0)
_SINCE_NS: Final = 2 * 86_400 * 1_000_000_000  # how long after the jump its first amount is waited for


class Rows(NamedTuple):
    """Rows of one series by time: time_ns, span_ns int64[n] · value float64[n] · quality uint16[n]."""

    time_ns: Times
    span_ns: Times
    value: Values
    quality: Qualities

    def take(self, rows: npt.NDArray[np.bool_]) -> Rows:
        return Rows(self.time_ns[rows], self.span_ns[rows], self.value[rows], self.quality[rows])


Read = Callable[[str, int, int], Rows]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One declared swap of the meter behind a stream; `before` and `after` are what its index is multiplied by."""

    meter: str
    stream: str
    series: str  # of the stream's amounts
    old_serial: str
    event: MeterEvent
    before: Fraction
    after: Fraction

    @property
    def index(self) -> str:
        """Key of the series of index readings; it exists only where the stream is counted by a register."""
        return f"{self.series}_index"

    @property
    def text(self) -> str:
        e = self.event
        return (
            f"{self.meter} exchanged on {e.on}: {self.old_serial} ended at {e.final_index}, "
            f"{e.serial} began at {e.initial_index}"
        )

    def window(self, zone: ZoneInfo) -> tuple[int, int]:
        """Return where its readings are looked for, [start, end)."""
        return midnight_ns(self.event.on - BEFORE, zone), midnight_ns(self.event.on + AFTER, zone)


State = Literal["settled", "settled before", "waits", "not found"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an exchange; `why` where it is not settled."""

    exchange: Exchange
    state: State
    why: str = ""


def exchanges(books: Books) -> Iterator[Exchange]:
    """Yield every declared exchange of a meter that the gateway reads."""
    by_device = {meter.device: (name, meter) for name, meter in books.config.accounting.meters.items() if meter.device}
    for stream in books.streams.values():
        name, meter = by_device.get(stream.device, ("", None))
        if meter is None or not stream.series:
            continue
        quantity = f"{stream.series.rpartition('.')[2]}_index"
        serial = meter.serial
        for event in meter.events:
            if event.type == "swap":
                ratios = (_ratio(meter, quantity, day) for day in (event.on - timedelta(days=1), event.on))
                yield Exchange(name, stream.key, stream.series, serial, event, *ratios)
            serial = event.serial or serial


def _ratio(meter: Meter, quantity: str, day: date) -> Fraction:
    steps = [ratio for start, ratio in applied_ratios(meter, quantity) if start <= day]
    return steps[-1] if steps else Fraction(1)


class Gap(NamedTuple):
    """What was used between the old meter's last reading and the reading at which the new one's amounts go on."""

    start_ns: int
    end_ns: int
    amount: float


def gap_of(exchange: Exchange, index: Rows, at: int, amounts: Rows) -> Gap | None:
    """Return the gap about the jump after row `at`, None where no amount has come since.

    amount = (final − last index before) · ratio + (index at the end − initial) · ratio
    """
    ends = amounts.time_ns[amounts.time_ns >= index.time_ns[at + 1]]
    # Before the first amount readings may lie that were in doubt, and zeros while the meter started.
    read = np.flatnonzero(index.time_ns == ends[0]) if len(ends) else np.empty(0, np.int64)
    if not len(read):
        return None
    final, initial = float(exchange.event.final_index or 0), float(exchange.event.initial_index or 0)
    old, new = final - float(index.value[at]), float(index.value[read[0]]) - initial
    return Gap(int(index.time_ns[at]), int(ends[0]), old * float(exchange.before) + new * float(exchange.after))


def usable(index: Rows, event: MeterEvent) -> Rows:
    """Return the readings that are no failures: a meter that starts up shows zeros, whatever it shows afterwards."""
    good = np.isfinite(index.value) & ((index.quality & q.SEVERITY) != q.BAD)
    good &= (index.quality & np.uint16(q.CLOCK | q.LATE)) == 0
    if (event.initial_index or 0) > _TOLERANCE:
        good &= index.value != 0
    return index.take(good)


def jump(index: Rows, event: MeterEvent) -> int | None:
    """Return the row after which the index jumps from the final to the initial one, None where none does.

    That is the pair of readings a, b for which (final − a) + (b − initial), what the exchange explains, is least. Pairs
    of one meter give final − initial more than it used between them, so the jump is below that.
    """
    final, initial = float(event.final_index or 0), float(event.initial_index or 0)
    if len(index.value) < 2:
        return None
    old, new = final - index.value[:-1], index.value[1:] - initial
    explained = np.where((old >= -_TOLERANCE) & (new >= -_TOLERANCE), old + new, np.inf)
    at = int(np.argmin(explained))
    most = final - initial if final - initial > _TOLERANCE else np.inf
    return at if explained[at] < most else None


# ── into the ledger ───────────────────────────────────────────────────────────────────────────────


def settle(ledger: Ledger, books: Books, exchange: Exchange, read: Read) -> Outcome:
    """Book the hours of an exchange anew: their amounts, with what was truly used in place of those about the jump.

    `read` gives the rows that are kept of a series and end in [start, end), by time. Doing it again changes nothing.
    """
    index = usable(read(exchange.index, *exchange.window(books.zone)), exchange.event)
    at = jump(index, exchange.event)
    if at is None:
        jumps = f"jumps from {exchange.event.final_index} to {exchange.event.initial_index} about that day"
        return Outcome(exchange, "not found", f"no reading of {exchange.index} {jumps}")
    first = books.interval_of(int(index.time_ns[at]))
    amounts = read(exchange.series, first, int(index.time_ns[at + 1]) + _SINCE_NS)
    gap = gap_of(exchange, index, at, amounts)
    if gap is None:
        return Outcome(exchange, "waits", "nothing has been counted since")
    last = books.interval_of(gap.end_ns - 1)
    return _book(ledger, books, exchange, _hours(books, exchange, amounts, gap, first, last + books.interval_ns), last)


def _book(ledger: Ledger, books: Books, exchange: Exchange, activity: Activity, last: int) -> Outcome:
    first, end = int(activity.start_ns.min()), last + books.interval_ns
    with ledger.writing() as writing:
        line = {known: number for number, known in ledger.lines.items()}.get(books.rules[exchange.stream][0][0])
        booked = Entries.join(list(ledger.read(first, end, {line}))) if line is not None else Entries.none()
        booked = booked.take(booked.span_ns == books.interval_ns)
        if line is None or last not in booked.start_ns:
            return Outcome(exchange, "waits", "its last hour is not booked yet")
        if _same(activity, booked):
            return Outcome(exchange, "settled before")
        if _covers_less(activity, booked):
            return Outcome(exchange, "not found", "not all rows of its hours are kept any more")
        if block := _restated(ledger, line, booked):
            return Outcome(exchange, "waits", f"its hours were restated by block {block}, which this would undo")
        entries = keeping_factors(ledger, writing, books.entries(writing, activity))
        writing.entries(entries, Reason("late", exchange.text, exchange.event.by, method="meter exchange"))
        refresh_virtual(ledger, writing, books, first, end)
    return Outcome(exchange, "settled")


def _hours(books: Books, exchange: Exchange, amounts: Rows, gap: Gap, first: int, end: int) -> Activity:
    """Return the activity of the intervals in [first, end), what stands for the gap replaced by what was used in it."""
    inside = (amounts.time_ns > gap.start_ns) & (amounts.time_ns <= gap.end_ns)
    kept = amounts.take(~inside & (amounts.time_ns > first) & (amounts.time_ns - amounts.span_ns < end))
    rows = make(
        _HEADER,
        np.append(kept.time_ns, gap.end_ns),
        np.zeros(len(kept.time_ns) + 1, np.int32),
        np.append(kept.value, gap.amount),
        np.append(kept.quality, np.uint16(q.SWAP | q.PROFILE_ESTIMATED)),
        np.append(kept.span_ns, gap.end_ns - gap.start_ns),
    )
    cells, _ = cut(rows, np.array([books.names.index(exchange.stream)], np.int32))
    activity = close(cells, books.interval_ns, books.phase_ns)
    return activity.take((activity.start_ns >= first) & (activity.start_ns < end))


def _same(activity: Activity, booked: Entries) -> bool:
    made = dict(zip(activity.start_ns.tolist(), activity.amount.tolist(), strict=True))
    return made == dict(zip(booked.start_ns.tolist(), booked.amount.tolist(), strict=True))


def _covers_less(activity: Activity, booked: Entries) -> bool:
    """Return whether more data stood for one of these hours when it was booked."""
    made = dict(zip(activity.start_ns.tolist(), activity.covered_ns.tolist(), strict=True))
    then = zip(booked.start_ns.tolist(), booked.covered_ns.tolist(), strict=True)
    return any(made.get(start, 0) < covered for start, covered in then)


def _restated(ledger: Ledger, line: int, booked: Entries) -> int:
    """Return the block in which somebody has changed the amount of one of these entries, 0 for none."""
    for start in booked.start_ns.tolist():
        before: int | None = None
        for version in ledger.versions(line, start):
            amount = int(version.entry.amount[0])
            if version.reason.kind == "restatement" and amount != before:
                return version.seq
            before = amount
    return 0
