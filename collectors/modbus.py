"""Modbus TCP and RTU: the units of one configured connection in, batches of their raw values and gap rows out.

It never writes to a field device: all it can send are the four reading functions (see modbus_frames).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from collectors.errands import Errands
from collectors.modbus_client import Link, Way
from collectors.modbus_deadlines import Deadlines
from collectors.modbus_inbox import Inbox
from collectors.modbus_line import RtuWay
from collectors.modbus_readings import Heard
from collectors.modbus_survey import Survey
from collectors.modbus_tcp import TcpWay
from collectors.modbus_turns import Turns
from collectors.modbus_unit import Roll, Unit
from config.bindings import BoundDevice
from config.protocols.modbus import ModbusAddress, ModbusConnection
from pipeline.batch import Batch, Times
from pipeline.counters import Counters
from pipeline.gaps import gap_key
from pipeline.ports import Origin

# How finely the schedule and the deadlines are kept at the finest, and how long replies gather for whoever waits.
TICK_S: Final = 0.02
_COARSEST_S: Final = 0.05
_TICKS: Final = 24  # in a period at least, where that is not finer still


def tick_s(periods_s: Sequence[float]) -> float:
    """Return how finely units of these periods [s] are met [s]: what is met together costs less.

    A faster clock (demo, tests) shortens periods; the tick follows, so that cycles stay apart.
    """
    shortest_s = min(periods_s, default=math.inf)
    return max(0.001, min(shortest_s / 4, max(TICK_S, min(shortest_s / _TICKS, _COARSEST_S))))


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
        self._inbox = Inbox(origin, self._gather)
        self._ready = asyncio.Event()
        self._errands = Errands()
        self._links: dict[tuple[str, int], Link] = {}
        periods = [origin.clock.wall_seconds(d.device.every_s or connection.every_s) for d in devices]
        self._tick_s = tick_s(periods)
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
        await self._errands.begin()
        turns = Turns(self._units, time.monotonic())
        self._errands.spawn(self._run(turns), f"modbus schedule {self._origin.connection}")
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

    async def _run(self, turns: Turns) -> None:
        """Sleep until somebody is due, or an answer overdue; never less than a tick, which gathers."""
        while True:
            now = time.monotonic()
            overdue_s = self._deadlines.sweep(now)
            accepting = not self._inbox.full
            for unit in turns.due(now):
                unit.cycle(accepting=accepting)
            await asyncio.sleep(max(self._tick_s, min(turns.next_s, overdue_s) - time.monotonic()))

    def _gather(self) -> None:
        """Let what comes within a short time be one batch."""
        asyncio.get_running_loop().call_later(min(self._tick_s, TICK_S), self._ready.set)

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
