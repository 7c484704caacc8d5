"""The words of a block as a device sent them → every number they could mean: for whoever commissions a point.

A manual that counts from one, a float whose words stand the other way round: beside each other the right one is seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple, get_args

import numpy as np

from collectors.modbus_frames import BITS, Read
from collectors.modbus_plan import Place, compile_plan
from config.protocols.modbus import REGISTERS, Order, RegisterType

_MOST: Final = 2_000  # registers or bits of one block
_OFFSETS: Final = (0, -1, 1)
_TIMES: Final = tuple(t for t in get_args(RegisterType) if t.startswith("time_"))
_NUMBERS: Final = tuple(t for t in get_args(RegisterType) if t not in ("string", "bool", *_TIMES))


class Heard(NamedTuple):
    """The last answer to one block: what was asked, the bytes that came, when [ns UTC], how long it took [s]."""

    read: Read
    data: bytes
    at_ns: int
    took_s: float = math.nan


class Reading(NamedTuple):
    """One way to read a place: `order` names its bytes as they come, most significant first, e.g. CDAB."""

    type: RegisterType
    word_order: Order
    byte_order: Order
    order: str
    offset: int  # from the configured address
    bit: int | None
    # As it stands there, before the point's own scale; multiplied already by the registers that scale it, where these
    # are in the block. A clock's is by how much it is ahead [s]. NaN for what is no number.
    value: float


def words(heard: Heard) -> list[str]:
    """Return the registers of a block as they came, or its bits, one by one."""
    if heard.read.table in BITS:
        return [str(heard.data[n // 8] >> n % 8 & 1) for n in range(heard.read.length)]
    return [f"0x{heard.data[at : at + 2].hex()}" for at in range(0, len(heard.data), 2)]


def raw_of(heard: Heard, spot: Place) -> bytes | None:
    """Return the bytes of a place in a block of registers as they came; None where it is not in it."""
    if heard.read.table != spot.table or not _fits(heard.read, spot.address, spot.registers) or spot.table in BITS:
        return None
    at = 2 * (spot.address - heard.read.address)
    return heard.data[at : at + 2 * spot.registers]


def holds(heard: Heard, spot: Place) -> bool:
    """Return whether a place is in a block."""
    return heard.read.table == spot.table and _fits(heard.read, spot.address, spot.registers)


def readings(heard: Heard, spot: Place) -> list[Reading]:
    """Return every type and order of bytes at a place and one address to either side, as far as the block goes.

    Of a clock these are the layouts of clocks, of anything else the numbers. A sign in the top bit is one to think of
    only where that bit is set: without it the number is the unsigned one.
    """
    spots = [place for place in (_within(heard, v) for v in _variants(spot)) if place is not None]
    if not spots:
        return []
    found: list[Reading] = []
    at_ns = np.array([heard.at_ns], np.int64)
    for block in compile_plan(spots, _MOST, _MOST).blocks:
        with np.errstate(invalid="ignore"):  # any bytes are tried as a float
            values, _ = block.decode(_raw(heard, block.address, block.count), at_ns)
        for column, index in enumerate(block.points):
            at, value = spots[index], float(values[0, column])
            if at.type.startswith("sm") and at.type != spot.type and not math.copysign(1.0, value) < 0:
                continue
            offset, order = at.address - spot.address, _order(at)
            found.append(Reading(at.type, at.word_order, at.byte_order, order, offset, at.bit, value))
    return sorted(found, key=lambda r: (_OFFSETS.index(r.offset), REGISTERS[r.type], r.type, r.order, r.bit or 0))


def is_configured(reading: Reading, spot: Place) -> bool:
    """Return whether a reading is the one a place is read by."""
    at = (reading.type, reading.offset, reading.order, reading.bit)
    return at == (spot.type, 0, _order(spot), spot.bit)


def _fits(read: Read, address: int, registers: int) -> bool:
    return read.address <= address and address + registers <= read.address + read.length


def _within(heard: Heard, spot: Place) -> Place | None:
    """Return a place that is in a block, without what scales it where that is not; None where the place is not."""
    if not holds(heard, spot):
        return None
    return spot if _fits(heard.read, spot.first, spot.last - spot.first) else spot._replace(scales=())


def _variants(spot: Place) -> Iterator[Place]:
    """Yield a place read in other ways; what scales it moves along with it: a manual miscounts all its addresses."""
    for offset in _OFFSETS:
        scales = tuple(s._replace(spot=s.spot._replace(address=s.spot.address + offset)) for s in spot.scales)
        at = spot._replace(address=spot.address + offset, not_available=(), scales=scales)
        if spot.table in BITS or spot.type == "string":
            yield from [at] if spot.table in BITS else []
            continue
        for kind in _TIMES if spot.type in _TIMES else _NUMBERS:
            registers = REGISTERS[kind]
            form = at.form if kind == spot.type else None
            for words_first in ("big", "little") if registers > 1 else ("big",):
                for bytes_first in ("big", "little"):
                    other = at._replace(registers=registers, type=kind, bit=None, form=form)
                    yield other._replace(word_order=words_first, byte_order=bytes_first)
        if spot.type == "bool":
            bits = (None, *range(16)) if offset == 0 else (spot.bit,)
            yield from (at._replace(bit=bit) for bit in bits)


def _raw(heard: Heard, address: int, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    first = address - heard.read.address
    if heard.read.table in BITS:  # packed from the block's first bit on: brought to begin with the one asked for
        bits = np.unpackbits(np.frombuffer(heard.data, np.uint8), bitorder="little")[first : first + count]
        return np.packbits(bits, bitorder="little").reshape(1, -1)
    return np.frombuffer(heard.data[2 * first : 2 * (first + count)], np.uint8).reshape(1, -1)


def _order(spot: Place) -> str:
    """Return the letters of a place's bytes in the order of their weight: AB is a register as the standard sends it."""
    registers = range(spot.registers)
    pair = (0, 1) if spot.byte_order == "big" else (1, 0)
    most_first = registers if spot.word_order == "big" or spot.registers == 1 else reversed(registers)
    return "".join(chr(ord("A") + 2 * register + byte) for register in most_first for byte in pair)
