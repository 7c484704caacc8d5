"""Ledger → how much of each stream's time and amount is missing, filled and estimated in a period, month by month."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np

from carbon.books import Books
from carbon.filling.gaps import Course, Grid, Standing, courses, standing
from carbon.ledger import Ledger
from pipeline.clock import SECOND_NS

_STEP_NS: Final = 31 * 86_400 * SECOND_NS  # looked at together: 1,000 streams by the hour are 30 MB


@dataclass(slots=True)
class _Sums:
    """What is known of a stream so far: intervals it was expected in, and its amount."""

    time: int = 0
    amount: int = 0
    missing: float = 0.0
    filled: float = 0.0
    substituted: float = 0.0
    estimated: float = 0.0

    def add(self, course: Course, rows: slice) -> None:
        known, held = standing(course, rows), slice(max(rows.start, course.expected.start), course.expected.stop)
        time, amount = held.stop - held.start, int(np.abs(course.amount[held]).sum())
        self.time += time
        self.amount += amount
        self.missing += known.missing * time
        self.filled += known.filled * time
        self.substituted += known.substituted * amount
        self.estimated += known.estimated * amount

    def standing(self, stream: str) -> Standing:
        time, amount = max(self.time, 1), max(self.amount, 1)
        shares = (self.missing / time, self.filled / time, self.substituted / amount, self.estimated / amount)
        return Standing(stream, *shares)


def standings(
    ledger: Ledger, live: Collection[str], first_ns: int, end_ns: int, interval_ns: int
) -> dict[str, Standing]:
    """Return the standing of every stream booked by intervals in [first, end), which lie on the account's grid.

    A stream is expected from its first entry on, looked for up to a month before the period; streams of `live` are
    expected to its end, others to their last entry.
    """
    extent = ledger.extent()
    end = min(end_ns, extent[1] + interval_ns) if extent else first_ns
    step = _STEP_NS // interval_ns * interval_ns
    begin = max(first_ns - step, extent[0] if extent else first_ns)
    begin = first_ns - -(-(first_ns - begin) // interval_ns) * interval_ns if begin < first_ns else first_ns
    sums: dict[str, _Sums] = {}
    seen: set[str] = set()
    for start in range(begin, end, step):
        grid = Grid(start, interval_ns, (min(start + step, end) - start) // interval_ns)
        rows = slice(max(grid.row(first_ns), 0), grid.count)
        found = courses(ledger, grid, live)
        for key, course in found.items():
            known = _expected(course, from_start=key in seen, to_end=key in live)
            if rows.start < known.expected.stop:
                sums.setdefault(key, _Sums()).add(known, rows)
        silent = max(grid.count - rows.start, 0)
        for key in (seen & set(live)) - found.keys() if silent else ():
            nothing = sums.setdefault(key, _Sums())
            nothing.time, nothing.missing = nothing.time + silent, nothing.missing + silent
        seen |= found.keys()
    return {key: known.standing(key) for key, known in sums.items()}


def silence(books: Books, ledger: Ledger, start_ns: int, end_ns: int, now_ns: int) -> str:
    """Return a sentence where a period that is over by now is not booked to its end, "" where it is.

    While the whole gateway was silent no stream lacks what others have: the account itself ends too soon.
    """
    if not any(stream.series for stream in books.streams.values()):
        return ""  # an account of papers alone ends with the last of them
    over = min(end_ns, books.interval_of(now_ns - books.grace_ns))
    extent = ledger.extent()
    booked = max(start_ns, extent[1] + books.interval_ns if extent else start_ns)
    if booked >= over:
        return ""
    since, until = (f"{datetime.fromtimestamp(t / SECOND_NS, books.zone):%Y-%m-%d %H:%M}" for t in (booked, over))
    return f"nothing at all is booked from {since} to {until}, {(over - booked) / SECOND_NS / 3600:,.1f} h"


def _expected(course: Course, *, from_start: bool, to_end: bool) -> Course:
    start = 0 if from_start else course.expected.start
    stop = course.grid.count if to_end else course.expected.stop
    return replace(course, expected=slice(start, max(start, stop)))
