"""Modbus TCP on the wire: a block to read in, request bytes out; reply bytes in, the block's data or a failure out.

Frame layout and exception codes: Modbus Messaging on TCP/IP Implementation Guide V1.0b §3.1.3 and Modbus
Application Protocol V1.1b3 §6.1–6.4, §7. Only the four reading functions exist here, so nothing can be written.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from config.protocols.modbus import Table
from pipeline.gaps import Gap

_FUNCTION: Final[dict[Table, int]] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
ADDRESSES: Final = 65_536  # registers or bits in a table
BITS: Final[frozenset[Table]] = frozenset({"coil", "discrete"})
_MOST: Final = {True: 2_000, False: 125}  # bits or registers one request may ask for
_HEADER: Final = struct.Struct(">HHHB")
_LONGEST: Final = 254  # unit and PDU

EXCEPTIONS: Final = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}


class Failure(NamedTuple):
    """Why a block has no data: the cause for the gap row and a sentence for people."""

    cause: Gap
    words: str
    code: int = 0  # of the exception a device answered with


class Malformed(Exception):
    """The bytes are not Modbus TCP; nothing after them can be trusted."""


class Read(NamedTuple):
    """One block of one table of a unit; `length` in registers, or in bits for coils and discrete inputs."""

    unit: int
    table: Table
    address: int
    length: int

    @property
    def size(self) -> int:
        """Bytes of data in a good reply."""
        return (self.length + 7) // 8 if self.table in BITS else 2 * self.length

    def __str__(self) -> str:
        return f"{self.table} {self.address}–{self.address + self.length - 1}"


def encode(read: Read) -> bytes:
    """Return the request after its transaction id (10 bytes); ValueError for what no device could answer."""
    most = _MOST[read.table in BITS]
    if not (0 <= read.unit <= 255 and 1 <= read.length <= most and 0 <= read.address <= ADDRESSES - read.length):
        raise ValueError(f"cannot ask unit {read.unit} for {read}: 1 to {most} values within 0–65535")
    return struct.pack(">HHBBHH", 0, 6, read.unit, _FUNCTION[read.table], read.address, read.length)


def good_header(read: Read) -> bytes:
    """Return what stands between transaction id and data in a good reply (7 bytes)."""
    return struct.pack(">HHBBB", 0, 3 + read.size, read.unit, _FUNCTION[read.table], read.size)


def take_frame(buffer: bytearray) -> bytes | None:
    """Remove and return the first whole frame; None while it is incomplete; Malformed when it is no frame."""
    if len(buffer) < _HEADER.size:
        return None
    _, protocol, length, _ = _HEADER.unpack_from(buffer)
    if protocol != 0:
        raise Malformed(f"protocol id {protocol} instead of 0: not Modbus TCP")
    if not 2 <= length <= _LONGEST:
        raise Malformed(f"frame length {length}: 2 to {_LONGEST} is possible")
    if len(buffer) < 6 + length:
        return None
    frame = bytes(buffer[: 6 + length])
    del buffer[: 6 + length]
    return frame


def read_reply(read: Read, frame: bytes) -> bytes | Failure:
    """Return the data of a reply with the right transaction id, or why there is none."""
    unit, function, body = frame[6], frame[7], frame[8:]
    asked = _FUNCTION[read.table]
    if unit != read.unit:
        return Failure(Gap.MALFORMED, f"{read}: unit {unit} answered instead of {read.unit}")
    if function == asked | 0x80 and len(body) == 1:
        return _refused(read, body[0])
    if function != asked:
        return Failure(Gap.MALFORMED, f"{read}: answer to function {function} instead of {asked}")
    if len(body) != 1 + read.size or body[0] != read.size:
        said = f"{body[0]} announced" if body else "none announced"
        words = f"{read}: {max(0, len(body) - 1)} bytes of data ({said}) instead of {read.size}"
        return Failure(Gap.MALFORMED, words)
    return body[1:]


def _refused(read: Read, code: int) -> Failure:
    # Code 11: a gateway has waited for the unit in vain; to us that is the unit's timeout, not its answer.
    cause = Gap.TIMEOUT if code == 11 else Gap.EXCEPTION
    return Failure(cause, f"{read}: exception {code} ({EXCEPTIONS.get(code, 'unknown code')})", code)
