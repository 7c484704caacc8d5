"""Where simulated devices are reached: bytes of TCP connections or a serial port in, what takes them apart behind."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, Self, cast

from config.protocols.serial import Serial
from simulators.serial_port import SerialPort

Write = Callable[[bytes], None]
HangUp = Callable[[], None]


class Connection(Protocol):
    """One client's."""

    transport: asyncio.Transport


class Listening(ABC):
    """A TCP server on one host and port; port 0 takes a free one, known after entering."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(self._accepted, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await self._server.wait_closed()

    @abstractmethod
    def _accepted(self) -> asyncio.Protocol:
        """Return what serves one more client; it adds itself to `connections`."""


class _LineConnection(asyncio.Protocol):
    def __init__(self, line: TcpEnd) -> None:
        self.line = line
        self.held = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.line.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.line.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.held += data
        self.line.take(self.held, self.write, self.transport.abort)

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


class TcpEnd(Listening):
    """A line behind a serial server that passes bytes on over TCP."""

    @abstractmethod
    def take(self, held: bytearray, write: Write, hang_up: HangUp) -> None:
        """Remove whole requests from what is held, and answer them."""

    def _accepted(self) -> asyncio.Protocol:
        return _LineConnection(self)


class PortEnd(ABC):
    """A line on a serial port, which is made where there is none (see SerialPort)."""

    def __init__(self, line: Serial) -> None:
        self._held = bytearray()
        self._port = SerialPort(line, self._received)

    async def __aenter__(self) -> Self:
        await self._port.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._port.__aexit__()

    @abstractmethod
    def take(self, held: bytearray, write: Write, hang_up: HangUp) -> None:
        """Remove whole requests from what is held, and answer them."""

    def _received(self, data: bytes) -> None:
        self._held += data
        self.take(self._held, self._port.write, self._held.clear)
