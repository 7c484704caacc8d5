"""Ledger and what it has not booked yet → the account of a stretch of time, and of any amounts, by one arithmetic."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from carbon.accountant import Unbooked
from carbon.cells import close, merge
from carbon.entries import Activity, Entries, Line, MeterVersion
from carbon.factor import Factor
from carbon.ledger import Ledger
from carbon.ledger.effective import SUMMED, summed
from carbon.report.tally import Tally
from carbon.virtual import combine

_LONGEST_NS: Final = 3_600_000_000_000  # of an interval: a bill of a month is no part of what a day took
_EVER: Final = (int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max))
_KEPT: Final = 8  # stretches of the ledger that are kept until it grows


class Numbers:
    """Gives lines, factors and meters their numbers; those the ledger knows keep theirs."""

    def __init__(self, ledger: Ledger) -> None:
        self.lines: dict[int, Line] = dict(ledger.lines)
        self.factors: dict[int, Factor] = dict(ledger.factors)
        self.meters: dict[int, MeterVersion] = dict(ledger.meters)
        self._known = [{thing: n for n, thing in kind.items()} for kind in (self.lines, self.factors, self.meters)]

    def line(self, line: Line) -> int:
        return self._number(0, line, self.lines)

    def factor(self, factor: Factor) -> int:
        return self._number(1, factor, self.factors)

    def meter(self, meter: MeterVersion) -> int:
        return self._number(2, meter, self.meters)

    def _number(self, kind: int, thing: Any, things: dict[int, Any]) -> int:
        number: int = self._known[kind].setdefault(thing, len(things))
        things[number] = thing
        return number


@dataclass(frozen=True)
class Stretch:
    """The account of [start, end): entries that are booked, and those that would be booked of the rest as it stands."""

    booked: Entries
    open: Entries
    lines: Mapping[int, Line]
    factors: Mapping[int, Factor]

    @classmethod
    def made(cls, booked: Entries, unbooked: Entries, numbers: Numbers) -> Self:
        """Return it with what is known by now of lines and factors: other threads go on giving numbers."""
        return cls(booked, unbooked, dict(numbers.lines), dict(numbers.factors))

    @cached_property
    def all(self) -> Entries:
        return Entries.join([self.booked, self.open])

    @cached_property
    def tally(self) -> Tally:
        """Everything as one period."""
        return self.tally_of(self.all, _EVER)

    def tally_of(self, entries: Entries, edges_ns: Sequence[int]) -> Tally:
        """Return entries of this stretch as columns to choose from and add up, by the period they begin in."""
        parts = [{name: getattr(entries, name) for name in SUMMED}] if len(entries) else []
        return Tally.of(summed(iter(parts), edges_ns), self.lines, self.factors, len(edges_ns) - 1)


@dataclass
class Account:
    """Reads the ledger of a data directory; what it found of a stretch is kept until the ledger grows. For threads."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seq: int = -1
    _numbers: Numbers | None = None
    _found: OrderedDict[tuple[int, int], Entries] = field(default_factory=OrderedDict)

    def stretch(self, unbooked: Unbooked, start_ns: int, end_ns: int, more: Activity | None = None) -> Stretch:
        """Return the account of the intervals that begin in [start, end), of the last one what is known of it; `more`
        are amounts that count as well.
        """
        with self._lock:
            booked, numbers = self._booked(start_ns, end_ns)
            booked = booked.take(booked.start_ns < unbooked.booked_ns)  # what was booked since is in the cells as well
            rest = [_open(unbooked, start_ns, end_ns, numbers)]
            rest += [_entries(unbooked, more, numbers)] if more is not None else []
            return Stretch.made(booked, Entries.join(rest), numbers)

    def of(self, unbooked: Unbooked, activity: Activity) -> Stretch:
        """Return what amounts would be booked as, with all that is computed from them."""
        with self._lock, Ledger.open(self.folder) as ledger:
            numbers = self._named(ledger)
            return Stretch.made(Entries.none(), _entries(unbooked, activity, numbers), numbers)

    def _named(self, ledger: Ledger) -> Numbers:
        """Return the numbers of the ledger as it stands; what was kept of an earlier state is let go."""
        seq = ledger.head().seq
        if self._numbers is None or seq != self._seq:
            self._numbers, self._seq = Numbers(ledger), seq
            self._found.clear()
        return self._numbers

    def _booked(self, start_ns: int, end_ns: int) -> tuple[Entries, Numbers]:
        with Ledger.open(self.folder) as ledger:
            numbers = self._named(ledger)
            if (start_ns, end_ns) not in self._found:
                found = Entries.join(list(ledger.read(start_ns, end_ns, upto=self._seq)))
                self._found[start_ns, end_ns] = found.take(found.span_ns <= _LONGEST_NS)
                while len(self._found) > _KEPT:
                    self._found.popitem(last=False)
            return self._found[start_ns, end_ns], numbers


def _open(unbooked: Unbooked, start_ns: int, end_ns: int, numbers: Numbers) -> Entries:
    """Return the entries of cells that wait to be booked, late ones of booked intervals included."""
    cells = merge(unbooked.parts)
    cells = cells.take((cells.quarter_ns >= start_ns) & (cells.quarter_ns < end_ns))
    books = unbooked.books
    return _entries(unbooked, close(cells, books.interval_ns, books.phase_ns), numbers)


def _entries(unbooked: Unbooked, activity: Activity, numbers: Numbers) -> Entries:
    if not len(activity):
        return Entries.none()
    books = unbooked.books
    made = combine(books.formulas, activity)
    whole = Activity(*(np.concatenate([getattr(a, f.name) for a in (activity, made)]) for f in fields(Activity)))
    return books.entries(numbers, whole)
