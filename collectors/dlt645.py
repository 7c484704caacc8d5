"""DL/T 645-2007: the meters of one configured connection in, batches of their values and gap rows out.

It never writes to a meter: all it can send are the three reading commands (see dlt645_frames).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from collectors.dlt645_line import Line
from collectors.dlt645_plan import questions
from collectors.dlt645_round import Meter, Round
from collectors.errands import Errands
from collectors.rows import Rows
from config.bindings import BoundDevice
from config.protocols.dlt645 import Dlt645Connection, dlt645_address
from pipeline.batch import Batch, Times
from pipeline.counters import Counters
from pipeline.ports import Origin


class Heard(NamedTuple):
    """The last answer to a question: its identifier (DI3 … DI0), the data behind it, when it came, how long it took."""

    identifier: str
    data: bytes
    at_ns: int
    took_s: float


class Dlt645Collector:
    """Reads all meters of a connection, each at its own period, one exchange at a time on each line; a Collector."""

    def __init__(
        self,
        origin: Origin,
        connection: Dlt645Connection,
        devices: Sequence[BoundDevice],
        ids: Mapping[str, int],
        counters: Counters,
    ) -> None:
        """Compile every meter's questions; ValueError when an address cannot work."""
        self._origin = origin
        self._counters = counters
        self._rows = Rows(origin, devices, ids, counters)
        self._ready = asyncio.Event()
        self._errands = Errands()
        self._lines: dict[tuple[str, int], tuple[Line, Round]] = {}
        self._meters: dict[str, Meter] = {}
        for index, device in enumerate(devices):
            host, port, digits = dlt645_address(device.device.address)
            if (host, port) not in self._lines:
                line = Line(host, port, connection, counters)
                self._lines[host, port] = line, Round(line, self._rows, origin.clock, counters, self._told)
            period_s = origin.clock.wall_seconds(device.device.every_s or connection.every_s)
            meter = self._meters[device.key] = Meter(index, digits, period_s, questions(device, ids))
            self._lines[host, port][1].enrol(meter)

    async def __aenter__(self) -> Self:
        self._counters.state = "running"
        await self._errands.begin()
        for line, turns in self._lines.values():
            turns.schedule()
            self._errands.spawn(turns.run(), f"dlt645 line {line.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line, _ in self._lines.values():
            line.close()
        self._counters.state = "stopped"
        await self._errands.end()

    def resume(self, tokens: Sequence[bytes], newest_ns: Times) -> None:
        """Nothing to take back: a meter is read anew, not replayed."""

    async def batches(self) -> AsyncGenerator[Batch]:
        """Yield all that arrived while the last batch was being committed, as often as there is something."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            if len(self._rows):
                yield self._rows.take()

    def heard(self, device: str) -> list[Heard]:
        """Return a device's last answer to each question, in the order they are asked."""
        asked = self._meters[device].questions
        return [Heard(q.name, q.answer, q.answered_ns, q.took_s) for q in asked if q.answered_ns]

    def _told(self) -> None:
        """Hand on what a turn brought, and keep the state current."""
        if len(self._rows):
            self._ready.set()
        silent = all(meter.silent for meter in self._meters.values())
        self._counters.state = "down" if silent else "degraded" if any(self._counters.links.values()) else "running"
