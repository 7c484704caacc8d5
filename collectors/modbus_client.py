"""Connections to Modbus TCP servers: exchanges to make in, each one's data or failure out; one at a time per server.

It never writes to a field device: an `Exchange` is made from a `Read`, and nothing else is ever sent.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, cast

from collectors.modbus_frames import Failure, Malformed, Read, encode, good_header, read_reply, take_frame
from config.protocols.modbus import ModbusConnection
from pipeline.counters import Counters
from pipeline.gaps import Gap

Spawn = Callable[[Coroutine[Any, Any, None], str], object]

# After this many requests in a row without a single byte in return, the connection itself is doubted.
SILENT: Final = 2
_FIRST_BACKOFF_S: Final = 0.5


def backoff_s(failures: int, most_s: float) -> float:
    """Return how long to rest after so many failures in a row: 0, then 0.5 s doubling up to `most_s`, jittered."""
    if failures < 2:
        return 0.0
    return float(min(most_s, _FIRST_BACKOFF_S * 2.0 ** min(failures - 2, 20))) * random.uniform(0.5, 1.0)


class Owner(Protocol):
    """Whoever asked; called exactly once for every exchange asked, unless the link is closed."""

    def answered(self, exchange: Exchange, data: bytes) -> None: ...
    def failed(self, exchange: Exchange, failure: Failure) -> None: ...


class Exchange:
    """One block of one unit, encoded once and asked again every cycle."""

    __slots__ = ("frame_size", "header", "owner", "read", "request")

    def __init__(self, owner: Owner, read: Read) -> None:
        self.owner = owner
        self.read = read
        self.request = encode(read)
        self.header = good_header(read)
        self.frame_size = 9 + read.size


class Deadlines:
    """One sweep for the deadlines of all links, counted in ticks.

    Ticks rather than times: after a pause of the whole process, answers already here are read before they are late.
    """

    def __init__(self, timeout_s: float, tick_s: float) -> None:
        self._ticks = int(timeout_s / tick_s) + 2
        self._now = 0
        self._ends: dict[Link, int] = {}  # equal timeouts: the order of insertion is the order of expiry

    def start(self, link: Link) -> None:
        self._ends[link] = self._now + self._ticks

    def stop(self, link: Link) -> None:
        self._ends.pop(link, None)

    def sweep(self) -> None:
        """Count one tick and expire what has waited too long."""
        self._now += 1
        while self._ends:
            link = next(iter(self._ends))
            if self._ends[link] > self._now:
                return
            del self._ends[link]
            link.expire()


class Wire(asyncio.Protocol):
    """One TCP connection: reassembles frames and accepts only the answer to what is asked now."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._buffer = bytearray()
        self._number = 0
        self._transaction = b""
        self._transport: asyncio.Transport | None = None
        self.asked: Exchange | None = None
        self.silent = 0  # requests since the last byte received
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting from it

    def send(self, exchange: Exchange) -> None:
        assert self._transport is not None
        self._number = (self._number + 1) & 0xFFFF
        self._transaction = self._number.to_bytes(2, "big")
        self.asked = exchange
        self.silent += 1
        self._transport.write(self._transaction + exchange.request)

    def close(self) -> None:
        self.asked = None
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self.silent = 0
        asked = self.asked
        if (  # the usual: exactly the one good answer
            asked is not None
            and not self._buffer
            and len(data) == asked.frame_size
            and data[:2] == self._transaction
            and data[2:9] == asked.header
        ):
            self.asked = None
            self._link.answered(asked, data[9:])
            return
        self._buffer += data
        try:
            while self._link.uses(self) and (frame := take_frame(self._buffer)) is not None:
                self._take(frame)
        except Malformed as error:
            self._link.broken(Failure(Gap.MALFORMED, str(error)))

    def _take(self, frame: bytes) -> None:
        asked = self.asked
        if asked is None or frame[:2] != self._transaction:
            self._link.rejected()
            return
        answer = read_reply(asked.read, frame)
        if isinstance(answer, bytes):
            self.asked = None
            self._link.answered(asked, answer)
        elif answer.cause is Gap.MALFORMED:
            self._link.broken(answer)
        else:
            self.asked = None
            self._link.refused(asked, answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self._link.uses(self):
            words = f"connection lost: {error}" if error else "connection closed by the device"
            self._link.broken(Failure(Gap.DISCONNECTED, words))


class Link:
    """The way to one server (host, port): opened when needed, shared by its units, one exchange at a time."""

    def __init__(
        self,
        host: str,
        port: int,
        manners: ModbusConnection,
        deadlines: Deadlines,
        spawn: Spawn,
        counters: Counters,
    ) -> None:
        self.name = f"{host}:{port}"
        self.backoff_max_s = manners.backoff_max_s
        self._at = (host, port)
        self._timeout_s = manners.timeout_s
        self._counters = counters
        self._deadlines = deadlines
        self._spawn = spawn
        self._queue: deque[Exchange] = deque()
        self._wire: Wire | None = None
        self._opening = False
        self._failures = 0
        self._failure = Failure(Gap.REFUSED, "")
        self._rest_until = 0.0
        self._asked_s = 0.0

    def uses(self, wire: Wire) -> bool:
        return self._wire is wire

    def rejected(self) -> None:
        """Count an answer nobody waits for any more."""
        self._counters.rejected += 1

    def ask(self, exchange: Exchange) -> None:
        """Make the exchange as soon as those before it are done."""
        self._queue.append(exchange)
        self._next()

    def close(self) -> None:
        """Drop everything; owners are not called any more."""
        self._queue.clear()
        self._deadlines.stop(self)
        self._drop()

    def answered(self, exchange: Exchange, data: bytes) -> None:
        self._deadlines.stop(self)
        self._counters.took(time.monotonic() - self._asked_s)
        self._failures = 0
        exchange.owner.answered(exchange, data)
        self._next()

    def refused(self, exchange: Exchange, failure: Failure) -> None:
        self._deadlines.stop(self)
        self._counters.took(time.monotonic() - self._asked_s)
        self._failures = 0
        exchange.owner.failed(exchange, failure)
        self._next()

    def expire(self) -> None:
        """The deadline of what is asked now has passed; its answer, should it come, is rejected."""
        wire = self._wire
        if wire is None or wire.asked is None:
            return
        asked, wire.asked = wire.asked, None
        if wire.silent >= SILENT:
            self._drop()
        asked.owner.failed(asked, Failure(Gap.TIMEOUT, f"{asked.read}: no answer within {self._timeout_s:g} s"))
        self._next()

    def broken(self, failure: Failure) -> None:
        """The connection cannot be used further: close it, fail what was asked, go on over a new one."""
        asked = self._wire.asked if self._wire else None
        self._deadlines.stop(self)
        self._drop()
        if failure.cause is Gap.MALFORMED:
            self._counters.rejected += 1
        if asked is not None or failure.cause is Gap.MALFORMED:
            self._count(Failure(Gap.DISCONNECTED, failure.words))
        if asked is not None:
            asked.owner.failed(asked, failure)
        self._next()

    def _next(self) -> None:
        if not self._queue or self._opening:
            return
        if self._wire is None:
            self._open()
        elif self._wire.asked is None:
            self._wire.send(self._queue.popleft())
            self._asked_s = time.monotonic()
            self._deadlines.start(self)

    def _open(self) -> None:
        if time.monotonic() < self._rest_until:
            self._fail_all()
            return
        self._opening = True
        self._spawn(self._connect(), f"modbus connect {self.name}")

    async def _connect(self) -> None:
        wire = Wire(self)
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.get_running_loop().create_connection(lambda: wire, *self._at)
        except TimeoutError:
            self._count(Failure(Gap.REFUSED, f"no connection to {self.name} within {self._timeout_s:g} s"))
        except (OSError, UnicodeError) as error:
            self._count(Failure(Gap.REFUSED, f"no connection to {self.name}: {error}"))
        else:
            self._adopt(wire)
        finally:
            self._opening = False
            if self._wire is not wire:
                wire.close()
        if self._wire is None:
            self._fail_all()
        else:
            self._next()

    def _adopt(self, wire: Wire) -> None:
        if wire.lost:
            self._count(Failure(Gap.DISCONNECTED, f"{self.name} closed the connection at once"))
        else:
            self._wire = wire

    def _count(self, failure: Failure) -> None:
        self._failure = failure
        self._failures += 1
        self._rest_until = time.monotonic() + backoff_s(self._failures, self.backoff_max_s)

    def _fail_all(self) -> None:
        waiting = list(self._queue)
        self._queue.clear()
        for exchange in waiting:
            exchange.owner.failed(exchange, self._failure)

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
