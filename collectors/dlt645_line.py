"""A line with meters: data items to ask in, their data or why there is none out; one exchange at a time.

It never writes to a meter: all it sends is made by the three encoders of dlt645_frames.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, cast

from collectors.dlt645_frames import (
    ANY_METER,
    AROUND,
    MOST_DATA,
    WAKE,
    Code,
    Reassembler,
    Reply,
    address_request,
    error_words,
    follow_request,
    meter_digits,
    read_request,
)
from collectors.line_rest import OPEN_S, backoff_s
from collectors.reaching import why_not
from collectors.serial_line import connect_line, open_line
from config.protocols.dlt645 import Dlt645Connection
from pipeline.counters import Counters
from pipeline.gaps import Gap

# Silence between an answer and the next request, and the longest pause inside an answer (DL/T 645-2007 §5.3.3: 500 ms).
PAUSE_S: Final = 0.03
_INSIDE_S: Final = 0.6
_GRACE_S: Final = 0.01  # bytes that lie ready after the gateway itself was held up are read before they are late
_MOST_FOLLOWS: Final = 16  # frames one answer may go on for
_PATIENCE: Final = 3.0  # deadlines all of them together may take, beside their time on the line
# A meter may take this long to begin its answer (DL/T 645-2007 §5.3.3).
_BEGIN_S: Final = 0.5
# After this many requests in a row without a single byte in return, a connection over TCP is doubted.
_SILENT: Final = 2
# Bytes that may come beside what the line itself can bring, and how much faster than configured it may be.
_SPARE: Final = 65_536
_FASTER: Final = 8


class Failed(Exception):
    """An exchange brought nothing: the gap's cause, and words for a person."""

    def __init__(self, cause: Gap, words: str) -> None:
        super().__init__(words)
        self.cause = cause
        self.words = words


class _Wire(asyncio.Protocol):
    """One connection; what a former one still brings is not heard."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting from it

    def data_received(self, data: bytes) -> None:
        if self._line.uses(self):
            self._line.received(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._line.uses(self):
            self._line.lost(error)


class Line:
    """A serial port of this machine (`host` empty) or a line behind a serial server, opened when needed."""

    def __init__(self, host: str, port: int, manners: Dlt645Connection, counters: Counters) -> None:
        self.name = f"{host}:{port}" if host else str(manners.serial.port)
        self.backoff_max_s = manners.backoff_max_s
        self.took_s = 0.0  # by the last data item, from its requests until the answers [s]
        self.slow_s = 0.0  # of it, what the meter took beyond the time on the line and what the standard gives it [s]
        self._at = (host, port)
        self._manners = manners
        self._counters = counters
        self._wake = bytes((WAKE,)) * manners.preamble
        self._byte_s = manners.serial.bits_per_character / manners.serial.baudrate
        self.deadline_s = manners.timeout_s + self._byte_s * (manners.preamble + AROUND)
        self._wire: _Wire | None = None
        self._frames = Reassembler()
        self._asked: tuple[bytes, Code, bytes] | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._raw = bytearray()  # all that came since the request
        self._strange = 0  # bytes of it that were replies to something else
        self._late_s = 0.0  # when the answer is late, moved on by every byte up to `_last_s`
        self._last_s = 0.0
        self._heard_s = 0.0
        self._since_s = 0.0  # when the bytes that came are counted from
        self._came = 0
        self._silent = 0
        self._failures = 0
        self._rest_until = 0.0
        self._failure = Failed(Gap.REFUSED, "")

    async def read(self, meter: bytes, identifier: bytes) -> bytes:
        """Return a data item without its identifier, with all that follows. Raises Failed."""
        self.took_s = self.slow_s = 0.0
        reply = await self._exchange(meter, Code.READ, identifier, read_request(meter, identifier))
        data = reply.data[4:]
        number = 0
        patience_s = _PATIENCE * self.deadline_s
        while reply.more:
            number += 1
            patience_s += self._on_line_s(reply)
            if number > _MOST_FOLLOWS:
                raise Failed(Gap.MALFORMED, f"the answer goes on for more than {_MOST_FOLLOWS} frames")
            if self.took_s > patience_s:
                raise Failed(Gap.MALFORMED, f"the answer goes on for more than {self.took_s:.1f} s")
            reply = await self._exchange(meter, Code.FOLLOW, identifier, follow_request(meter, identifier, number))
            if reply.data[-1] != number or len(reply.data) < 5:
                raise Failed(Gap.MALFORMED, f"frame {number} of the answer was asked for, another came")
            data += reply.data[4:-1]
        return data

    async def address(self) -> str:
        """Return the 12 digits of the one meter on this line, which it need not be known by. Raises Failed."""
        reply = await self._exchange(ANY_METER, Code.ADDRESS, b"", address_request())
        if reply.data != reply.meter:
            raise Failed(Gap.MALFORMED, "several meters answered at once; connect one alone")
        return meter_digits(reply.meter)

    def close(self) -> None:
        """Close the connection; it is opened again when something is asked."""
        wire, self._wire = self._wire, None
        if wire is not None and wire.transport is not None:
            wire.transport.abort()

    def uses(self, wire: _Wire) -> bool:
        return self._wire is wire

    def received(self, data: bytes) -> None:
        """Take bytes as they come: the reply to what is asked now; all other replies are rejected and counted."""
        self._heard_s = now = time.monotonic()
        self._silent = 0
        self._came += len(data)
        if self._came > _SPARE + _FASTER * (now - self._since_s) / self._byte_s:
            self._flooded()
            return
        if self._answer is not None:
            self._late_s = min(max(self._late_s, now + _INSIDE_S), self._last_s)
            self._raw += data
        damaged = self._frames.damaged
        for reply in self._frames.feed(data):
            if self._answer is not None and self._asked is not None and reply.answers(*self._asked):
                self._answer.set_result(reply)
                self._answer = None
            else:
                self._strange += AROUND + len(reply.data)
                self._counters.rejected += 1
        self._counters.rejected += self._frames.damaged - damaged

    def _flooded(self) -> None:
        """No line brings so much: hang up before it costs more than it is worth."""
        self.close()
        self._counters.rejected += 1
        failure = self.rest(Failed(Gap.MALFORMED, "bytes come faster than the line can bring them"))
        if self._answer is not None:
            self._answer.set_exception(failure)
            self._answer = None

    def lost(self, error: Exception | None) -> None:
        """The connection is gone: what is asked fails, the next question opens a new one."""
        self._wire = None
        words = f"connection lost: {error}" if error else "connection closed by the other side"
        if self._answer is None:
            self.rest(Failed(Gap.REFUSED, words))
        else:
            self._answer.set_exception(Failed(Gap.DISCONNECTED, words))
            self._answer = None

    # ── one exchange ──────────────────────────────────────────────────────────────────────────────

    async def _exchange(self, meter: bytes, code: Code, identifier: bytes, request: bytes) -> Reply:
        if self._wire is None:
            await self._open()
        await asyncio.sleep(self._heard_s + PAUSE_S - time.monotonic())
        if self._wire is None or self._wire.transport is None:
            raise self._failure
        self._frames.clear()
        self._raw.clear()
        self._strange = 0
        self._silent += 1
        self._asked = meter, code, identifier
        self._answer = answer = asyncio.get_running_loop().create_future()
        asked_s = self._since_s = time.monotonic()
        self._came = 0
        sent = self._wake + request
        self._late_s = asked_s + self._byte_s * len(sent) + self._manners.timeout_s
        self._last_s = self._late_s + self._byte_s * (AROUND + MOST_DATA + 2 * len(sent))
        self._wire.transport.write(sent)
        try:
            await self._until_late(answer, sent)
        finally:
            self._answer = None
        reply: Reply = answer.result()
        took_s = time.monotonic() - asked_s
        self._counters.took(took_s)
        self.took_s += took_s
        self.slow_s += max(0.0, took_s - self._on_line_s(reply) - _BEGIN_S)
        self._failures = 0
        if reply.refused:
            raise Failed(Gap.EXCEPTION, error_words(reply.data[0]))
        return reply

    def _on_line_s(self, reply: Reply) -> float:
        """Return how long a request and this reply are on the line, wake-up bytes before both [s]."""
        return self._byte_s * (2 * len(self._wake) + 3 * AROUND + len(reply.data))

    async def _until_late(self, answer: asyncio.Future[Reply], sent: bytes) -> None:
        """Return when there is an answer; raises Failed when it is late, with what came in its place."""
        while not answer.done():
            left = self._late_s - time.monotonic()
            if left > 0:
                await asyncio.wait([answer], timeout=left)
                continue
            await asyncio.sleep(_GRACE_S)
            if not answer.done() and self._late_s <= time.monotonic():
                if self._silent >= _SILENT and self._at[0]:
                    self.close()
                raise self._nothing(sent)

    def _nothing(self, sent: bytes) -> Failed:
        """Return how nothing usable came: silence, one's own request, or bytes that are no reply."""
        raw = bytes(self._raw)
        others = raw.replace(sent, b"").replace(bytes((WAKE,)), b"")
        if len(others) > self._strange:
            return Failed(Gap.MALFORMED, f"{len(others) - self._strange} bytes came that are no reply")
        echoed = " but the echo of the request" if sent in raw else ""
        return Failed(Gap.TIMEOUT, f"no answer{echoed} within {self._manners.timeout_s:g} s")

    # ── opening ───────────────────────────────────────────────────────────────────────────────────

    async def _open(self) -> None:
        """Open the connection, or raise Failed: it cannot be opened, or rests since the last attempt."""
        if time.monotonic() < self._rest_until:
            raise self._failure
        host, port = self._at
        wire = _Wire(self)
        try:
            async with asyncio.timeout(max(self._manners.timeout_s, OPEN_S)):
                await (
                    connect_line(host, port, lambda: wire) if host else open_line(self._manners.serial, lambda: wire)
                )
        except TimeoutError:
            raise self.rest(Failed(Gap.REFUSED, f"no connection to {self.name} in time")) from None
        except (OSError, UnicodeError) as error:
            words = f"no connection to {self.name}: {why_not(error)}" if host else str(error)
            raise self.rest(Failed(Gap.REFUSED, words)) from None
        self._wire = wire
        self._silent = self._came = 0
        self._since_s = time.monotonic()

    def rest(self, failure: Failed) -> Failed:
        """Leave the line alone for a while, longer each time nothing has been answered since; return the failure."""
        self._failure = failure
        self._failures += 1
        self._rest_until = time.monotonic() + backoff_s(self._failures, self.backoff_max_s)
        return failure
