"""Activities of component streams → those of a meter nobody installed: the sum of some less others, or a share of it.

Every interval is summed in integers and rounded once. What is not known adds up: coverage is the least of the parts',
estimated and substituted parts add whether a part is added or taken away, and quality is the worst of all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter

import numpy as np

from carbon.entries import Activity, Integers
from config.accounting import VirtualMeter
from pipeline import quality as q


@dataclass(frozen=True, slots=True)
class Formula:
    """A virtual meter over streams by number: (Σ plus − Σ minus) · share, booked as `stream`."""

    stream: int
    plus: tuple[int, ...]
    minus: tuple[int, ...]
    share: Fraction

    @property
    def parts(self) -> tuple[int, ...]:
        return self.plus + self.minus


def formula(meter: VirtualMeter, stream: int, numbers: Mapping[str, int]) -> Formula:
    """Return the formula of a configured virtual meter; its share is the decimal that was written, exactly."""
    plus, minus = (tuple(numbers[name] for name in names) for names in (meter.plus, meter.minus))
    return Formula(stream, plus, minus, Fraction(repr(meter.share)))


def in_order(formulas: Sequence[Formula]) -> list[Formula]:
    """Return formulas so that each comes after those it is made of; raises ValueError where they go in a circle."""
    by_stream = {f.stream: f for f in formulas}
    waits = {f.stream: [part for part in f.parts if part in by_stream] for f in formulas}
    try:
        return [by_stream[stream] for stream in TopologicalSorter(waits).static_order()]
    except CycleError as error:
        raise ValueError(f"virtual meters go in a circle: {error.args[1]}") from None


def combine(formulas: Sequence[Formula], activity: Activity) -> Activity:
    """Return the activities of every virtual meter over the intervals any of its parts has.

    A part without an activity in such an interval is not covered there. Intervals are those of the same start and
    length; a part's peak is not that of the whole, so that none is known.
    """
    known, made = activity, []
    for one in in_order(formulas):
        rows = _evaluate(one, known)
        made.append(rows)
        known = _join([known, rows])
    return _join(made) if made else activity.take(slice(0, 0))


def _evaluate(one: Formula, activity: Activity) -> Activity:
    mine = activity.take(np.isin(activity.stream, one.parts))
    keys, at = np.unique(np.stack([mine.start_ns, mine.span_ns]), axis=1, return_inverse=True)
    start, span = keys
    total, doubtful, filled = (np.zeros(len(start), np.int64) for _ in range(3))
    covered, quality = span.copy(), np.zeros(len(start), np.uint16)
    for part, sign in [*((p, 1) for p in one.plus), *((p, -1) for p in one.minus)]:
        rows = mine.stream == part
        where = at.reshape(-1)[rows]
        total[where] += sign * mine.amount[rows]
        doubtful[where] += np.abs(mine.estimated[rows])
        filled[where] += np.abs(mine.substituted[rows])
        there = np.zeros(len(start), np.int64)
        there[where] = mine.covered_ns[rows]
        covered = np.minimum(covered, there)
        quality[where] = q.merge(quality[where], mine.quality[rows])
    amount = _times(total, one.share)
    # More is taken away than there is: phase, gaps or a wrong configuration; it is kept, so that sums stay true.
    quality = np.where(amount < 0, q.worsen(quality | np.uint16(q.RANGE), q.UNCERTAIN), quality)
    return Activity.make(
        start, span, np.full(len(start), one.stream), amount, estimated=_times(doubtful, one.share),
        substituted=_times(filled, one.share), covered_ns=covered, quality=quality,
    )  # fmt: skip


def _times(amounts: Integers, share: Fraction) -> Integers:
    """Return amounts · share, each rounded once, halves upward, in whole numbers of any size."""
    if share == 1:
        return amounts
    top, below = share.numerator, share.denominator
    exact = (amounts.astype(object) * (2 * top) + below) // (2 * below)
    return exact.astype(np.int64)


def _join(parts: Sequence[Activity]) -> Activity:
    columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in Activity.__slots__}
    return Activity(**columns)


def uncertainty(parts: Sequence[tuple[float, float]], share: float = 1.0) -> float:
    """Return the uncertainty of (Σ ± amounts) · share [unit], half the 95 % interval, of independent meters.

    `parts`: (amount, its uncertainty as a share), whatever the sign. √Σ (U · x)²: a difference of two big meters is as
    uncertain as their sum (IPCC Guidelines 2006, vol. 1, equation 3.2).
    """
    return abs(share) * math.sqrt(sum((amount * relative) ** 2 for amount, relative in parts))
