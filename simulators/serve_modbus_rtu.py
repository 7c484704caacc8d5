"""Register images enter, answers to Modbus RTU reads leave: the units of one line, on a serial port or over TCP.

A line carries one frame at a time; with `paced` each takes as long as it would at the line's speed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from config.protocols.serial import Serial
from simulators.line_ends import HangUp, PortEnd, TcpEnd, Write
from simulators.serve_modbus import Bank, Unit

_SHORTEST: Final = 4
_FIXED: Final = {**dict.fromkeys(range(1, 7), 8), 22: 10}  # bytes of a request by function code
_COUNTED: Final = {15: (6, 9), 16: (6, 9), 23: (10, 13), 20: (2, 5), 21: (2, 5)}  # (where a byte count stands, rest)
_MOST_HELD: Final = 512


def _crc(data: bytes) -> bytes:
    """Return the CRC-16 of Modbus over Serial Line V1.02 §6.2.2, bit by bit, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


class RtuLine(Bank):
    """The units of one line. A unit that does not exist says nothing, nor does anyone to a broadcast."""

    def __init__(
        self,
        line: Serial | None = None,
        units: Mapping[int, Unit] | None = None,
        *,
        paced: bool = False,
        turnaround_s: float = 0.0,
    ) -> None:
        super().__init__(units)
        self.line = line or Serial()
        self.turnaround_s = turnaround_s
        self._character_s = self.line.bits_per_character / self.line.baudrate if paced else 0.0
        self._free_at = 0.0  # when the line has carried all that is on it [loop time, s]

    def take(self, held: bytearray, write: Write, hang_up: HangUp) -> None:
        """Answer the requests in `held` and remove them; what comes before and between them is noise."""
        while len(held) >= _SHORTEST:
            size = _request_size(held)
            if size > len(held):
                break
            if _crc(bytes(held[: size - 2])) == held[size - 2 : size]:
                frame = bytes(held[:size])
                del held[:size]
                self._answer(frame, write, hang_up)
            else:
                del held[:1]
        del held[:-_MOST_HELD]

    def _answer(self, request: bytes, write: Write, hang_up: HangUp) -> None:
        number, function = request[0], request[1]
        unit = self.units.get(number)
        pdu = self.pdu(unit, number, function, request[2:-2])
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time()) + len(request) * self._character_s
        link = unit.link if unit else None
        if unit is None or (link and link.drop == "silent"):
            return
        if link and link.drop == "close":
            hang_up()
            return
        if link and link.exception:
            pdu = bytes((function | 0x80, link.exception))
        frame = bytes((number,)) + pdu
        frame += _crc(frame)
        if link and link.garbage:
            frame = link.garbage
        lag_s = link.lag_s if link else 0.0
        self._free_at += self.turnaround_s + len(frame) * self._character_s
        loop.call_at(self._free_at + lag_s, write, frame)


def _request_size(held: bytearray) -> int:
    """Return how long the request is that `held` begins with; of an unknown function all there is."""
    function = held[1]
    if function in _COUNTED:
        at, rest = _COUNTED[function]
        return rest + held[at] if len(held) > at else len(held) + 1
    return _FIXED.get(function, len(held))


class RtuServer(RtuLine, TcpEnd):
    """A line behind a serial server that passes bytes on over TCP."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        line: Serial | None = None,
        units: Mapping[int, Unit] | None = None,
        *,
        paced: bool = False,
        turnaround_s: float = 0.0,
    ) -> None:
        RtuLine.__init__(self, line, units, paced=paced, turnaround_s=turnaround_s)
        TcpEnd.__init__(self, host, port)


class RtuPort(RtuLine, PortEnd):
    """A line on a serial port."""

    def __init__(
        self,
        line: Serial,
        units: Mapping[int, Unit] | None = None,
        *,
        paced: bool = False,
        turnaround_s: float = 0.0,
    ) -> None:
        RtuLine.__init__(self, line, units, paced=paced, turnaround_s=turnaround_s)
        PortEnd.__init__(self, line)
