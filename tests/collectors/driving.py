"""Drive a collector as ingest and supervisor do: take batches, commit, resume; open it again when it is Unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np

from config.bindings import BoundDevice, series_key
from config.errors import Unavailable
from config.model import Asset, Device
from pipeline.batch import Batch, Reject, Times
from pipeline.clock import Clock
from pipeline.gaps import gap_key
from pipeline.meter import NEVER
from pipeline.ports import Collector, Origin


def bound(name: str, points: dict[str, dict[str, Any]], *, asset: str = "furnace", **device: Any) -> BoundDevice:
    """Return a device of one's own points, as bound from a configuration."""
    described = Device.model_validate({"connection": "link", "points": points, **device})
    parent = Asset(type="furnace", devices={name: described})
    return BoundDevice("hall", asset, parent, name, described, None, dict(described.points))


def ids_of(devices: Sequence[BoundDevice]) -> dict[str, int]:
    """Return an id for each series of the devices, gap series included."""
    keys = [series_key(d.asset_name, name, p.quantity) for d in devices for name, p in d.points.items()]
    keys += [gap_key(d.asset_name, d.name) for d in devices]
    return {key: index for index, key in enumerate(keys, start=100)}


def origin(directory: Path = Path()) -> Origin:
    return Origin("link", 1, Clock(), directory)


NOTHING: Final[Times] = np.empty(0, np.int64)  # times of the newest rows where no row is of interest


class Driven:
    """A collector at work; `batches` holds what is committed, `failures` why it was opened again."""

    def __init__(
        self, collector: Collector, ids: dict[str, int], *, commit_s: float = 0.0, after: Sequence[Batch] | None = None
    ) -> None:
        """With `after`, what was committed before (may be nothing), the collector is told what is committed."""
        self._collector = collector
        self._ids = ids
        self._commit_s = commit_s
        self._after = after
        self.batches: list[Batch] = []
        self.failures: list[Unavailable] = []
        # Where the consumer "dies": before the commit (nothing stored), or after it (stored, not resumed).
        self.hang: Literal["", "before", "after"] = ""
        self.hangs = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled() and (failure := self._task.exception()):
            raise failure

    async def _work(self) -> None:
        while True:
            if self._after is not None:
                self._collector.resume([], self._newest_ns([*self._after, *self.batches]))
            try:
                async with self._collector as collector:
                    async for batch in collector.batches():
                        await asyncio.sleep(self._commit_s)
                        if self.hang == "before":
                            await self._forever()
                        self.batches.append(batch)
                        if self.hang == "after":
                            await self._forever()
            except Unavailable as error:
                self.failures.append(error)
                await asyncio.sleep(error.after_s or 0.2)

    def _newest_ns(self, batches: Sequence[Batch]) -> Times:
        newest_ns = np.full(max(self._ids.values()) + 1, NEVER)
        for batch in batches:
            np.maximum.at(newest_ns, batch.series, batch.time_ns)
        return newest_ns

    async def _forever(self) -> None:
        self.hangs = True
        await asyncio.Event().wait()

    def rows(self, key: str) -> list[tuple[int, float, int, int]]:
        """Return (time_ns, value, quality, span_ns) of a series, in the order committed."""
        columns = [
            (b.time_ns, b.value, b.quality, b.span_ns, np.flatnonzero(b.series == self._ids[key])) for b in self.batches
        ]
        return [
            (int(time_ns[i]), float(value[i]), int(quality[i]), int(span_ns[i]))
            for time_ns, value, quality, span_ns, found in columns
            for i in found
        ]

    def values(self, key: str) -> list[float]:
        return [row[1] for row in self.rows(key)]

    def gaps(self, device: BoundDevice) -> list[float]:
        """Return the causes on a device's gap series."""
        return self.values(gap_key(device.asset_name, device.name))

    @property
    def rejects(self) -> list[Reject]:
        return [reject for batch in self.batches for reject in batch.rejects]
