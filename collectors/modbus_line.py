"""Modbus RTU as a way to units: one line, local or behind a serial server; one request at a time out, its reply in.

RTU has no transaction ids: what arrives is told apart by unit, function, length and CRC, and by when it arrives. So a
unit that did not answer in time owes a reply: until that has come, or its time is over, the unit is not asked again,
and what it says is nobody's answer. After that a reply is believed only when it cannot be that to an earlier request
(see modbus_step). It never writes to a field device: all it sends are reads.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final, cast

from collectors.modbus_client import Exchange, Form, Link
from collectors.modbus_frames import Failure, Read
from collectors.modbus_rtu import (
    REPLY_CHARACTERS,
    SHORTEST,
    answered,
    character_s,
    encode,
    find_reply,
    first_frame,
    good_header,
    malformed,
    on_line_s,
    silence_s,
    without_echo,
)
from collectors.modbus_step import MOST_BEHIND, Step
from collectors.serial_line import connect_line, open_line
from config.protocols.serial import Serial
from pipeline.gaps import Gap

# A reply may come this many deadlines late without being taken for another.
_OWED: Final = 2.0
# Nothing more for so long after bytes that are no beginning of the reply, and it is not waited for any further: serial
# servers and USB adapters pass a frame on in pieces.
_IDLE_S: Final = 0.1
_EARLY_S: Final = 0.0005  # timers of the loop count milliseconds: one that is early by less is not set again
_BEHIND: Final = (
    "the reply to an earlier request came: the unit, or a serial server before it, is behind with its replies; "
    "nothing is believed until it is in step again; restart it if this stays, and give it a longer timeout_s"
)
_MOST_BYTES: Final = 1_024  # four of the longest frames


class RtuWay:
    """The way to the units of one line; `address` is (host, port) of its serial server, None for a local port."""

    def __init__(self, line: Serial, address: tuple[str, int] | None, timeout_s: float) -> None:
        self.name = f"{address[0]}:{address[1]}" if address else str(line.port)
        # A serial server's connection can hang; a port of this machine is there or is lost.
        self.is_server = address is not None
        self.silent_most = 4 if address else sys.maxsize
        self.silence_s = silence_s(line)
        self.idle_s = max(_IDLE_S, 4 * character_s(line))
        self._line = line
        self._address = address
        self._owed_s = _OWED * timeout_s
        # Both by unit; they outlive a connection.
        self.owing: dict[int, float] = {}  # until when [s monotonic]
        self._steps: dict[int, Step] = {}

    def step(self, unit: int) -> Step:
        """Return what the unit has been asked and still may answer."""
        return self._steps.setdefault(unit, Step())

    def form(self, read: Read) -> Form:
        self.step(read.unit).enrol(read)
        size = REPLY_CHARACTERS + read.size
        return Form(encode(read), good_header(read), size, on_line_s(read, self._line))

    def owe(self, unit: int) -> None:
        """Note that a reply of this unit may still come."""
        self.owing[unit] = time.monotonic() + self._owed_s

    def settle(self, frame: bytes) -> bool:
        """Note that a reply has come nobody waits for; return whether it was owed."""
        owed = self.owing.pop(frame[0], None) is not None
        step = self._steps.get(frame[0])
        return (step is not None and step.answered(frame[:3]) is not None) or owed

    def owes(self, unit: int) -> bool:
        """Return whether a late reply of this unit is still possible."""
        if unit not in self.owing:
            return False
        if self.owing[unit] > time.monotonic():
            return True
        del self.owing[unit]
        return False

    def wire(self, link: Link) -> RtuWire:
        return RtuWire(link, self)

    async def connect(self, wire: asyncio.Protocol) -> None:
        """Open the line for the wire; OSError or UnicodeError."""
        if self._address:
            await connect_line(*self._address, lambda: wire)
        else:
            await open_line(self._line, lambda: wire)


class RtuWire(asyncio.Protocol):
    """One open line: keeps the silence before a request, finds the reply in what arrives, passes over what is late."""

    torn: Final = False  # a frame begins after a silence, whatever came before

    def __init__(self, link: Link, way: RtuWay) -> None:
        self._link = link
        self._way = way
        self._buffer = bytearray()
        self._quiet_from = 0.0  # when the silence before a request is over [s monotonic]
        self._sent = False
        self._read: Read  # what is asked on the line: the exchange's block, or what must be answered before it
        self._tries = 0
        self._timer: asyncio.TimerHandle | None = None  # for the silence, then for bytes that hold no reply
        self._transport: asyncio.Transport | None = None
        self.asked: Exchange | None = None
        self.silent = 0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._quiet_from = time.monotonic() + self._way.silence_s

    def send(self, exchange: Exchange) -> None:
        self.asked = exchange
        self.silent += 1
        self._sent = False
        self._read = exchange.read
        self._tries = 0
        self._when_silent()

    def give_up(self) -> Failure | None:
        """Forget what is asked; return what its bytes say where some have come."""
        asked, self.asked = self.asked, None
        self._stop()
        if asked is None:
            return None
        if not self._sent:
            return Failure(Gap.MALFORMED, f"{asked.read}: not asked, the line is never silent")
        if self._buffer:
            return self._spoilt(asked)[0]
        self._way.owe(asked.read.unit)
        return None

    def close(self) -> None:
        self.asked = None
        self._stop()
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self.silent = 0
        self._quiet_from = time.monotonic() + self._way.silence_s
        self._buffer += data
        del self._buffer[: -2 * _MOST_BYTES]  # whatever comes at once: no reply has more before it
        asked = self.asked if self._sent else None
        self._pass_over(asked)
        if asked is None:
            del self._buffer[:-_MOST_BYTES]
            return
        read = self._read
        received = without_echo(read, bytes(self._buffer))
        reply = find_reply(read, received)
        if reply is not None:
            self._take(asked, reply)
        elif first_frame(received) is not None or len(received) > _MOST_BYTES:
            self._fail()
        else:
            self._stop()
            begun = received.startswith(good_header(read)) and len(received) < REPLY_CHARACTERS + read.size
            if len(received) >= SHORTEST and not begun:
                self._timer = asyncio.get_running_loop().call_later(self._way.idle_s, self._fail)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._stop()
        if self._link.uses(self):
            words = f"line lost: {error}" if error else "connection closed by the serial server"
            self._link.broken(Failure(Gap.DISCONNECTED, words))

    def _when_silent(self) -> None:
        """Write the request once the line has been silent long enough."""
        if self.asked is None or self._transport is None:
            return
        wait_s = self._quiet_from - time.monotonic()
        if wait_s > _EARLY_S:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._when_silent)
            return
        self._timer = None
        self._buffer.clear()
        self._sent = True
        step, asked = self._way.step(self.asked.read.unit), self.asked.read
        self._read = read = step.next(asked)
        step.asked(read)
        self._transport.write(self.asked.request if read == asked else encode(read))

    def _take(self, asked: Exchange, reply: bytes | Failure) -> None:
        """Hand on the reply to the exchange; after one to what went before it, ask on."""
        read, header = self._read, good_header(self._read)
        refused = isinstance(reply, Failure)
        ago = self._way.step(read.unit).answered(bytes((header[0], header[1] | 0x80, 0)) if refused else header)
        if read == asked.read and (refused or ago == 0):
            self._done()
            if isinstance(reply, Failure):
                self._link.refused(asked, reply)
            else:
                self._link.answered(asked, reply)
            return
        self._tries += 1
        if self._tries > 2 * MOST_BEHIND:
            self._fail()
            return
        self._buffer.clear()
        self._stop()
        self._sent = False
        self._link.renew(asked)
        self._when_silent()

    def _pass_over(self, asked: Exchange | None) -> None:
        """Remove replies that are owed from what has come."""
        while (frame := first_frame(bytes(self._buffer))) is not None:
            if (asked and frame[0] == asked.read.unit) or not self._way.settle(frame):
                return
            del self._buffer[: len(frame)]
            self._link.rejected()

    def _fail(self) -> None:
        asked = self.asked
        assert asked is not None
        failure, behind = self._spoilt(asked)
        if behind and self._way.is_server:  # what a serial server holds back it forgets, as a rule, with the connection
            self._link.broken(failure)
            return
        self._done()
        self._link.rejected()
        self._link.refused(asked, failure)

    def _spoilt(self, asked: Exchange) -> tuple[Failure, bool]:
        """Return what is wrong with what has come, and whether it is the reply to an earlier request."""
        read = self._read
        received = without_echo(read, bytes(self._buffer))
        step, frame = self._way.step(read.unit), first_frame(received)
        if answered(read, received):
            step.answered(good_header(read))
            return malformed(read, received), False
        self._way.owe(read.unit)
        if frame is not None and frame[0] == read.unit and step.answered(frame[:3]):
            return Failure(Gap.MALFORMED, f"{asked.read}: {_BEHIND}"), True
        return malformed(read, received), False

    def _done(self) -> None:
        self.asked = None
        self._buffer.clear()
        self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
