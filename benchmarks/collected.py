"""A collector and how long it works enter; the rows it brought in that time leave."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.batch import Batch
from pipeline.clock import Clock


@dataclass(frozen=True, slots=True)
class Rows:
    """Series, time [ns UTC] and value of rows, one beside the other, in the order they came."""

    series: npt.NDArray[Any]
    time_ns: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]

    def times_of(self, series: int) -> npt.NDArray[np.int64]:
        """Return when a series was read [ns UTC]."""
        mine: npt.NDArray[np.int64] = self.time_ns[self.series == series]
        return mine

    def count(self, series: int, but: float) -> int:
        """Return how many rows of a series have another value than `but`."""
        return int(((self.series == series) & (self.value != but)).sum())


async def collected(collector: Any, clock: Clock, warm_s: float, seconds: float) -> Rows:
    """Let a collector work for `warm_s` and then for `seconds`; return the rows of the latter."""
    batches: list[Batch] = []

    async def gather() -> None:
        async for batch in collector.batches():
            batches.append(batch)  # noqa: PERF401 - ends by being cancelled, and what came until then counts

    async with collector:
        pump = asyncio.create_task(gather())
        await asyncio.sleep(warm_s)
        begin_ns = clock.now_ns()
        await asyncio.sleep(seconds)
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
    time_ns = np.concatenate([b.time_ns for b in batches])
    late = time_ns >= begin_ns
    series, value = (np.concatenate([getattr(b, name) for b in batches]) for name in ("series", "value"))
    return Rows(series[late], time_ns[late], value[late])
