"""Booked entries and a corrected factor or meter → new versions of what it concerns, and what they change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.compute import compute, weigh
from carbon.difference import Difference, Rows
from carbon.entries import Activity, Entries, Integers, MeterVersion
from carbon.factor import Factor, FactorSteps
from carbon.ledger import Ledger, Reason, Writing
from carbon.ledger.check import WEIGHED, PerUnit
from pipeline import quality as q
from pipeline.batch import Qualities

Progress = Callable[[int, int], None]


class Numbers(Protocol):
    """What gives factors and meters their numbers: a transaction of the ledger, or a trial of one."""

    def factor(self, factor: Factor) -> int: ...
    def meter(self, meter: MeterVersion) -> int: ...


# Which rows of some entries get a new version, and those versions.
Change = Callable[[Numbers, Entries], Iterator[tuple[Rows, Entries]]]
# Entries that stand, which rows of them follow what was written, and their new versions.
Followed = tuple[Entries, Rows, Entries]
Follow = Callable[[Writing, int, int], Iterator[Followed]]


@dataclass(frozen=True, slots=True)
class Correction:
    """What a meter version should have been: the version that replaces it, and what its amounts are multiplied by."""

    meter: MeterVersion
    multiplier: Fraction


@dataclass(frozen=True, slots=True)
class Span:
    """Entries that begin in [start_ns, end_ns) are restated; months are told in the zone of the site."""

    start_ns: int
    end_ns: int
    zone: ZoneInfo


# ── factors ───────────────────────────────────────────────────────────────────────────────────────


def restate_factors(
    ledger: Ledger, steps: Mapping[int, FactorSteps], span: Span, reason: Reason,
    *, replaces: Callable[[Factor], bool] = lambda _: True, dry_run: bool = False, progress: Progress | None = None,
) -> Difference:  # fmt: skip
    """Compute entries of lines (by number) anew with other factors, their activity kept; return what it changes.

    An entry takes the factor of its beginning; one that has the very same factor already gets no new version, so doing
    it twice changes nothing. Entries whose factor `replaces` refuses keep it (contracts, laboratory values).
    """
    groups: dict[tuple[bytes, tuple[str, ...]], tuple[FactorSteps, list[int]]] = {}
    for line, of_line in steps.items():
        key = of_line.start_ns.tobytes(), tuple(f.version for f in of_line.factors)
        groups.setdefault(key, (of_line, []))[1].append(line)

    def change(numbers: Numbers, before: Entries) -> Iterator[tuple[Rows, Entries]]:
        refused = [n for n, factor in ledger.factors.items() if not replaces(factor)]
        free = ~np.isin(before.factor, refused)
        for of_group, lines in groups.values():
            rows = np.flatnonzero(free & np.isin(before.line, lines))
            if len(rows):
                after = anew(before.take(rows), of_group, numbers)
                other = after.factor != before.factor[rows]
                yield rows[other], after.take(other)

    return _restate(ledger, set(steps), span, reason, change, dry_run, progress)


def anew(before: Entries, steps: FactorSteps, numbers: Numbers) -> Entries:
    """Return entries computed with other factors, their activity kept."""
    activity = Activity(
        before.start_ns, before.span_ns, before.line, before.amount, before.estimated, before.substituted,
        before.covered_ns, without_fallback(before.quality), before.peak,
    )  # fmt: skip
    return compute(activity, before.line, steps, numbers.factor, before.meter)


def without_fallback(quality: Qualities) -> Qualities:
    """Return the quality without the old factor's mark; what was uncertain for nothing else is good again."""
    rest: Qualities = quality & np.uint16(0xFFFF ^ q.FACTOR_FALLBACK)
    only = (rest != quality) & (rest == q.UNCERTAIN)
    return np.where(only, np.uint16(q.GOOD), rest)


# ── activity ──────────────────────────────────────────────────────────────────────────────────────


def restate_activity(
    ledger: Ledger, lines: set[int], corrections: Mapping[int, Correction], span: Span, reason: Reason,
    *, follow: Follow | None = None, dry_run: bool = False, progress: Progress | None = None,
) -> Difference:  # fmt: skip
    """Multiply the amounts of lines measured by corrected meter versions (by number); return what it changes.

    amount · multiplier, rounded once, half to even; the factors stay. An entry that carries the corrected version
    already is left alone, so doing it twice changes nothing, and an interrupted one is finished by doing it again.
    `follow` books lines, none of these, whose amounts are computed from theirs, in the same transaction; a dry run
    cannot tell of them.
    """
    per_unit = PerUnit()

    def change(numbers: Numbers, before: Entries) -> Iterator[tuple[Rows, Entries]]:
        for meter, correction in corrections.items():
            rows = np.flatnonzero(before.meter == meter)
            if len(rows):
                yield rows, _multiplied(before.take(rows), correction, numbers, per_unit.of(ledger.factors))

    return _restate(ledger, lines, span, reason, change, dry_run, progress, follow)


def _multiplied(
    before: Entries, correction: Correction, numbers: Numbers, per_unit: npt.NDArray[np.float64]
) -> Entries:
    by = correction.multiplier
    amount, estimated = multiply(before.amount, by), multiply(before.estimated, by)
    filled = multiply(before.substituted, by)
    # Each is rounded by itself; together the parts stay within the whole.
    filled = np.where(amount >= 0, np.minimum(filled, amount - estimated), filled)
    weighed: dict[str, Any] = {name: weigh(amount, per_unit[before.factor, i]) for i, name in enumerate(WEIGHED)}
    return replace(
        before, amount=amount, estimated=estimated, substituted=filled, peak=before.peak * np.float32(by),
        meter=np.full(len(before), numbers.meter(correction.meter), np.int32), **weighed,
    )  # fmt: skip


def multiply(amount: Integers, by: Fraction) -> Integers:
    """Return integers × an exact fraction, half to even; OverflowError where a result is beyond 64 bits."""
    most = max(int(amount.max(initial=0)), -int(amount.min(initial=0)))
    narrow = max(most * abs(by.numerator), by.denominator) < 1 << 61
    product: Any = (amount if narrow else amount.astype(object)) * by.numerator
    whole = product // by.denominator
    rest = product - whole * by.denominator
    up = (2 * rest > by.denominator) | ((2 * rest == by.denominator) & (whole % 2 == 1))
    multiplied: Integers = (whole + up).astype(np.int64)
    return multiplied


# ── both ──────────────────────────────────────────────────────────────────────────────────────────


class _Trial:
    """Numbers as a transaction would give them; nothing is written."""

    def __init__(self, ledger: Ledger) -> None:
        self._factors = {factor: n for n, factor in ledger.factors.items()}
        self._meters = {meter: n for n, meter in ledger.meters.items()}

    def factor(self, factor: Factor) -> int:
        return self._factors.setdefault(factor, len(self._factors))

    def meter(self, meter: MeterVersion) -> int:
        return self._meters.setdefault(meter, len(self._meters))


def _restate(
    ledger: Ledger, lines: set[int], span: Span, reason: Reason, change: Change, dry_run: bool,
    progress: Progress | None, follow: Follow | None = None,
) -> Difference:  # fmt: skip
    """Go through the span in parts; each is read and written in one transaction, so that nothing gets between."""
    difference = Difference(reason, ledger.head(), ledger.head())
    parts = ledger.windows(span.start_ns, span.end_ns)
    for done, (start, end) in enumerate(parts, 1):
        with nullcontext(_Trial(ledger)) if dry_run else ledger.writing() as numbers:
            for before in ledger.read(start, end, lines):
                changes = list(change(numbers, before))
                difference.add(span.zone, before, changes)
                for _, after in changes:
                    if len(after) and not isinstance(numbers, _Trial):
                        numbers.entries(after, reason)
            if follow is not None and not isinstance(numbers, _Trial):
                for before, rows, after in follow(numbers, start, end):
                    difference.add(span.zone, before, [(rows, after)])
        if progress is not None:
            progress(done, len(parts))
    difference.after = ledger.head()
    return difference
