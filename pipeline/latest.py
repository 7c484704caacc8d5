"""Windows of the log → the newest value of every series: what the page shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.batch import Batch, Qualities, Series, Times, Values
from pipeline.log.log import Log
from pipeline.quality import LATE

_CHUNK_ROWS: Final = 50_000
_LOOK_BACK: Final = 400  # positions: a restart shows the last values at once


@dataclass(slots=True)
class Latest:
    """time_ns, value and quality by series id; time 0: nothing seen yet."""

    size: int
    time_ns: npt.NDArray[np.int64] = field(init=False)
    value: npt.NDArray[np.float64] = field(init=False)
    quality: npt.NDArray[np.uint16] = field(init=False)

    def __post_init__(self) -> None:
        self.time_ns = np.zeros(self.size, np.int64)
        self.value = np.full(self.size, np.nan)
        self.quality = np.zeros(self.size, np.uint16)

    async def run(self, log: Log) -> None:
        """Follow the log for ever."""
        position = max(0, log.position - _LOOK_BACK)
        while True:
            windows = log.read(position, _CHUNK_ROWS)
            if not windows:
                await log.changed()
                continue
            for batch in (b for w in windows for b in w.batches):
                self.take(batch)
            position = windows[-1].position

    def recall(self, series: Series, time_ns: Times, value: Values, quality: Qualities) -> None:
        """Adopt rows of earlier, ascending in time by series, where nothing newer is known."""
        newer = (series < self.size) & (time_ns > self.time_ns[np.minimum(series, self.size - 1)])
        known = series[newer]
        self.time_ns[known], self.value[known], self.quality[known] = time_ns[newer], value[newer], quality[newer]

    def take(self, batch: Batch) -> None:
        """Adopt a batch's rows; of several of one series the last, late ones never."""
        taken: npt.NDArray[Any] = (batch.quality & np.uint16(LATE)) == 0
        taken &= batch.series < self.size
        rows = slice(None) if taken.all() else taken
        series = batch.series[rows].astype(np.intp)  # once: numpy would do it at each look-up
        self.time_ns[series] = batch.time_ns[rows]
        self.value[series] = batch.value[rows]
        self.quality[series] = batch.quality[rows]
