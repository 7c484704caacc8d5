"""Readings by point name [canonical units] enter, the raw registers and coils of a Modbus unit leave."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from config.points import Point
from config.protocols.modbus import ModbusDefaults, ModbusPoint
from config.quantities import conversion

_STRUCTS: Final = {
    "int16": struct.Struct(">h"), "uint16": struct.Struct(">H"), "int32": struct.Struct(">i"),
    "uint32": struct.Struct(">I"), "int64": struct.Struct(">q"), "uint64": struct.Struct(">Q"),
    "float32": struct.Struct(">f"), "float64": struct.Struct(">d"),
}  # fmt: skip
_FLOAT32_MAX: Final = 3.4028234663852886e38


@dataclass(frozen=True, slots=True)
class Block:
    """The readable span of one table: registers as big-endian pairs of bytes, coils as one byte each."""

    first: int
    end: int  # one past the last address
    data: bytes


Image = Mapping[str, Block]  # by table name; replaced as a whole, so what one read shows is of one step


def raw_value(point: Point, value: float) -> float:
    """Return what a device shows for `value` [canonical]: raw of `canonical = unit(sign·scale·raw + offset)`."""
    scale, offset = conversion(point.unit, point.quantity)
    return ((value - offset) / scale - point.offset) / point.scale * point.sign


def modulus(point: Point) -> float:
    """Return where a counter begins again [canonical units]: by its digits or its register; 0 if it never does."""
    states = _states(point, point.modbus)
    return states * abs(point.scale) * conversion(point.unit, point.quantity)[0]


def _states(point: Point, place: ModbusPoint | None) -> int:
    """Return how many whole numbers a counter shows before it begins again; 0 for one that never does."""
    if point.effective_kind != "counter":
        return 0
    digits = int(10**point.digits) if point.digits else 0
    if place is None or not place.type.startswith(("bcd", "int", "uint")):
        return digits
    return min(digits or _span(place), _span(place))


def _span(place: ModbusPoint) -> int:
    return int(10 ** (4 * place.registers)) if place.type.startswith("bcd") else 1 << (16 * place.registers)


def number(point: Point) -> Callable[[float], float]:
    """Return the function reading [canonical] → number shown where there are no registers: a node or a message."""
    mul, add = _line(point)
    states = _states(point, None)
    return lambda value: (value * mul + add) % states if states else value * mul + add


def _line(point: Point) -> tuple[float, float]:
    scale, _ = conversion(point.unit, point.quantity)
    return point.sign / (scale * point.scale), raw_value(point, 0.0)


Encode = Callable[[float], bytes]


def _whole(point: Point, place: ModbusPoint) -> Callable[[float], int]:
    """Return the function raw → whole number the register holds: counters wrap, everything else stops at the end."""
    states, span = _states(point, place), _span(place)
    signed = place.type.startswith("int")
    low, high = (-span // 2, span // 2 - 1) if signed else (0, span - 1)
    # Where the maker names no raw value for "no value", the customary one: all ones, or the most negative number.
    absent = place.not_available[0] if place.not_available else low if signed else high

    def fold(number: int) -> int:
        return number - span if number > high else number

    def whole(raw: float) -> int:
        if not math.isfinite(raw):
            return fold(absent)
        number: int = round(raw)
        return fold(number % states) if states else min(max(number, low), high)

    return whole


def _encoder(point: Point, place: ModbusPoint) -> Encode:
    if place.type in ("float32", "float64"):
        return _float_encoder(_states(point, place), _STRUCTS[place.type], place.type == "float32")
    if place.type == "bool":
        return lambda raw: (raw == raw and round(raw) != 0).to_bytes(2, "big")
    whole = _whole(point, place)
    if place.type.startswith("bcd"):
        size = 2 * place.registers
        not_decimal = b"\xff" * size
        return lambda raw: bytes.fromhex(f"{whole(raw):0{2 * size}d}") if math.isfinite(raw) else not_decimal
    pack = _STRUCTS[place.type].pack
    return lambda raw: pack(whole(raw))


def _float_encoder(states: int, form: struct.Struct, single: bool) -> Encode:
    def encode(raw: float) -> bytes:
        shown = raw % states if states else raw
        return form.pack(math.copysign(math.inf, shown) if single and abs(shown) > _FLOAT32_MAX else shown)

    return encode


def arrange(data: bytes, byte_order: str, word_order: str) -> bytes:
    """Return big-endian `data` in the device's order of bytes within a register and of registers within a value."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if word_order == "little":
        words.reverse()
    if byte_order == "little":
        words = [word[::-1] for word in words]
    return b"".join(words)


@dataclass(frozen=True, slots=True)
class _Cell:
    """One point, compiled: raw = reading · mul + add, its bytes put at `at` of `table`."""

    name: str
    table: str
    at: int
    mul: float
    add: float
    encode: Encode
    orders: tuple[str, str] | None  # None: big-endian throughout
    bit: int | None


class RegisterMap:
    """The points of one device compiled once; `encode` makes the image of one step.

    A point the device has no reading for shows 0; strings show `text`. Addresses between the points read as 0,
    addresses outside the lowest and highest point of a table do not exist. Points that are not on Modbus are left out.
    """

    def __init__(self, points: Mapping[str, Point], defaults: ModbusDefaults | None = None, text: str = "") -> None:
        defaults = defaults or ModbusDefaults()
        places = {
            name: (point, place, place.table or defaults.table)
            for name, point in points.items()
            if (place := point.modbus) is not None
        }
        self.spans: dict[str, tuple[int, int]] = {}
        for _, place, table in places.values():
            first, end = self.spans.get(table, (65_536, 0))
            self.spans[table] = (min(first, place.address), max(end, place.address + place.registers))
        self._blank = {t: bytearray((end - first) * _width(t)) for t, (first, end) in self.spans.items()}
        self._cells: list[_Cell] = []
        for name, (point, place, table) in places.items():
            at = (place.address - self.spans[table][0]) * _width(table)
            orders = (place.byte_order or defaults.byte_order, place.word_order or defaults.word_order)
            if place.type == "string":
                size = 2 * place.registers
                data = text.encode("ascii", "replace")[:size].ljust(size, b"\0")
                self._blank[table][at : at + size] = arrange(data, orders[0], "big")
            else:
                self._cells.append(_compile(name, point, place, table, at, orders))

    def encode(self, readings: Mapping[str, float]) -> Image:
        """Return the image of `readings` [canonical units by point name]."""
        tables = {table: bytearray(blank) for table, blank in self._blank.items()}
        for cell in self._cells:
            reading = readings.get(cell.name)
            if reading is not None:
                _put(tables[cell.table], cell, cell.encode(reading * cell.mul + cell.add))
        return {t: Block(*self.spans[t], bytes(data)) for t, data in tables.items()}


def _width(table: str) -> int:
    return 1 if table in ("coil", "discrete") else 2


def _compile(name: str, point: Point, place: ModbusPoint, table: str, at: int, orders: tuple[str, str]) -> _Cell:
    mul, add = _line(point)
    plain = orders == ("big", "big") or _width(table) == 1
    return _Cell(name, table, at, mul, add, _encoder(point, place), None if plain else orders, place.bit)


def _put(data: bytearray, cell: _Cell, value: bytes) -> None:
    if cell.bit is not None:
        if value[-1]:
            number = 1 << cell.bit
            pair = arrange(number.to_bytes(2, "big"), *cell.orders) if cell.orders else number.to_bytes(2, "big")
            data[cell.at] |= pair[0]
            data[cell.at + 1] |= pair[1]
        return
    if _width(cell.table) == 1:
        data[cell.at] = value[-1]
        return
    data[cell.at : cell.at + len(value)] = arrange(value, *cell.orders) if cell.orders else value
