"""Rows of the log → pieces of time over which a signal has one value, or one amount fell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from config.formula_plan import AmountOf, Expression, Input
from pipeline import quality as q
from pipeline.batch import Batch
from pipeline.computed import Held, Ints, Pieces, Samples, Shape, shapes
from pipeline.formula import leaves

Signal = Expression | AmountOf
# What of an amount's or a level's reasons is still true of what is computed from it.
CARRIED: Final = np.uint16(q.SEVERITY | q.QUANTITY_ESTIMATED | q.PROFILE_ESTIMATED | q.SUBSTITUTED | q.MANUAL)


@dataclass(frozen=True)
class Signals:
    """The signals of a stage: amounts, then levels as they are, then what is computed from levels at each sample."""

    signals: Sequence[Signal]
    ids: Sequence[int]  # of every series key in `keys`
    keys: Sequence[str]

    @cached_property
    def order(self) -> list[Signal]:
        rank = {AmountOf: 0, Input: 1}
        return sorted(self.signals, key=lambda s: rank.get(type(s), 2))

    @cached_property
    def amounts(self) -> int:
        """How many of the signals are amounts; they come first."""
        return sum(isinstance(s, AmountOf) for s in self.order)

    @cached_property
    def levels(self) -> list[Input]:
        found = {leaf: None for s in self.order if not isinstance(s, AmountOf) for leaf in leaves(s)}
        return [leaf for leaf in found if isinstance(leaf, Input)]

    @cached_property
    def _signal_of_amount(self) -> Ints:
        return self._by_id([(s.key, n) for n, s in enumerate(self.order) if isinstance(s, AmountOf)])

    @cached_property
    def _level_of(self) -> Ints:
        return self._by_id([(level.key, n) for n, level in enumerate(self.levels)])

    def _by_id(self, numbers: list[tuple[str, int]]) -> Ints:
        known = dict(zip(self.keys, self.ids, strict=True))
        table = np.full(max(known.values(), default=0) + 2, -1, np.int64)  # the last place: any id beyond
        for key, number in numbers:
            table[known[key]] = number
        return table

    @cached_property
    def _plain(self) -> Ints:
        """The signal that is a level as it is, by level; −1 for a level that is only computed with."""
        place = {s: n for n, s in enumerate(self.order)}
        return np.array([place.get(level, -1) for level in self.levels], np.int64)

    @cached_property
    def _hold_ns(self) -> Ints:
        return np.array([level.hold_ns for level in self.levels], np.int64)

    @cached_property
    def computed(self) -> int:
        """How many of the signals are computed; they come last."""
        return sum(not isinstance(s, AmountOf | Input) for s in self.order)

    @cached_property
    def _shapes(self) -> list[Shape]:
        trees = [(n, s) for n, s in enumerate(self.order) if not isinstance(s, AmountOf | Input)]
        return list(shapes(trees, {level: n for n, level in enumerate(self.levels)}))

    # ── rows → pieces ─────────────────────────────────────────────────────────────────────────────

    def concerns(self, series: npt.NDArray[np.int32]) -> bool:
        """Return whether any of the series is one of these."""
        return bool((_look(self._signal_of_amount, series) >= 0).any() or (_look(self._level_of, series) >= 0).any())

    def pieces(self, batch: Batch, held: Held) -> tuple[Pieces, int]:
        """Return the pieces a batch completes, and how many samples came too late to count.

        A level holds from its sample to the next, at most its hold; a bad sample ends it. A sample not newer than
        its series' last is too late: what lies between is known already. `held` is brought up to date in place.
        """
        found = [self._fallen(batch)]
        level = _look(self._level_of, batch.series)
        rows = np.flatnonzero(level >= 0)
        if not len(rows):
            return found[0], 0
        newer = _newer(level[rows], batch.time_ns[rows], held.time)
        late, rows = int((~newer).sum()), rows[newer]
        bad = (batch.quality[rows] & q.SEVERITY >= q.BAD) | ~np.isfinite(batch.value[rows])
        samples = Samples(level[rows], batch.time_ns[rows], np.where(bad, np.nan, batch.value[rows]),
                           batch.quality[rows] & CARRIED)  # fmt: skip
        found += [p for shape in self._shapes if (p := shape.pieces(samples, held)) is not None]
        found.append(self._held_pieces(samples, held))
        return Pieces(*map(np.concatenate, zip(*found, strict=True))), late

    def _fallen(self, batch: Batch) -> Pieces:
        signal = _look(self._signal_of_amount, batch.series)
        good = (batch.quality & q.SEVERITY < q.BAD) & np.isfinite(batch.value)
        rows = np.flatnonzero((signal >= 0) & good)
        end = batch.time_ns[rows]
        return Pieces(signal[rows], end - batch.span_ns[rows], end, batch.value[rows], batch.quality[rows] & CARRIED)

    def _held_pieces(self, samples: Samples, held: Held) -> Pieces:
        """Return the pieces of plain levels, by level and time; the last samples become what is held."""
        order = np.argsort(samples.level, kind="stable")
        level, time, value, quality = (column[order] for column in samples)
        first = np.concatenate(([True], level[1:] != level[:-1]))[: len(level)]
        last = np.concatenate((first[1:], [True]))[: len(level)]

        def before(column: npt.NDArray[Any], kept: npt.NDArray[Any]) -> npt.NDArray[Any]:
            earlier: npt.NDArray[Any] = np.concatenate((column[:1], column[:-1]))
            earlier[first] = kept[level[first]]
            kept[level[last]] = column[last]
            return earlier

        start = before(time, held.time)
        signal, end = self._plain[level], np.minimum(time, start + self._hold_ns[level])
        pieces = Pieces(signal, start, end, before(value, held.value), before(quality, held.quality))
        return pieces.take((start > 0) & (signal >= 0) & ~np.isnan(pieces.value))


def _look(table: Ints, series: npt.NDArray[np.int32]) -> Ints:
    found: Ints = table[np.minimum(series, len(table) - 1)]
    return found


def _newer(level: Ints, time: Ints, last: Ints) -> npt.NDArray[np.bool_]:
    """Return which samples are newer than all earlier ones of their level, in the order of the log."""
    order = np.argsort(level, kind="stable")
    rank = np.unique(time, return_inverse=True)[1][order]
    key = level[order] * (len(level) + 1) + rank
    highest = np.concatenate(([-1], np.maximum.accumulate(key)[:-1]))
    newer = np.empty(len(level), bool)
    newer[order] = key > highest
    result: npt.NDArray[np.bool_] = newer & (time > last[level])
    return result
