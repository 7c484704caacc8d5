"""Series and times → what a reading of a meter behind transformers is multiplied by, as its register dates it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from pipeline.batch import Series, Times, Values

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

    def at(self, series: Series, time_ns: Times) -> Values:
        """Return the ratio of each row's instant."""
        ratio = np.ones(len(series))
        course = self._course[series]
        for number in np.unique(course[course >= 0]).tolist():
            mine = course == number
            ratio[mine] = self._values[number][self._step(number, time_ns[mine])]
        return ratio

    def over(self, series: Series, start_ns: Times, end_ns: Times) -> Values:
        """Return the mean ratio of each row's interval; where it changes within, by time: the amount is taken as even.

        r = Σ rᵢ · (tᵢ₊₁ − tᵢ) / (end − start)
        """
        last = np.maximum(end_ns - 1, start_ns)
        ratio, after = self.at(series, start_ns), self.at(series, last)
        for row in np.flatnonzero(ratio != after).tolist():
            course = self._course[series[row]]
            start, end = int(start_ns[row]), int(end_ns[row])
            inner = [t for t in self._starts[course].tolist() if start < t < end]
            values = self._values[course][self._step(course, np.array([start, *inner], np.int64))]
            ratio[row] = (values * np.diff([start, *inner, end])).sum() / (end - start)
        return ratio

    def _step(self, course: int, time_ns: Times) -> npt.NDArray[np.int64]:
        step: npt.NDArray[np.int64] = np.searchsorted(self._starts[course], time_ns, side="right") - 1
        return np.maximum(step, 0)
