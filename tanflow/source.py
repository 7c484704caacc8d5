"""One connection's collector at work: its batches in, accepted by the ingest that is in force now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from config.bindings import BoundDevice
from config.connections import Connection
from config.errors import Unavailable
from pipeline.batch import Batch
from pipeline.ingest import Ingest
from pipeline.ports import Collector, Origin
from pipeline.supervise import supervise
from tanflow import registry
from tanflow.tasks import end, start


@dataclass(slots=True)
class Source:
    """A connection that is read. It goes on while the gateway around it is made anew, see `hold` and `go_on`."""

    origin: Origin
    connection: Connection
    devices: Sequence[BoundDevice]
    ids: Mapping[str, int]  # persistent: those of a later revision are the same
    ingest: Ingest
    collector: Collector | None = None  # the one that runs, or ran last
    task: asyncio.Task[None] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        return self.origin.connection

    def begin(self) -> None:
        """Start to read, in a task of its own; it ends by `end` or by a failed log only."""
        self.task = start(f"collector.{self.name}", self._run())

    async def end(self) -> None:
        """Read no more; what is accepted stays accepted."""
        if self.task is not None:
            await end([self.task])

    async def hold(self) -> None:
        """Accept nothing from now on, once a commit under way is done. What the collector reads waits with it."""
        await self._turn.acquire()

    def go_on(self, ingest: Ingest) -> None:
        """Accept again, by the ingest that is in force from now on."""
        self.ingest = ingest
        self._turn.release()

    @property
    def is_reading(self) -> bool:
        """Whether it has begun and not ended."""
        return self.task is not None and not self.task.done()

    def reads(self, connection: Connection, devices: Sequence[BoundDevice]) -> bool:
        """Return whether it reads just these devices in just this way."""
        return self.connection == connection and [*map(_read, self.devices)] == [*map(_read, devices)]

    async def _run(self) -> None:
        kept: list[Collector] = []  # one that lost its connection knows what is missing; a defective one is made anew

        async def work() -> None:
            collector = kept.pop() if kept else self._made()
            self.collector = collector
            collector.resume(self.ingest.tokens, self.ingest.newest_ns)
            try:
                async with collector, aclosing(collector.batches()) as batches:
                    async for batch in batches:
                        await self._accept(batch)
                        await self.ingest.log.turn()
            except Unavailable:
                kept.append(collector)
                raise

        await supervise(f"collector.{self.name}", work, self.ingest.counters, self.connection.backoff_max_s)

    def _made(self) -> Collector:
        self.ingest.counters.anew()
        return registry.collector(self.origin, self.connection, self.devices, self.ids, self.ingest.counters)

    async def _accept(self, batch: Batch) -> None:
        async with self._turn:
            await self.ingest.accept(batch)


def _read(device: BoundDevice) -> tuple[object, ...]:
    """Return all of a device that its collector goes by."""
    limits = (device.template.max_registers, device.template.max_gap) if device.template else ()
    return device.key, device.device, device.points, device.modbus, limits
