"""Entries of component streams → those of virtual meters, wherever they no longer follow from each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from carbon.books import Books
from carbon.entries import Activity, Entries, Integers, one_of_each
from carbon.factor import FactorSteps
from carbon.ledger import Ledger, Reason, Writing
from carbon.papers.rebooking import emptied
from carbon.restate import Follow, Followed, anew, without_fallback
from carbon.virtual import combine

_SAME = ("span_ns", "amount", "estimated", "substituted", "covered_ns", "factor", "quality")


def refresh_virtual(ledger: Ledger, writing: Writing, books: Books, start_ns: int, end_ns: int) -> int:
    """Book the virtual meters anew over [start, end) where their parts have changed; return how many entries.

    Whoever books, restates or fills amounts calls it in the same transaction. Documents never do: a stream of theirs
    is no part of a virtual meter.
    """
    return sum(len(new) for _, _, new in follow(ledger, writing, books, start_ns, end_ns))


def follow(ledger: Ledger, writing: Writing, books: Books, start_ns: int, end_ns: int) -> Iterator[Followed]:
    """Do as `refresh_virtual`, yielding (what stood there, which of it is new, the new versions) part by part.

    What was booked keeps its factor: another one is a restatement's or an allocation's deed.
    """
    if books.live:
        books.live.open(ledger)
    for start, end in ledger.windows(start_ns, end_ns) if books.formulas else ():
        made = books.entries(writing, combine(books.formulas, activity_in(ledger, books, start, end)))
        standing, at = _standing(ledger, made, start, end)
        made = _as_booked(ledger, writing, made, standing, at)
        same = at >= 0
        for name in _SAME if len(standing) else ():
            same &= getattr(made, name) == getattr(standing, name)[at]
        if same.all():
            continue
        writing.entries(made.take(~same), Reason("virtual", "follows from its parts"))
        again, fresh = ~same & (at >= 0), at < 0
        yield standing, at[again], made.take(again)
        if fresh.any():
            yield emptied(made.take(fresh)), np.arange(int(fresh.sum())), made.take(fresh)


def following(ledger: Ledger, books: Books) -> Follow:
    """Return what a restatement calls to have virtual meters follow it."""
    return lambda writing, start_ns, end_ns: follow(ledger, writing, books, start_ns, end_ns)


def activity_in(ledger: Ledger, books: Books, start_ns: int, end_ns: int) -> Activity:
    """Return what the ledger holds of every measured or entered stream in [start, end), numbered as in the books."""
    numbers = {name: number for number, name in enumerate(books.names) if books.streams[name].virtual is None}
    chosen = one_of_each(ledger.lines, [n for n, line in ledger.lines.items() if line.stream in numbers])
    stream_of = np.full(len(ledger.lines), -1, np.int32)
    for stream, lines in chosen.items():
        stream_of[lines] = numbers[stream]
    rows = Entries.join(list(ledger.read(start_ns, end_ns, set(np.flatnonzero(stream_of >= 0).tolist()))))
    return Activity(
        rows.start_ns, rows.span_ns, stream_of[rows.line], rows.amount, rows.estimated, rows.substituted,
        rows.covered_ns, without_fallback(rows.quality), rows.peak,
    )  # fmt: skip


def _standing(ledger: Ledger, made: Entries, start_ns: int, end_ns: int) -> tuple[Entries, Integers]:
    """Return the entries that stand, and where among them that of each line and start is, −1 for none."""
    key_of = {number: line.key for number, line in ledger.lines.items()}
    keys = {key_of[number] for number in np.unique(made.line).tolist()}
    lines = {number for number, key in key_of.items() if key in keys}
    standing = Entries.join(list(ledger.read(start_ns, end_ns, lines)))
    place = {(key_of[n], t): i for i, (n, t) in enumerate(_rows(standing))}
    return standing, np.array([place.get((key_of[n], t), -1) for n, t in _rows(made)], np.int64)


def keeping_factors(ledger: Ledger, writing: Writing, made: Entries) -> Entries:
    """Return new versions of entries with the factors that stand there: another one is a restatement's deed."""
    if not len(made):
        return made
    standing, at = _standing(ledger, made, int(made.start_ns.min()), int(made.start_ns.max()) + 1)
    return _as_booked(ledger, writing, made, standing, at)


def keeping_all(ledger: Ledger, writing: Writing, made: Entries) -> Entries:
    """Do as `keeping_factors`, and keep the versions of meters whose ratio was corrected."""
    if not len(made):
        return made
    standing, at = _standing(ledger, made, int(made.start_ns.min()), int(made.start_ns.max()) + 1)
    meter = np.where(at >= 0, standing.meter[at], made.meter) if len(standing) else made.meter
    corrected = [_corrected(ledger, *pair) for pair in zip(meter.tolist(), made.meter.tolist(), strict=True)]
    kept = replace(made, meter=np.where(corrected, meter, made.meter).astype(np.int32))
    return _as_booked(ledger, writing, kept, standing, at)


def _corrected(ledger: Ledger, booked: int, now: int) -> bool:
    """Return whether entries of a meter version are known by another ratio than new ones of the same time."""
    if booked == now or -1 in (booked, now):
        return False
    one, other = ledger.meters[booked], ledger.meters[now]
    return (one.meter, one.number) == (other.meter, other.number) and one.ratio != other.ratio


def _rows(entries: Entries) -> Iterator[tuple[int, int]]:
    return zip(entries.line.tolist(), entries.start_ns.tolist(), strict=True)


def _as_booked(ledger: Ledger, writing: Writing, made: Entries, standing: Entries, at: Integers) -> Entries:
    """Return the entries with the factors they were booked with, where they were."""
    if not len(standing):
        return made
    before = np.where(at >= 0, standing.factor[at], made.factor)
    parts = [made.take(before == made.factor)]
    order = [np.flatnonzero(before == made.factor)]
    for number in np.unique(before[before != made.factor]).tolist():
        rows = np.flatnonzero((before == number) & (before != made.factor))
        parts.append(anew(made.take(rows), FactorSteps.constant(ledger.factors[number]), writing))
        order.append(rows)
    return Entries.join(parts).take(np.argsort(np.concatenate(order)))
