"""What a condition says of its alerts: judgements in columns; and from which series a batch's rows concern it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline import quality as q
from pipeline.batch import Batch
from pipeline.clock import SECOND_NS
from pipeline.consume import State

T = TypeVar("T")
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
TRUE: Final = 1
FALSE: Final = 0
BETWEEN: Final = -1  # past the limit that clears, not past the one that fires: what is, stays
Row = tuple[int, int, int, int, float, float, float]  # one judgement, as Judged has it in columns
AGAIN_NS: Final = 60 * SECOND_NS  # while it lasts, its value is told at most this often


class Judged(NamedTuple):
    """n judgements: alert (its number) · row of the batch it was seen at · time_ns it is true of ·
    truth TRUE, FALSE or BETWEEN · value and limit [unit of the alert] · excess [kW] it costs, NaN: not known.
    """

    alert: Ints
    row: Ints
    time_ns: Ints
    truth: Ints
    value: Floats
    limit: Floats
    excess: Floats

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        """Return judgements told one by one."""
        columns: Sequence[Sequence[float]] = list(zip(*rows, strict=True)) or [()] * len(cls._fields)
        alert, row, time_ns, truth = (np.array(c, np.int64) for c in columns[:4])
        value, limit, excess = (np.array(c, np.float64) for c in columns[4:])
        return cls(alert, row, time_ns, truth, value, limit, excess)

    def take(self, rows: npt.NDArray[Any]) -> Self:
        return type(self)(*(column[rows] for column in self))


def joined(parts: Sequence[Judged]) -> Judged:
    """Return the judgements of several conditions in the order of the batch's rows."""
    every = Judged(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return every.take(np.argsort(every.row, kind="stable"))


class Condition(Protocol):
    """All alerts of one kind. `(state, batch) → (state, judgements)`; the state is JSON, or numpy's arrays.

    A judgement is wanted where something may have changed, not for every reading: what is true again of an alert that
    fires is told at most now and then. Time is what rows and ticks say; no clock is ever asked.
    """

    def fold(self, state: State, batch: Batch) -> tuple[State, Judged | None]: ...


class Places:
    """Series ids → numbers of one's own; rows of other series have −1."""

    def __init__(self, numbers: Mapping[int, int]) -> None:
        self._of = np.full(max(numbers, default=-1) + 2, -1, np.int32)  # the last stands for all ids beyond
        for series, number in numbers.items():
            self._of[series] = number

    def __call__(self, series: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return the number of each row's series."""
        result: npt.NDArray[np.int32] = self._of.take(series, mode="clip")
        return result

    def rows(self, batch: Batch) -> Ints:
        """Return the rows of a batch that concern any of these series."""
        if len(self._of) == 1:
            return np.empty(0, np.int64)
        return np.flatnonzero(self(batch.series) >= 0)


class Watchers(Generic[T]):
    """Series ids → those that watch them, in the order they were named."""

    def __init__(self, pairs: Iterable[tuple[int, T]]) -> None:
        self._of: dict[int, list[T]] = {}
        for series, watcher in pairs:
            self._of.setdefault(series, []).append(watcher)
        self._places = Places({series: series for series in self._of})

    def __getitem__(self, series: int) -> list[T]:
        return self._of[series]

    def good(self, batch: Batch, but: int = 0) -> Ints:
        """Return the rows of a batch that are watched and not bad, nor have any of the quality bits `but`."""
        rows = self._places.rows(batch)
        quality = batch.quality[rows]
        good: Ints = rows[((quality & q.SEVERITY) != q.BAD) & ((quality & np.uint16(but)) == 0)]
        return good
