"""Rows of the log → pieces of time over which a signal has one value, or one amount fell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from config.formula_plan import AmountOf, Expression, Input
from pipeline import quality as q
from pipeline.batch import Batch
from pipeline.formula import Function, compiled, leaves

Ints = npt.NDArray[np.int64]
Signal = Expression | AmountOf
# What of an amount's or a level's reasons is still true of what is computed from it.
CARRIED: Final = np.uint16(q.SEVERITY | q.QUANTITY_ESTIMATED | q.PROFILE_ESTIMATED | q.SUBSTITUTED | q.MANUAL)


class Pieces(NamedTuple):
    """n pieces in columns: signal and (start, end] [ns]; an amount, or a level that holds; quality."""

    signal: Ints
    start: Ints
    end: Ints
    value: npt.NDArray[np.float64]
    quality: npt.NDArray[np.uint16]

    def take(self, rows: npt.NDArray[Any]) -> Pieces:
        return Pieces(*(column[rows] for column in self))


class Held(NamedTuple):
    """The last sample of each level (time 0: none yet), and how far each computed signal has come [ns]."""

    time: Ints
    value: npt.NDArray[np.float64]
    quality: npt.NDArray[np.uint16]
    reached: Ints

    @classmethod
    def fresh(cls, levels: int, computed: int) -> Held:
        return cls(np.zeros(levels, np.int64), np.full(levels, np.nan), np.zeros(levels, np.uint16),
                   np.zeros(computed, np.int64))  # fmt: skip

    @classmethod
    def copied(cls, state: Mapping[str, Any]) -> Held:
        """Return what a state says of samples; its arrays, or lists where it came from JSON, stay as they are."""
        return cls(np.array(state["time"], np.int64), np.array(state["value"], np.float64),
                   np.array(state["quality"], np.uint16), np.array(state["reached"], np.int64))  # fmt: skip


class _Computed(NamedTuple):
    signal: int
    levels: Ints
    function: Function


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
    def computed(self) -> list[_Computed]:
        found, places = [], {level: n for n, level in enumerate(self.levels)}
        for n, signal in enumerate(self.order):
            if not isinstance(signal, AmountOf | Input):
                inputs = leaves(signal)
                at = np.array([places[i] for i in inputs if isinstance(i, Input)], np.int64)
                found.append(_Computed(n, at, compiled(signal, inputs)))
        return found

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
        samples = _Samples(level[rows], batch.time_ns[rows], np.where(bad, np.nan, batch.value[rows]),
                           batch.quality[rows] & CARRIED)  # fmt: skip
        found += self._computed_pieces(samples, held)
        found.append(self._held_pieces(samples, held))
        return Pieces(*map(np.concatenate, zip(*found, strict=True))), late

    def _fallen(self, batch: Batch) -> Pieces:
        signal = _look(self._signal_of_amount, batch.series)
        good = (batch.quality & q.SEVERITY < q.BAD) & np.isfinite(batch.value)
        rows = np.flatnonzero((signal >= 0) & good)
        end = batch.time_ns[rows]
        return Pieces(signal[rows], end - batch.span_ns[rows], end, batch.value[rows], batch.quality[rows] & CARRIED)

    def _held_pieces(self, samples: _Samples, held: Held) -> Pieces:
        """Return the pieces of plain levels, by level and time; the last samples become what is held."""
        order = np.argsort(samples.level, kind="stable")
        level, time, value, quality = (column[order] for column in samples)
        first = np.r_[True, level[1:] != level[:-1]][: len(level)]
        last = np.r_[first[1:], True][: len(level)]

        def before(column: npt.NDArray[Any], kept: npt.NDArray[Any]) -> npt.NDArray[Any]:
            earlier: npt.NDArray[Any] = np.r_[column[:1], column[:-1]]
            earlier[first] = kept[level[first]]
            kept[level[last]] = column[last]
            return earlier

        start = before(time, held.time)
        signal, end = self._plain[level], np.minimum(time, start + self._hold_ns[level])
        pieces = Pieces(signal, start, end, before(value, held.value), before(quality, held.quality))
        return pieces.take((start > 0) & (signal >= 0) & ~np.isnan(pieces.value))

    def _computed_pieces(self, samples: _Samples, held: Held) -> list[Pieces]:
        """Return the pieces of computed signals: from each sample of any input to the next, all inputs held."""
        if not self.computed:
            return []
        present = np.zeros(len(self.levels), bool)
        present[samples.level] = True
        found = []
        for number, signal in enumerate(self.computed):
            if present[signal.levels].any():
                found.append(self._computed_one(signal, number, samples, held))
        return found

    def _computed_one(self, signal: _Computed, number: int, samples: _Samples, held: Held) -> Pieces:
        level, time, value, quality = (column[np.isin(samples.level, signal.levels)] for column in samples)
        reached = np.maximum.accumulate(np.r_[held.reached[number], time])
        start, end = reached[:-1], reached[1:].copy()
        held.reached[number] = reached[-1]
        values, qualities = [], np.zeros(len(level), np.uint16)
        for one in signal.levels:
            # which sample of this input was the last before each step; 0: the one held from earlier batches
            latest = np.maximum.accumulate(np.where(level == one, np.arange(1, len(level) + 1), 0))
            before = np.r_[0, latest[:-1]]
            values.append(np.r_[held.value[one], value][before])
            end = np.minimum(end, np.r_[held.time[one], time][before] + self._hold_ns[one])
            qualities = q.merge(qualities, np.r_[held.quality[one], quality][before])
        result = np.broadcast_to(signal.function(values), start.shape)
        pieces = Pieces(np.full(len(start), signal.signal), start, end, result, qualities)
        return pieces.take((start > 0) & (end > start) & ~np.isnan(result))


class _Samples(NamedTuple):
    """Samples of levels in the order of the log; the value of a bad one is NaN."""

    level: Ints
    time: Ints
    value: npt.NDArray[np.float64]
    quality: npt.NDArray[np.uint16]


def _look(table: Ints, series: npt.NDArray[np.int32]) -> Ints:
    found: Ints = table[np.minimum(series, len(table) - 1)]
    return found


def _newer(level: Ints, time: Ints, last: Ints) -> npt.NDArray[np.bool_]:
    """Return which samples are newer than all earlier ones of their level, in the order of the log."""
    order = np.argsort(level, kind="stable")
    rank = np.unique(time, return_inverse=True)[1][order]
    key = level[order] * (len(level) + 1) + rank
    highest = np.r_[-1, np.maximum.accumulate(key)[:-1]]
    newer = np.empty(len(level), bool)
    newer[order] = key > highest
    result: npt.NDArray[np.bool_] = newer & (time > last[level])
    return result
