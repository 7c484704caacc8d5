"""A Modbus TCP way between gateway and meters: requests in; answers as they are, or spoiled as told, out."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tests.services.ports import free_port

POISON: Final = b"\xde\xad\xbe\xef"  # the register data of answers that must not be believed
NEVER_BELIEVED: Final = 0xDEADBEEF


class Said(NamedTuple):
    """An answer the meters gave and the way passed on as it was."""

    unit: int
    data: bytes


@dataclass
class Way:
    """Listens on `port` for the gateway and asks `meters_port`; `how` says what becomes of the answers of `units`."""

    meters_port: int
    port: int = field(default_factory=free_port)
    how: str = ""
    units: frozenset[int] = frozenset()
    said: set[Said] = field(default_factory=set)
    spoiled: list[tuple[int, int]] = field(default_factory=list)  # time [ns], unit of each question not answered well
    _chance: random.Random = field(default_factory=lambda: random.Random(20_261_123))
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _held: dict[asyncio.StreamWriter, list[bytes]] = field(default_factory=dict)  # late answers, by connection
    _loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, stop: threading.Event) -> None:
        asyncio.run(self._serve(stop))

    def spoil(self, how: str, units: frozenset[int]) -> None:
        """Begin a fault, or with `how` empty end it; `silent` and `cut` end the open connections first."""
        self.units, self.how = units, how
        if how in ("silent", "cut") and self._loop is not None:
            self._loop.call_soon_threadsafe(self._reset_all)

    async def _serve(self, stop: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        async with await asyncio.start_server(self._connection, "127.0.0.1", self.port):
            await asyncio.to_thread(stop.wait)
        self._reset_all()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        meters: asyncio.StreamWriter | None = None
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                answers, meters = await asyncio.open_connection("127.0.0.1", self.meters_port)
                while True:
                    await self._exchange(await _frame(reader), writer, answers, meters)
        finally:
            self._open.discard(writer)
            self._held.pop(writer, None)
            writer.close()
            if meters is not None:
                meters.close()

    async def _exchange(
        self, request: bytes, writer: asyncio.StreamWriter, answers: asyncio.StreamReader, meters: asyncio.StreamWriter
    ) -> None:
        unit = request[6]
        writer.writelines(self._held.pop(writer, ()))
        spoil = self.how if unit in self.units else ""
        asked = 3 - unit if spoil == "swapped" else unit
        meters.write(request[:6] + bytes((asked,)) + request[7:])
        answer = await _frame(answers)
        answer = answer[:6] + bytes((unit,)) + answer[7:]
        if spoil in ("", "cut", "swapped"):
            self.said.add(Said(asked, answer[9:]))
            writer.write(answer)
        if spoil in ("", "cut"):
            return
        self.spoiled.append((time.time_ns(), unit))
        if spoil != "swapped":
            _SPOILERS[spoil](self, answer, writer)

    def _reset_all(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    def _late(self, answer: bytes, writer: asyncio.StreamWriter) -> None:
        """Keep the answer until the next question has come, however slow who asks is."""
        self._held.setdefault(writer, []).append(_poisoned(answer))

    def _garbage(self, answer: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(self._chance.randbytes(self._chance.randint(8, 40)))


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(6)
    return head + await reader.readexactly(int.from_bytes(head[4:6], "big"))


def _poisoned(answer: bytes) -> bytes:
    """Return an answer of the same form that holds what must never be believed."""
    size = len(answer) - 9
    return answer[:9] + (POISON * size)[:size]


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection the hard way (RST)."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _half_and_closed(way: Way, answer: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(_poisoned(answer)[: len(answer) // 2 + 1])
    writer.close()


def _transaction(way: Way, answer: bytes, writer: asyncio.StreamWriter) -> None:
    number = int.from_bytes(answer[:2], "big")
    # Far from any number asked soon: an answer with the next one, late, could be told from a true one by nobody.
    writer.write((number ^ 0x8000).to_bytes(2, "big") + _poisoned(answer)[2:])


def _unit(way: Way, answer: bytes, writer: asyncio.StreamWriter) -> None:
    wrong = _poisoned(answer)
    writer.write(wrong[:6] + bytes((3 - answer[6],)) + wrong[7:])


_SPOILERS: Final[dict[str, Callable[[Way, bytes, asyncio.StreamWriter], None]]] = {
    "hang": lambda way, answer, writer: None,
    "silent": lambda way, answer, writer: None,
    "reset": lambda way, answer, writer: _reset(writer),
    "half": lambda way, answer, writer: writer.write(_poisoned(answer)[: len(answer) // 2 + 1]),
    "half and closed": _half_and_closed,
    "transaction": _transaction,
    "unit": _unit,
    "late": lambda way, answer, writer: way._late(answer, writer),
    "garbage": lambda way, answer, writer: way._garbage(answer, writer),
}
