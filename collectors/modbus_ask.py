"""One unit asked once, for whoever commissions it: a block to read in, its bytes or why there are none out.

It never writes to a field device: a request is made from a `Read`, and nothing else is ever sent.
"""

from __future__ import annotations

import asyncio
import socket
import time
from types import TracebackType
from typing import NamedTuple, Protocol, Self, cast

from collectors.modbus_frames import Failure, Malformed, Read, encode, read_reply, take_frame
from config.errors import Unavailable
from config.protocols.serial import Serial
from pipeline.gaps import Gap


class Answer(NamedTuple):
    """What came of one request: the block's data or why there is none, and how long it took [s]."""

    data: bytes
    failure: Failure | None
    took_s: float


class Asker(Protocol):
    """Whatever makes one exchange at a time with units it reaches."""

    async def ask(self, read: Read) -> Answer: ...


class _Ear(asyncio.Protocol):
    """Collects what arrives and wakes whoever waits for it."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.news = asyncio.Event()
        self.lost = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.news.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self.news.set()


class TcpAsker:
    """A connection to one Modbus TCP server that makes one exchange at a time; an async context."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.name = f"{host}:{port}"
        self._at = (host, port)
        self._timeout_s = timeout_s
        self._number = 0
        self._ear = _Ear()

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def ask(self, read: Read) -> Answer:
        """Make one exchange; a connection lost by the one before is opened anew.

        Raises Unavailable where there is no connection, ValueError for what cannot be asked.
        """
        if self._ear.lost:
            await self._open()
        began = time.monotonic()
        answer = await self._exchange(read)
        took_s = time.monotonic() - began
        if isinstance(answer, bytes):
            return Answer(answer, None, took_s)
        if answer.cause in (Gap.MALFORMED, Gap.DISCONNECTED):
            self._close()
        return Answer(b"", answer, took_s)

    async def _exchange(self, read: Read) -> bytes | Failure:
        self._number = self._number % 0xFFFF + 1
        transaction = self._number.to_bytes(2, "big")
        assert self._ear.transport is not None
        self._ear.transport.write(transaction + encode(read))
        try:
            async with asyncio.timeout(self._timeout_s):
                while (frame := take_frame(self._ear.buffer)) is None or frame[:2] != transaction:
                    if frame is None and self._ear.lost:
                        return Failure(Gap.DISCONNECTED, f"{read}: {self.name} closed the connection")
                    if frame is None:
                        self._ear.news.clear()
                        await self._ear.news.wait()
        except TimeoutError:
            return Failure(Gap.TIMEOUT, f"{read}: no answer within {self._timeout_s:g} s")
        except Malformed as error:
            return Failure(Gap.MALFORMED, str(error))
        return read_reply(read, frame)

    async def _open(self) -> None:
        self._close()
        ear = _Ear()
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.get_running_loop().create_connection(lambda: ear, *self._at)
        except (OSError, UnicodeError) as error:  # a TimeoutError is an OSError
            raise Unavailable(f"no connection to {self.name}: {self._unreachable(error)}") from None
        self._ear = ear

    def _unreachable(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"nothing answers within {self._timeout_s:g} s: it is off, in another network, or behind a firewall"
        if isinstance(error, ConnectionRefusedError):
            return "the host is there, but nothing listens: another port (502 is usual), or Modbus is off in it"
        if isinstance(error, socket.gaierror | UnicodeError):
            return "this name is not known; write its address, e.g. 192.168.1.20"
        return str(error)

    def _close(self) -> None:
        if self._ear.transport is not None:
            self._ear.transport.abort()
        self._ear.lost = True


def asker(host: str, port: int, serial: Serial | None, timeout_s: float, *, rtu: bool) -> TcpAsker:
    """Return the way to units over TCP, as RTU through a serial server, or on a serial port of this machine."""
    if rtu:
        raise Unavailable("RTU is not read yet")
    return TcpAsker(host, port, timeout_s)
