"""Samples of levels → pieces of what is computed from several of them, such as flow times a temperature difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from config.formula_plan import Apply, Expression, Input
from pipeline import quality as q
from pipeline.formula import Function, compiled, leaves

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint16]
Member = tuple[int, int, Sequence[Input]]  # number of a signal, its place in Held.reached, its inputs


class Pieces(NamedTuple):
    """n pieces in columns: signal and (start, end] [ns]; an amount, or a level that holds; quality."""

    signal: Ints
    start: Ints
    end: Ints
    value: Floats
    quality: Words

    def take(self, rows: npt.NDArray[Any]) -> Pieces:
        return Pieces(*(column[rows] for column in self))


class Samples(NamedTuple):
    """Samples of levels in the order of the log; the value of a bad one is NaN."""

    level: Ints
    time: Ints
    value: Floats
    quality: Words


class Held(NamedTuple):
    """The last sample of each level (time 0: none yet), and how far each computed signal has come [ns]."""

    time: Ints
    value: Floats
    quality: Words
    reached: Ints

    @classmethod
    def fresh(cls, levels: int, computed: int) -> Self:
        unknown, none = np.full(levels, np.nan), np.zeros(levels, np.uint16)
        return cls(np.zeros(levels, np.int64), unknown, none, np.zeros(computed, np.int64))

    @classmethod
    def copied(cls, state: Mapping[str, Any]) -> Self:
        """Return what a state says of samples; its arrays, or lists where it came from JSON, stay as they are."""
        fresh = cls.fresh(0, 0)
        return cls(*(np.array(state[name], getattr(fresh, name).dtype) for name in cls._fields))


@dataclass(frozen=True, slots=True)
class Shape:
    """Signals that are the same formula of different levels, computed together: G signals of K inputs each.

    A signal has a value from each sample of any input to the next, as long as every input holds. In the order of the
    log: a sample that comes behind another input's later one changes the value from there on, not before.
    """

    function: Function
    signals: Ints  # [G] their numbers
    places: Ints  # [G] in Held.reached
    levels: Ints  # [G, K]
    hold_ns: Ints  # [G, K]
    begins: Ints  # of each level's uses among `uses`, and the end
    uses: Ints  # [n, 2] signal (row of G) and input (of K)

    @classmethod
    def of(
        cls, tree: Expression, members: Sequence[tuple[int, int, Sequence[Input]]], level: Mapping[Input, int]
    ) -> Self:
        """Return the shape of a tree with its members: number, place and inputs of each signal."""
        levels = np.array([[level[i] for i in inputs] for *_, inputs in members], np.int64)
        flat, width = levels.ravel(), levels.shape[1]
        order = np.argsort(flat, kind="stable")
        begins = np.searchsorted(flat[order], np.arange(len(level) + 1))
        return cls(
            compiled(tree, leaves(tree)),
            np.array([number for number, *_ in members], np.int64),
            np.array([place for _, place, _ in members], np.int64),
            levels,
            np.array([[i.hold_ns for i in inputs] for *_, inputs in members], np.int64),
            begins,
            np.stack([order // width, order % width], axis=1),
        )

    def pieces(self, samples: Samples, held: Held) -> Pieces | None:
        """Return the pieces samples complete; None where none is an input. `held.reached` is brought up to date."""
        count = self.begins[samples.level + 1] - self.begins[samples.level]
        row = np.repeat(np.arange(len(count)), count)
        if not len(row):
            return None
        use = self.uses[self.begins[samples.level[row]] + _within(count)]
        order = np.argsort(use[:, 0], kind="stable")
        row, member, which = row[order], use[order, 0], use[order, 1]
        first = np.concatenate(([True], member[1:] != member[:-1]))
        reached = self._reached(samples.time[row], member, first, held)
        start = np.concatenate((reached[:1], reached[:-1]))
        start[first] = held.reached[self.places[member[first]]]
        end, values, quality = reached.copy(), [], np.zeros(len(row), np.uint16)
        begun = np.maximum.accumulate(np.where(first, np.arange(len(row)), 0))
        for k in range(self.levels.shape[1]):
            known, at = _latest_before(which == k, begun, first)
            mine = self.levels[member, k]
            end = np.minimum(end, np.where(known, samples.time[row[at]], held.time[mine]) + self.hold_ns[member, k])
            values.append(np.where(known, samples.value[row[at]], held.value[mine]))
            quality = q.merge(quality, np.where(known, samples.quality[row[at]], held.quality[mine]))
        last = np.concatenate((first[1:], [True]))
        held.reached[self.places[member[last]]] = reached[last]
        result = np.broadcast_to(self.function(values), start.shape)
        pieces = Pieces(self.signals[member], start, end, result, quality)
        return pieces.take((start > 0) & (end > start) & ~np.isnan(result))

    def _reached(self, time: Ints, member: Ints, first: npt.NDArray[np.bool_], held: Held) -> Ints:
        """Return how far each signal has come after each row: the latest time of any of its inputs."""
        behind = held.reached[self.places[member]]
        times, rank = np.unique(np.concatenate((time, behind)), return_inverse=True)
        highest = np.maximum(rank[: len(time)], rank[len(time) :])
        key = np.maximum.accumulate(member * len(times) + highest)  # members come in order: each has its own range
        result: Ints = times[key - member * len(times)]
        return result


def _within(count: Ints) -> Ints:
    """Return 0, 1 … count − 1 for each count, one after another."""
    steps: Ints = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return steps


def _latest_before(mine: npt.NDArray[np.bool_], begun: Ints, first: npt.NDArray[np.bool_]) -> tuple[Any, Ints]:
    """Return for each row the last earlier row of its signal that is `mine`, and whether there is one."""
    latest = np.maximum.accumulate(np.where(mine, np.arange(len(mine)), -1))
    before = np.concatenate(([-1], latest[:-1]))
    known = (before >= begun) & ~first
    return known, np.where(known, before, 0)


def shapes(signals: Sequence[tuple[int, Expression]], level: Mapping[Input, int]) -> Iterator[Shape]:
    """Yield the shapes of computed signals (number, tree); they have their places in the given order."""
    found: dict[Expression, list[Member]] = {}
    for place, (number, tree) in enumerate(signals):
        inputs = [leaf for leaf in leaves(tree) if isinstance(leaf, Input)]
        general = _general(tree, {leaf: n for n, leaf in enumerate(inputs)})
        found.setdefault(general, []).append((number, place, inputs))
    for tree, members in found.items():
        yield Shape.of(tree, members, level)


def _general(tree: Expression, number: Mapping[Input, int]) -> Expression:
    """Return a tree with its inputs replaced by their numbers: what alike signals have in common."""
    if isinstance(tree, Input):
        return Input(str(number[tree]), 0)
    if isinstance(tree, Apply):
        return Apply(tree.function, tuple(_general(a, number) for a in tree.arguments))
    return tree
