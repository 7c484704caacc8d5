"""Modbus TCP as a way to units: an exchange's request over one connection out, its reply told apart by its number in.

It never writes to a field device: an `Exchange` is made from a `Read`, and nothing else is ever sent.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Final, cast

from collectors.modbus_client import Exchange, Form, Link
from collectors.modbus_frames import Failure, Malformed, Read, encode, good_header, read_reply, take_frame
from pipeline.gaps import Gap

_MOST_STRAY: Final = 256  # answers nobody waits for, after one request: late ones are few


class TcpWay:
    """The way to the units behind one host and port."""

    silent_most = 2
    owing = frozenset[int]()

    def __init__(self, host: str, port: int) -> None:
        self.name = f"{host}:{port}"
        self._at = (host, port)

    def form(self, read: Read) -> Form:
        return _form(read)

    def owes(self, unit: int) -> bool:
        """Return False: a late reply is known by its transaction id."""
        return False

    def wire(self, link: Link) -> TcpWire:
        return TcpWire(link)

    async def connect(self, wire: asyncio.Protocol) -> None:
        """Open a connection for the wire; OSError or UnicodeError."""
        await asyncio.get_running_loop().create_connection(lambda: wire, *self._at)


@lru_cache(4_096)
def _form(read: Read) -> Form:
    """Return the form of a read: one for all that are alike, so that what every exchange needs stays at hand."""
    return Form(encode(read), good_header(read), 9 + read.size, 0.0)


class TcpWire(asyncio.Protocol):
    """One TCP connection: reassembles frames and accepts only the answer to what is asked now."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._buffer = bytearray()
        self._number = 0
        self._transaction = b""
        self._begins = b""  # with what the good answer to what is asked now begins
        self._stray = 0  # answers since the last request that nobody waits for
        self._transport: asyncio.Transport | None = None
        self.asked: Exchange | None = None
        self.silent = 0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting from it

    def send(self, exchange: Exchange) -> None:
        assert self._transport is not None
        self._number = number = (self._number + 1) & 0xFFFF
        self._transaction = transaction = number.to_bytes(2, "big")
        self._begins = transaction + exchange.header
        self.asked = exchange
        self.silent += 1
        self._stray = 0
        self._transport.write(transaction + exchange.request)

    @property
    def torn(self) -> bool:
        """Return whether the rest of a frame is awaited: the next answer would be taken for it."""
        return bool(self._buffer)

    def give_up(self) -> Failure | None:
        self.asked = None
        return None

    def close(self) -> None:
        self.asked = None
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self.silent = 0
        asked = self.asked
        # The usual: exactly the one good answer.
        if asked is not None and data[:9] == self._begins and len(data) == asked.frame_size and not self._buffer:
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
            self._stray += 1
            if self._stray > _MOST_STRAY:
                raise Malformed(f"more than {_MOST_STRAY} answers that nobody asked for: the server sends without end")
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
