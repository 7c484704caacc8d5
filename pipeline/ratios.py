"""Series and times → what a reading of a meter behind transformers is multiplied by, as its register dates it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from pipeline.batch import Times, Values

Ids = npt.NDArray[np.signedinteger[Any]]
Steps = tuple[tuple[int, float], ...]  # (from when on [ns], ratio); the first one holds before it too
ALWAYS: Final = int(np.iinfo(np.int64).min)


class Ratios:
    """Ratios of all series ids, 1 for most; each distinct course of one is kept once."""

    def __init__(self, steps: Iterable[Steps]) -> None:
        courses: dict[Steps, int] = {}
        self._course: npt.NDArray[np.int32] = np.array(
            [courses.setdefault(s, len(courses)) if s else -1 for s in steps], np.int32
        )
        self._starts = [np.array([start for start, _ in c], np.int64) for c in courses]
        self._values = [np.array([value for _, value in c]) for c in courses]

    @classmethod
    def of(cls, steps: Iterable[Steps]) -> Self | None:
        """Return the ratios of series in the order of their ids, None where no reading is multiplied at all."""
        found = cls(steps)
        return found if found._starts else None

    def at(self, series: Ids, time_ns: Times) -> Values:
        """Return the ratio of each row's instant."""
        ratio = np.ones(len(series))
        for course, rows in self._by_course(series):
            ratio[rows] = self._values[course][self._step(course, time_ns[rows])]
        return ratio

    def over(self, series: Ids, start_ns: Times, end_ns: Times) -> Values:
        """Return the mean ratio of each row's interval; where it changes within, by time: the amount is taken as even.

        r = Σ rᵢ · (tᵢ₊₁ − tᵢ) / (end − start)
        """
        ratio = self.at(series, start_ns)
        for course, rows in self._by_course(series):
            first, last = self._step(course, start_ns[rows]), self._step(course, end_ns[rows] - 1)
            for row in rows[last > first].tolist():
                ratio[row] = self._mean(course, int(start_ns[row]), int(end_ns[row]))
        return ratio

    def _mean(self, course: int, start_ns: int, end_ns: int) -> float:
        edges = [start_ns, *(t for t in self._starts[course].tolist() if start_ns < t < end_ns), end_ns]
        values = self._values[course][self._step(course, np.array(edges[:-1], np.int64))]
        return float((values * np.diff(edges)).sum()) / (end_ns - start_ns)

    def _by_course(self, series: Ids) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """Yield each course and the rows that follow it."""
        course = self._course[series]
        for number in np.unique(course[course >= 0]).tolist():
            yield number, np.flatnonzero(course == number)

    def _step(self, course: int, time_ns: Times) -> npt.NDArray[np.int64]:
        step: npt.NDArray[np.int64] = np.searchsorted(self._starts[course], time_ns, side="right") - 1
        return np.maximum(step, 0)
