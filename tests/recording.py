"""Everything sent to a server of the suite → what was asked of it: a recorder in front of every simulator.

No test may make the gateway write: each connection to a server opened on the test's event loop, each connection made
on it and each simulated serial port is read along and taken apart by its protocol, by other code than the gateway's.
Mosquitto, a process of its own, tells by its log.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

READS: Final = frozenset({1, 2, 3, 4})  # Modbus function codes
# Requests that change nothing on an OPC UA server but its sessions and subscriptions, by their binary encoding ids.
SERVICES: Final = {
    422: "FindServers", 428: "GetEndpoints", 461: "CreateSession", 467: "ActivateSession", 473: "CloseSession",
    527: "Browse", 533: "BrowseNext", 554: "TranslateBrowsePaths", 631: "Read", 664: "HistoryRead",
    751: "CreateMonitoredItems", 763: "ModifyMonitoredItems", 769: "SetMonitoringMode", 781: "DeleteMonitoredItems",
    787: "CreateSubscription", 793: "ModifySubscription", 799: "SetPublishingMode", 826: "Publish", 832: "Republish",
    847: "DeleteSubscriptions",
}  # fmt: skip
METER_READS: Final = frozenset({0x11, 0x12, 0x13})  # DL/T 645-2007 control codes
GATEWAY: Final = "tanflow"  # how the gateway's MQTT clients are called
_LONGEST: Final = 1 << 20  # of a stream nobody can read, that is kept


class Judge(Protocol):
    """Takes a stream apart: `judge(buffer)` removes whole messages and yields (what, whether it only reads)."""

    def __call__(self, buffer: bytearray) -> Iterator[tuple[str, bool]]: ...


class Recorder:
    """What was asked of all servers of one test."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.forbidden: list[str] = []
        self._streams: list[Stream] = []

    def note(self, what: str, reads: bool) -> None:
        """Count one message."""
        self.asked[what] += 1
        if not reads:
            self.forbidden.append(what)

    def stream(self, *, counted: bool = True) -> Stream:
        """Return what takes the bytes of one more client."""
        self._streams.append(Stream(self, counted=counted))
        return self._streams[-1]

    def close(self) -> None:
        """Judge what was left because it was short."""
        for stream in self._streams:
            stream.end()

    def tap(self, protocol: asyncio.BaseProtocol) -> asyncio.BaseProtocol:
        """Read along with a server's side of a connection."""
        stream, take = self.stream(), getattr(protocol, "data_received", None)
        if take is not None:

            def data_received(data: bytes) -> None:
                stream.feed(data)
                take(data)

            try:
                protocol.data_received = data_received  # type: ignore[attr-defined]
            except AttributeError:  # of slots: it cannot be read along
                self.note(f"unheard: {type(protocol).__name__}", False)
        return protocol


class Stream:
    """What one client sends: its protocol is known by how it begins, and what begins like none fails the test."""

    def __init__(self, recorder: Recorder, *, counted: bool = True) -> None:
        self._recorder = recorder
        self._counted = counted
        self._buffer = bytearray()
        self._judge: Judge | None = None
        self._over = False

    def feed(self, data: bytes) -> None:
        """Take what is sent next."""
        if self._over:
            return
        self._buffer += data
        if self._judge is None and len(self._buffer) >= _ENOUGH:
            self._judge = _judge_of(bytes(self._buffer))
        self._take()
        if len(self._buffer) > _LONGEST:
            self._over = True
            self._recorder.note("a message of more than 1 MiB", False)

    def end(self) -> None:
        """Take what stands there alone: no more comes."""
        if self._judge is None and len(self._buffer) >= _SHORTEST:
            self._judge = _judge_of(bytes(self._buffer))
        self._take()

    def _take(self) -> None:
        if self._judge is not None:
            for what, reads in self._judge(self._buffer):
                if self._counted or not reads:
                    self._recorder.note(what, reads)


_ENOUGH: Final = 12  # bytes by which every protocol is known
_SHORTEST: Final = 8  # a request of Modbus RTU, which may be all there is
_ELSE: Final = re.compile(  # what the suite's other servers are told: HTTP, TLS, SMTP, NATS, serial servers' own tests
    rb"GET |POST |PUT |HEAD |DELETE |OPTIONS |PATCH |TRACE |CONNECT |PRI |EHLO|HELO|\x16\x03", re.IGNORECASE
)


def _judge_of(begin: bytes) -> Judge:
    if begin[:3] == b"HEL":
        return _Opcua()
    if begin[0] == 0x10 and b"\0\4MQTT" in begin[2:12]:
        return _Mqtt()
    if begin[0] in (0xFE, 0x68):
        return meter_requests
    if begin[2:4] == b"\0\0" and begin[4] == 0 and 6 <= begin[5] <= 254 and crc16(begin[:6]) != begin[6:8]:
        return tcp_requests
    if _ELSE.match(begin):
        return _other
    return rtu_requests


def _other(buffer: bytearray) -> Iterator[tuple[str, bool]]:
    """Nothing a device speaks."""
    buffer.clear()
    yield "nothing a device speaks", True


def tcp_requests(buffer: bytearray) -> Iterator[tuple[str, bool]]:
    """Modbus TCP: the function of each request."""
    while len(buffer) >= 8:
        end = 6 + struct.unpack_from(">H", buffer, 4)[0]
        if len(buffer) < end:
            return
        yield f"Modbus function {buffer[7]}", buffer[7] in READS
        del buffer[:end]


def rtu_requests(buffer: bytearray) -> Iterator[tuple[str, bool]]:
    """Modbus RTU: every reading request has eight bytes and its CRC; anything else is none."""
    while len(buffer) >= 8:
        yield f"Modbus function {buffer[1]}", buffer[1] in READS and crc16(bytes(buffer[:6])) == buffer[6:8]
        del buffer[:8]


def meter_requests(buffer: bytearray) -> Iterator[tuple[str, bool]]:
    """DL/T 645: the control code of each frame, behind its preamble."""
    while True:
        while buffer[:1] == b"\xfe":
            del buffer[:1]
        if len(buffer) < 10 or len(buffer) < 12 + buffer[9]:
            return
        yield f"DL/T 645 control code {buffer[8]:02X}H", buffer[8] in METER_READS
        del buffer[: 12 + buffer[9]]


class _Opcua:
    """OPC UA: the service of each message; what is encrypted is only counted, and its client's own test looks in."""

    def __init__(self) -> None:
        self._sealed = False

    def __call__(self, buffer: bytearray) -> Iterator[tuple[str, bool]]:
        while len(buffer) >= 8:
            size = struct.unpack_from("<I", buffer, 4)[0]
            if not 8 <= size <= _LONGEST or len(buffer) < size:
                return
            chunk = bytes(buffer[:size])
            del buffer[:size]
            if chunk[:3] == b"OPN":
                self._sealed = b"#None" not in chunk[:120]
            elif chunk[:3] == b"MSG":
                yield ("OPC UA, encrypted", True) if self._sealed else _service(chunk)


def _service(chunk: bytes) -> tuple[str, bool]:
    number = struct.unpack_from("<H", chunk, 26)[0] if chunk[24] == 1 else chunk[25]
    return f"OPC UA {SERVICES.get(number, f'service {number}')}", number in SERVICES


class _Mqtt:
    """MQTT: what a client of the gateway's publishes; devices are others."""

    def __init__(self) -> None:
        self._client = ""

    def __call__(self, buffer: bytearray) -> Iterator[tuple[str, bool]]:
        while (found := _packet(buffer)) is not None:
            kind, body = found
            if kind == 1:
                at = 10 if body[6] < 5 else 11 + body[10]
                self._client = _text(body, at)
            elif kind == 3 and self._client.startswith(GATEWAY):
                yield f"MQTT publish to {_text(body, 0)}", False


def _packet(buffer: bytearray) -> tuple[int, bytes] | None:
    """Remove and return (type, body) of the first whole packet."""
    size, at = 0, 1
    while True:
        if at >= len(buffer) or at > 4:
            return None
        size |= (buffer[at] & 0x7F) << 7 * (at - 1)
        at += 1
        if not buffer[at - 1] & 0x80:
            break
    if len(buffer) < at + size:
        return None
    kind, body = buffer[0] >> 4, bytes(buffer[at : at + size])
    del buffer[: at + size]
    return kind, body


def _text(body: bytes, at: int) -> str:
    return body[at + 2 : at + 2 + struct.unpack_from(">H", body, at)[0]].decode("utf-8", "replace")


_PUBLISHED: Final = re.compile(rf"Received PUBLISH from ({GATEWAY}\S*) \(d\d, q\d, r\d, m\d+, '([^']*)'")


def published(log: str) -> Iterator[str]:
    """Yield the topics the gateway's clients have published to, by Mosquitto's log."""
    yield from (match[2] for match in _PUBLISHED.finditer(log))


def crc16(data: bytes) -> bytes:
    """Return the CRC of Modbus RTU, low byte first (polynomial A001, begun at FFFF)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2, "little")


class _Told:
    """A client's transport; what is written to it is read along."""

    def __init__(self, transport: Any, stream: Stream) -> None:
        self._transport = transport
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._stream.feed(bytes(data))
        self._transport.write(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.write(b"".join(parts))


def sent(recorder: Recorder, create_connection: Callable[..., Any]) -> Callable[..., Any]:
    """Return what connects as `create_connection` does, with the recorder behind it: for servers of other processes."""

    async def connected(loop: Any, factory: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:
        def made() -> Any:
            protocol = factory()
            begin = protocol.connection_made
            stream = recorder.stream(counted=False)
            with contextlib.suppress(AttributeError):  # of slots
                protocol.connection_made = lambda transport: begin(_Told(transport, stream))
            return protocol

        return await create_connection(loop, made, *args, **kwargs)

    return connected


def recorded(recorder: Recorder, create_server: Callable[..., Any]) -> Callable[..., Any]:
    """Return what opens servers as `create_server` does, with the recorder in front of them."""

    async def opened(loop: Any, factory: Callable[[], asyncio.BaseProtocol], *args: Any, **kwargs: Any) -> Any:
        return await create_server(loop, lambda: recorder.tap(factory()), *args, **kwargs)

    return opened


def heard(recorder: Recorder, init: Callable[..., None]) -> Callable[..., None]:
    """Return what makes a simulated serial port as `init` does, read along."""

    def made(port: Any, line: Any, received: Callable[[bytes], object]) -> None:
        stream = recorder.stream()

        def told(data: bytes) -> None:
            stream.feed(data)
            received(data)

        init(port, line, told)

    return made
