"""Meters' data items enter, answers to DL/T 645-2007 requests leave, over TCP or on a serial port; never a write."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from config.protocols.serial import Serial
from simulators.faults import Link
from simulators.line_ends import PortEnd, TcpEnd

log = logging.getLogger("tanflow.simulators.dlt645")

# A request: start, address, start, command, length; its data, sum and end follow.
_HEAD: Final = re.compile(rb"\x68(.{6})\x68(.)(.)", re.DOTALL)
_READ, _FOLLOW, _ADDRESS = 0x11, 0x12, 0x13
_WRITES: Final = frozenset({0x08, *range(0x14, 0x1D)})  # set time, write, freeze, baud, password, clear, switch
_EVERYBODY: Final = b"\x99" * 6  # nobody answers
_PREAMBLE: Final = b"\xfe" * 4
_MOST: Final = 200
# Bits of the error byte (DL/T 645-2007 appendix D).
OTHER_ERROR, NO_DATA, NOT_PERMITTED = 1, 2, 4


class WriteAttempt(NamedTuple):
    """A request that would have changed a meter."""

    meter: str
    command: int
    data: bytes


class Meter:
    """One meter: `items` is its data by identifier, as it goes over the wire; `link` says how it answers.

    An answer longer than `most` bytes of data is given in several frames.
    """

    def __init__(self, digits: str, items: Mapping[str, bytes] | None = None, most: int = _MOST - 4) -> None:
        self.digits = digits
        self.address = bytes.fromhex(digits)[::-1]
        self.items: Mapping[str, bytes] = items or {}
        self.link: Link | None = None
        self.most = most

    def is_meant(self, address: bytes) -> bool:
        """Return whether a request is for this meter; AA stands for any two digits."""
        return all(asked in (own, 0xAA) for asked, own in zip(address, self.address, strict=True))

    def answer(self, command: int, data: bytes) -> bytes:
        """Return the frame that answers a request."""
        if self.link is not None and self.link.exception:
            return self.refusal(command, self.link.exception)
        if command == _ADDRESS:
            return self.frame(command | 0x80, self.address)
        if command not in (_READ, _FOLLOW):
            return self.refusal(command, NOT_PERMITTED if command in _WRITES else OTHER_ERROR)
        item = self.items.get(data[:4][::-1].hex().upper())
        number = data[4] if command == _FOLLOW and len(data) == 5 else 0
        if item is None or len(data) != (5 if command == _FOLLOW else 4) or number * self.most > len(item):
            return self.refusal(command, NO_DATA)
        part, rest = item[number * self.most :][: self.most], item[(number + 1) * self.most :]
        tail = bytes((number,)) if command == _FOLLOW else b""
        return self.frame(command | (0xA0 if rest else 0x80), data[:4] + part + tail)

    def refusal(self, command: int, error: int) -> bytes:
        return self.frame(command | 0xC0, bytes((error,)))

    def frame(self, control: int, data: bytes) -> bytes:
        body = b"\x68" + self.address + bytes((0x68, control, len(data))) + bytes((b + 0x33) & 0xFF for b in data)
        return _PREAMBLE + body + bytes((sum(body) & 0xFF, 0x16))


class Line:
    """The meters on one line. What would have been a write is kept in `write_attempts`; `requests` counts by meter."""

    def __init__(self) -> None:
        self.meters: dict[str, Meter] = {}
        self.requests: Counter[str] = Counter()
        self.write_attempts: deque[WriteAttempt] = deque(maxlen=10_000)

    def take(self, held: bytearray, write: Callable[[bytes], None], hang_up: Callable[[], None]) -> None:
        """Answer the requests in `held` and remove them; what comes before and between them is noise."""
        while head := _HEAD.search(held):
            end = head.end() + head[3][0] + 2
            if end > len(held):
                del held[: head.start()]
                return
            body, (total, last) = bytes(held[head.start() : end - 2]), held[end - 2 : end]
            if last != 0x16 or sum(body) & 0xFF != total:
                del held[: head.start() + 1]
                continue
            address, command = body[1:7], body[8]
            del held[:end]
            self._request(address, command, bytes((b - 0x33) & 0xFF for b in body[10:]), write, hang_up)

    def _request(
        self, address: bytes, command: int, data: bytes, write: Callable[[bytes], None], hang_up: Callable[[], None]
    ) -> None:
        digits = address[::-1].hex()
        self.requests[digits] += 1
        if command in _WRITES:
            self.write_attempts.append(WriteAttempt(digits, command, data))
            log.warning("write attempt on meter %s, command %02XH", digits, command)
        if address == _EVERYBODY:
            return
        for meter in self.meters.values():
            link = meter.link or Link()
            if not meter.is_meant(address) or link.drop == "silent":
                continue
            if link.drop == "close":
                hang_up()
            elif link.lag_s:
                asyncio.get_running_loop().call_later(link.lag_s, write, meter.answer(command, data))
            else:
                write(meter.answer(command, data))


class TcpLine(Line, TcpEnd):
    """A line of meters behind a serial server on one host and port."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        Line.__init__(self)
        TcpEnd.__init__(self, host, port)


class PortLine(Line, PortEnd):
    """A line of meters on a serial port."""

    def __init__(self, line: Serial) -> None:
        Line.__init__(self)
        PortEnd.__init__(self, line)
