"""Entries of component streams → those of virtual meters, wherever they no longer follow from each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from carbon.books import Books
from carbon.entries import Activity, Entries
from carbon.ledger import Ledger, Reason, Writing
from carbon.virtual import combine

_SAME = ("span_ns", "amount", "estimated", "substituted", "covered_ns", "factor", "quality")


def refresh_virtual(ledger: Ledger, writing: Writing, books: Books, start_ns: int, end_ns: int) -> int:
    """Book the virtual meters anew over [start, end) where their parts have changed; return how many entries.

    Whoever books, restates, fills or enters amounts calls it in the same transaction.
    """
    changed = 0
    if books.live:
        books.live.open(ledger)
    for start, end in ledger.windows(start_ns, end_ns) if books.formulas else ():
        made = books.entries(writing, combine(books.formulas, activity_in(ledger, books, start, end)))
        standing = Entries.join(list(ledger.read(start, end, set(np.unique(made.line).tolist()))))
        new = made.take(~_stands(made, standing))
        if len(new):
            writing.entries(new, Reason("virtual", "follows from its parts"))
        changed += len(new)
    return changed


def activity_in(ledger: Ledger, books: Books, start_ns: int, end_ns: int) -> Activity:
    """Return what the ledger holds of every measured or entered stream in [start, end), numbered as in the books."""
    numbers = {name: number for number, name in enumerate(books.names) if books.streams[name].virtual is None}
    one_line = {line.stream: n for n, line in ledger.lines.items() if line.stream in numbers}
    stream_of = np.full(max(one_line.values(), default=0) + 1, -1, np.int32)
    for stream, line in one_line.items():
        stream_of[line] = numbers[stream]
    rows = Entries.join(list(ledger.read(start_ns, end_ns, set(one_line.values()))))
    return Activity(
        rows.start_ns, rows.span_ns, stream_of[rows.line], rows.amount, rows.estimated, rows.substituted,
        rows.covered_ns, rows.quality, rows.peak,
    )  # fmt: skip


def _stands(made: Entries, standing: Entries) -> npt.NDArray[np.bool_]:
    """Return which entries the ledger has already, in all that they say."""
    at = {key: i for i, key in enumerate(zip(standing.line.tolist(), standing.start_ns.tolist(), strict=True))}
    places = [at.get(key, -1) for key in zip(made.line.tolist(), made.start_ns.tolist(), strict=True)]
    found = np.array(places, np.int64)
    same: npt.NDArray[np.bool_] = found >= 0
    for name in _SAME if len(standing) else ():
        same &= getattr(made, name) == getattr(standing, name)[found]
    return same
