"""Units asked once, for whoever commissions them: a block to read in, its bytes or why there are none out.

It never writes to a field device: a request is made from a `Read`, and nothing else is ever sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self

from collectors.modbus_client import Exchange, Link, Way
from collectors.modbus_deadlines import Deadlines
from collectors.modbus_frames import Failure, Read
from collectors.modbus_line import RtuWay
from collectors.modbus_tcp import TcpWay
from config.protocols.modbus import ModbusConnection
from config.protocols.serial import Serial
from pipeline.counters import Counters

_TICK_S: Final = 0.01


class Answer(NamedTuple):
    """What came of one request: the block's data or why there is none, and how long it took [s]."""

    data: bytes
    failure: Failure | None
    took_s: float


class Asker(Protocol):
    """Whatever makes one exchange at a time with units it reaches."""

    async def ask(self, read: Read) -> Answer: ...


class _Waiting:
    """Waits for what comes of one exchange."""

    def __init__(self) -> None:
        self.came: asyncio.Future[bytes | Failure] = asyncio.get_running_loop().create_future()

    def answered(self, exchange: Exchange, data: bytes, at_s: float) -> None:
        self.came.set_result(data)

    def failed(self, exchange: Exchange, failure: Failure) -> None:
        self.came.set_result(failure)


class LinkAsker:
    """The way to units over a gateway's own link, opened when first asked; an async context."""

    def __init__(self, way: Way, timeout_s: float) -> None:
        self._deadlines = Deadlines(_TICK_S)
        self._tasks: set[asyncio.Task[None]] = set()
        manners = ModbusConnection(protocol="modbus", timeout_s=timeout_s, backoff_max_s=1.0)
        self._link = Link(way, manners, self._deadlines, self._spawn, Counters())

    async def __aenter__(self) -> Self:
        self._spawn(self._sweep(), "modbus deadlines")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._link.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ask(self, read: Read) -> Answer:
        """Make one exchange. Raises ValueError for what cannot be asked."""
        began, waiting = time.monotonic(), _Waiting()
        self._link.ask(Exchange(waiting, read, self._link))
        came = await waiting.came
        took_s = time.monotonic() - began
        return Answer(came, None, took_s) if isinstance(came, bytes) else Answer(b"", came, took_s)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._deadlines.sweep(time.monotonic())

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def asker(host: str, port: int, serial: Serial | None, timeout_s: float, *, rtu: bool) -> LinkAsker:
    """Return the way to units over TCP, as RTU through a serial server, or on a serial port of this machine."""
    if serial is not None:
        return LinkAsker(RtuWay(serial, None, timeout_s), timeout_s)
    return LinkAsker(RtuWay(Serial(), (host, port), timeout_s) if rtu else TcpWay(host, port), timeout_s)
