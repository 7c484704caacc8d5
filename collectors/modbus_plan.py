"""Points of a Modbus unit in; the few blocks to read and the stacked decoder of each block out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from collectors.modbus_frames import BITS, Read
from config.protocols.modbus import ModbusDefaults, ModbusPoint, RegisterType, Table
from pipeline.batch import Qualities, Values
from pipeline.quality import BAD, RANGE

Order = Literal["big", "little"]
Raw = npt.NDArray[np.uint8]

_DTYPE: Final[dict[str, str]] = {
    "int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4", "int64": "<i8", "uint64": "<u8",
    "float32": "<f4", "float64": "<f8", "bool": "<u2", "bcd16": "<u2", "bcd32": "<u4", "bcd64": "<u8",
}  # fmt: skip


class Place(NamedTuple):
    """Where and how one value stands in a unit, defaults resolved; equal places decode alike."""

    table: Table
    address: int
    registers: int
    type: RegisterType
    word_order: Order
    byte_order: Order
    bit: int | None
    not_available: tuple[int, ...]

    @property
    def end(self) -> int:
        return self.address + self.registers


def place(point: ModbusPoint, defaults: ModbusDefaults) -> Place:
    """Return a point's place with what its template shares filled in."""
    return Place(
        point.table or defaults.table,
        point.address,
        point.registers,
        point.type,
        point.word_order or defaults.word_order,
        point.byte_order or defaults.byte_order,
        point.bit,
        point.not_available,
    )


@dataclass(frozen=True, slots=True)
class Gather:
    """Values of one type in a block: index int[m, width] puts their bytes in little-endian order, side by side."""

    type: str  # a RegisterType, or "bit"
    columns: slice
    index: npt.NDArray[np.intp]
    shift: npt.NDArray[np.uint8]  # of bits
    not_available: tuple[tuple[int, int], ...]  # (column within the group, raw value)

    def decode(self, raw: Raw) -> Values:
        """Return float64[n, m] of raw uint8[n, bytes]; NaN where there is no value."""
        cells = np.take(raw, self.index, axis=1)
        if self.type == "bit":
            return ((cells[:, :, 0] >> self.shift) & 1).astype(np.float64)
        numbers = cells.view(_DTYPE[self.type])[:, :, 0]
        if self.type.startswith("bcd"):
            values = _from_bcd(cells)
        else:
            values = (numbers != 0 if self.type == "bool" else numbers).astype(np.float64)
        if self.not_available:
            bits = numbers.view(f"<u{numbers.itemsize}")
            for column, absent in self.not_available:
                values[bits[:, column] == absent, column] = np.nan
        return values


@dataclass(frozen=True, slots=True)
class Block:
    """One read and its decoder; `points` are positions in the plan's places, in the order of decoded columns."""

    table: Table
    address: int
    count: int
    points: tuple[int, ...]
    gathers: tuple[Gather, ...]

    def read(self, unit: int) -> Read:
        return Read(unit, self.table, self.address, self.count)

    def decode(self, raw: Raw) -> tuple[Values, Qualities]:
        """Return (values float64[n, m], quality uint16[n, m]) of n replies, raw uint8[n, bytes].

        What is not a finite number (float NaN or infinity, a digit above 9, a declared "not available") is NaN.
        """
        if len(self.gathers) == 1:
            values = self.gathers[0].decode(raw)
        else:
            values = np.empty((len(raw), len(self.points)))
            for gather in self.gathers:
                values[:, gather.columns] = gather.decode(raw)
        quality = np.zeros(values.shape, np.uint16)
        absent = ~np.isfinite(values)
        if absent.any():
            values[absent] = np.nan
            quality[absent] = BAD | RANGE
        return values, quality


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is read of a unit: `blocks` every cycle; `identity` (strings) when the unit is met."""

    blocks: tuple[Block, ...]
    identity: tuple[Block, ...]


def compile_plan(places: Sequence[Place], max_registers: int = 125, max_gap: int = 16) -> Plan:
    """Return the plan of a unit's places: as few reads as limit and gap allow, no value split.

    A register costs as much as 16 bits, so both limits count 16-fold for coils and discrete inputs.
    Raises ValueError for a value wider than one read.
    """
    for spot in places:
        if spot.registers > max_registers:
            raise ValueError(
                f"the {spot.type} at {spot.table} {spot.address} needs {spot.registers} registers in one read, "
                f"but max_registers is {max_registers}"
            )
    numbers = [i for i, p in enumerate(places) if p.type != "string"]
    texts = [i for i, p in enumerate(places) if p.type == "string"]
    return Plan(
        tuple(_block(places, run) for run in _runs(places, numbers, max_registers, max_gap)),
        tuple(_block(places, [i], text=True) for i in texts),
    )


def decode_text(data: bytes, byte_order: Order) -> str:
    """Return the characters of a string's registers up to the first NUL, without blanks around them."""
    if byte_order == "little":
        data = b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))
    return data.split(b"\0", 1)[0].decode("utf-8", "replace").strip()


def _runs(places: Sequence[Place], chosen: Iterable[int], limit: int, gap: int) -> Iterable[list[int]]:
    ordered = sorted(chosen, key=lambda i: (places[i].table, places[i].address, i))
    for table, group in groupby(ordered, key=lambda i: places[i].table):
        weight = 16 if table in BITS else 1
        run: list[int] = []
        start = end = 0
        for i in group:
            spot = places[i]
            if run and (spot.address - end > gap * weight or max(end, spot.end) - start > limit * weight):
                yield run
                run = []
            if not run:
                start = end = spot.address
            run.append(i)
            end = max(end, spot.end)
        yield run


def _block(places: Sequence[Place], run: Sequence[int], *, text: bool = False) -> Block:
    start = places[run[0]].address
    count = max(places[i].end for i in run) - start
    if text:
        return Block(places[run[0]].table, start, count, tuple(run), ())
    ordered = sorted(run, key=lambda i: _group(places[i]))
    gathers: list[Gather] = []
    column = 0
    for kind, group in groupby(ordered, key=lambda i: _group(places[i])):
        members = [places[i] for i in group]
        gathers.append(_gather(kind, members, start, column))
        column += len(members)
    return Block(places[run[0]].table, start, count, tuple(ordered), tuple(gathers))


def _group(spot: Place) -> str:
    return "bit" if spot.bit is not None or spot.table in BITS else spot.type


def _gather(kind: str, members: Sequence[Place], start: int, column: int) -> Gather:
    if kind == "bit":
        spots = [_bit(p, start) for p in members]
        index, shift = [[byte] for byte, _ in spots], [bit for _, bit in spots]
    else:
        index, shift = [_bytes(p, start) for p in members], []
    mask = (1 << 8 * len(index[0])) - 1
    absent = () if kind == "bit" else tuple((i, raw & mask) for i, p in enumerate(members) for raw in p.not_available)
    columns = slice(column, column + len(members))
    return Gather(kind, columns, np.array(index, np.intp), np.array(shift, np.uint8), absent)


def _bytes(spot: Place, start: int) -> list[int]:
    """Return where a value's bytes stand in the block's data, least significant first."""
    registers = range(spot.address - start, spot.end - start)
    most_first = registers if spot.word_order == "big" else reversed(registers)
    pair = (0, 1) if spot.byte_order == "big" else (1, 0)
    return [2 * register + byte for register in most_first for byte in pair][::-1]


def _bit(spot: Place, start: int) -> tuple[int, int]:
    """Return (byte, bit) of a single bit in the block's data."""
    if spot.table in BITS:
        return divmod(spot.address - start, 8)
    high, bit = divmod(spot.bit or 0, 8)
    return _bytes(spot, start)[high], bit


def _from_bcd(cells: Raw) -> Values:
    """Return the numbers in packed decimal uint8[n, m, width], least significant byte first; NaN if not decimal."""
    low, high = cells & 0x0F, cells >> 4
    weights = 100 ** np.arange(cells.shape[2], dtype=np.int64)
    values = (low * weights).sum(axis=2) + (high * (10 * weights)).sum(axis=2)
    decimal = (low <= 9).all(axis=2) & (high <= 9).all(axis=2)
    return np.where(decimal, values.astype(np.float64), np.nan)
