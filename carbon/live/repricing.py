"""Intervals whose live factor has become known or has been revised → new versions of what is booked in them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from carbon.books import Books
from carbon.entries import Entries
from carbon.factor import FactorSteps
from carbon.ledger import Ledger, Writing
from carbon.live.timeline import LiveFactors, fallbacks
from carbon.restate import anew


def repriced(ledger: Ledger, writing: Writing, books: Books, starts: Collection[int]) -> Entries:
    """Return the entries that change; their activity stays, and what a person has restated is left alone."""
    live = books.live
    covered = sorted(start for start in starts if live and live.covering(start))
    if live is None or not covered:
        return Entries.none()
    made = live.factors(covered)
    kept = [number for number, factor in ledger.factors.items() if not live.replaceable(factor)]
    parts = []
    for given, keys in books.live_lines():
        lines = {number for number, line in ledger.lines.items() if line.key in keys}
        factors = made if given is live.base else fallbacks(made)
        if lines:
            parts += list(_changes(ledger, writing, live, lines, factors, kept))
    return Entries.join(parts)


def _changes(
    ledger: Ledger, writing: Writing, live: LiveFactors, lines: set[int], factors: FactorSteps, kept: list[int]
) -> Iterator[Entries]:
    first, last = int(factors.start_ns[0]), int(factors.start_ns[-1])
    for booked in ledger.read(first, last + 1, lines):
        mine = np.isin(booked.start_ns, factors.start_ns) & (booked.span_ns == live.interval_ns)
        before = booked.take(mine & ~np.isin(booked.factor, kept))
        after = anew(before, factors, writing)
        other = after.factor != before.factor
        if other.any():
            yield after.take(other)
