"""A line for tests: socat pairs as cables, and a unit at its other end that answers as told, byte by byte."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from collectors.modbus_rtu import crc
from tests.waiting import until

Pieces = Sequence[tuple[float, bytes]]  # (seconds after the piece before, bytes)


class Cable:
    """Two pseudo-terminals tied together by socat, at `near` and `far`; can be cut and plugged in again."""

    def __init__(self, folder: Path) -> None:
        self.near = str(folder / "near")
        self.far = str(folder / "far")
        self._socat: asyncio.subprocess.Process | None = None

    async def plug(self) -> None:
        ends = [f"pty,raw,echo=0,link={end}" for end in (self.near, self.far)]
        self._socat = await asyncio.create_subprocess_exec("socat", *ends)
        await until(lambda: os.path.exists(self.near) and os.path.exists(self.far), what="socat pair")

    async def cut(self) -> None:
        if self._socat is not None:
            self._socat.terminate()
            await self._socat.wait()
            self._socat = None
        await until(lambda: not os.path.lexists(self.near) and not os.path.lexists(self.far), what="socat gone")

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()


class SerialServer:
    """A serial server whose line answers what `say(request)` returns, piece by piece; `requests` keeps what came."""

    def __init__(self, say: Callable[[bytes], Pieces]) -> None:
        self.say = say
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        try:
            while True:
                request = await reader.readexactly(8)
                self.requests.append(request)
                task = asyncio.create_task(self._tell(writer, self.say(request)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _tell(self, writer: asyncio.StreamWriter, pieces: Pieces) -> None:
        for wait_s, piece in pieces:
            await asyncio.sleep(wait_s)
            if not writer.is_closing():
                writer.write(piece)


@asynccontextmanager
async def serial_server(say: Callable[[bytes], Pieces]) -> AsyncIterator[SerialServer]:
    made = SerialServer(say)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for writer in list(made.writers):
            writer.transport.abort()


def good(request: bytes) -> bytes:
    """Return the reply in which every register holds its own address plus 1000 × unit."""
    unit, function, first, count = request[0], request[1], int.from_bytes(request[2:4]), int.from_bytes(request[4:6])
    data = b"".join((1000 * unit + first + i).to_bytes(2) for i in range(count))
    return sealed(bytes((unit, function, len(data))) + data)


def sealed(frame: bytes) -> bytes:
    return frame + crc(frame)
