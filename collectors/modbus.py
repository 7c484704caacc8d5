"""Modbus TCP and RTU: the units of one configured connection in, batches of their raw values and gap rows out.

It never writes to a field device: all it can send are the four reading functions (see modbus_frames).
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from collectors.errands import Errands
from collectors.line_rest import MEET_S
from collectors.modbus_client import Link, Way
from collectors.modbus_deadlines import Deadlines
from collectors.modbus_inbox import Inbox
from collectors.modbus_line import RtuWay
from collectors.modbus_readings import Heard
from collectors.modbus_survey import Survey
from collectors.modbus_tcp import TcpWay
from collectors.modbus_unit import Roll, Unit
from config.bindings import BoundDevice
from config.protocols.modbus import ModbusAddress, ModbusConnection
from pipeline.batch import Batch, Times
from pipeline.counters import Counters
from pipeline.gaps import gap_key
from pipeline.ports import Origin

# How finely the schedule and the deadlines are kept.
TICK_S: Final = 0.02


class ModbusCollector:
    """Reads all units of a connection, each at its own period, phases spread evenly; a Collector."""

    def __init__(
        self,
        origin: Origin,
        connection: ModbusConnection,
        devices: Sequence[BoundDevice],
        ids: Mapping[str, int],
        counters: Counters,
    ) -> None:
        """Compile every device's plan; ValueError when an address or a point cannot work."""
        self._origin = origin
        self._connection = connection
        self._counters = counters
        self._inbox = Inbox(origin)
        self._ready = asyncio.Event()
        self._errands = Errands()
        self._links: dict[tuple[str, int], Link] = {}
        self._heap: list[tuple[float, int, Unit]] = []
        periods = [origin.clock.wall_seconds(d.device.every_s or connection.every_s) for d in devices]
        # A faster clock (demo, tests) shortens periods; the tick follows, so that cycles stay apart.
        self._tick_s = max(0.001, min([TICK_S, *(p / 4 for p in periods)]))
        self._deadlines = Deadlines(self._tick_s)
        roll = Roll(counters, [d.key for d in devices])
        survey = Survey(self._inbox, ids)
        self._units: list[Unit] = []
        for device, period_s in zip(devices, periods, strict=True):
            address = connection.unit_address(device.device.address)
            gap_series = ids[gap_key(device.asset_name, device.name)]
            unit = Unit(device.key, self._link(address), period_s, gap_series, self._inbox, origin.clock, roll)
            survey.enrol(unit, device, address)
            self._units.append(unit)

    async def __aenter__(self) -> Self:
        self._counters.state = "running"
        self._schedule()
        await self._errands.begin()
        self._errands.spawn(self._run(), f"modbus schedule {self._origin.connection}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for link in self._links.values():
            link.close()
        self._counters.state = "stopped"
        await self._errands.end()

    def resume(self, tokens: Sequence[bytes], newest_ns: Times) -> None:
        """Nothing to take back: a register is read anew, not replayed."""

    async def batches(self) -> AsyncGenerator[Batch]:
        """Yield all that arrived while the last batch was being committed, as often as there is something."""
        while True:
            await self._ready.wait()
            batch = self._inbox.take()
            if not self._inbox:
                self._ready.clear()
            self._counters.received += len(batch)
            yield batch

    def heard(self, device: str) -> list[Heard]:
        """Return the last answer to each block of a device, in the order they are asked; its strings last."""
        return [
            Heard(e.read, e.answer, e.answered_ns, e.took_s)
            for unit in self._units
            if unit.name == device
            for e in (*unit.values, *unit.identity)
            if e.answered_ns
        ]

    def _schedule(self) -> None:
        """Spread units of equal period evenly over it, those of one link too; slow ones are met within MEET_S."""
        start = time.monotonic()
        together: dict[float, dict[Link, list[Unit]]] = {}
        for unit in self._units:
            together.setdefault(unit.period_s, {}).setdefault(unit.link, []).append(unit)
        phases = {
            unit: (place + turn / len(links)) / len(units)
            for links in together.values()
            for turn, units in enumerate(links.values())
            for place, unit in enumerate(units)
        }
        for index, unit in enumerate(self._units):
            unit.first_slot_s = start + phases[unit] * unit.period_s
            self._heap.append((start + phases[unit] * min(unit.period_s, MEET_S), index, unit))
        heapq.heapify(self._heap)

    async def _run(self) -> None:
        while True:
            self._tick(time.monotonic())
            await asyncio.sleep(self._tick_s)

    def _tick(self, now: float) -> None:
        self._deadlines.sweep()
        heap, accepting = self._heap, not self._inbox.full
        while heap and heap[0][0] <= now:
            due, index, unit = heap[0]
            following = unit.first_slot_s if unit.first_slot_s > due else due + unit.period_s
            if following <= now:
                unit.skipped()
                following += ((now - following) // unit.period_s + 1) * unit.period_s
            heapq.heapreplace(heap, (following, index, unit))
            unit.cycle(accepting=accepting)
        if self._inbox:
            self._ready.set()

    def _link(self, address: ModbusAddress) -> Link:
        at = (address.host, address.port)
        if at not in self._links:
            way = self._way(address)
            self._links[at] = Link(way, self._connection, self._deadlines, self._errands.spawn, self._counters)
        return self._links[at]

    def _way(self, address: ModbusAddress) -> Way:
        manners = self._connection
        if manners.framing == "tcp":
            return TcpWay(address.host, address.port)
        server = (address.host, address.port) if address.host else None
        return RtuWay(manners.line, server, manners.timeout_s)
