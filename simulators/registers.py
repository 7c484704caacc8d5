"""Readings by point name [canonical units] enter, the raw registers and coils of a Modbus unit leave."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from config.points import Point
from config.protocols.modbus import ModbusDefaults, ModbusPoint, ModbusScale, absent_values
from config.quantities import conversion
from simulators.register_encoders import Encode, encoder, formed, limits, scale_encoder, states
from simulators.register_scales import Dials, User


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
    shown = float(states(point, point.modbus))
    if point.dlt645 and point.effective_kind == "counter" and not point.digits:
        shown = point.dlt645.counts_to
    return shown * abs(point.scale) * conversion(point.unit, point.quantity)[0]


def number(point: Point) -> Callable[[float], float]:
    """Return the function reading [canonical] → number shown where there are no registers: a node or a message."""
    mul, add = _line(point)
    wraps = states(point, None)
    return lambda value: (value * mul + add) % wraps if wraps else value * mul + add


def _line(point: Point) -> tuple[float, float]:
    scale, _ = conversion(point.unit, point.quantity)
    return point.sign / (scale * point.scale), raw_value(point, 0.0)


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
    clock: bool


class RegisterMap:
    """The points of one device compiled once; `encode` makes the image of one step.

    A point the device has no reading for shows 0, a clock the right time; strings show `text`. Addresses between the
    points read as 0, addresses outside the lowest and highest point of a table do not exist. Points that are not on
    Modbus are left out.
    """

    def __init__(self, points: Mapping[str, Point], defaults: ModbusDefaults | None = None, text: str = "") -> None:
        self._defaults = defaults or ModbusDefaults()
        places = {name: (point, place) for name, point in points.items() if (place := point.modbus) is not None}
        self.spans: dict[str, tuple[int, int]] = {}
        for _, place in places.values():
            self._stretch(place)
        self._blank = {t: bytearray((end - first) * _width(t)) for t, (first, end) in self.spans.items()}
        self._cells: list[_Cell] = []
        self._scale_cells: dict[str, dict[ModbusScale, _Cell]] = {}
        self._dials: dict[str, Dials] = {}
        for name, (point, place) in places.items():
            if place.type == "string":
                self._write(place, text)
            else:
                self._cells.append(self._cell(name, point, place))
        for table in self.spans:
            self._add_scales(table, {n: p for n, (p, place) in places.items() if self._table(place) == table})

    def encode(self, readings: Mapping[str, float], now_ns: int | None = None) -> Image:
        """Return the image of `readings` [canonical units by point name] at now_ns, for devices with a clock."""
        tables = {table: bytearray(blank) for table, blank in self._blank.items()}
        now_s = (time.time_ns() if now_ns is None else now_ns) / 1e9
        raw: dict[str, float] = {}
        for cell in self._cells:
            reading = readings.get(cell.name, 0.0 if cell.clock else None)
            if reading is not None:
                raw[cell.name] = reading * cell.mul + cell.add + (now_s if cell.clock else 0.0)
        for table, dials in self._dials.items():
            shown, left = dials.turn(raw)
            raw |= left
            for scale, value in shown.items():
                cell = self._scale_cells[table][scale]
                _put(tables[table], cell, cell.encode(value))
        for cell in self._cells:
            if cell.name in raw:
                _put(tables[cell.table], cell, cell.encode(raw[cell.name]))
        return {t: Block(*self.spans[t], bytes(data)) for t, data in tables.items()}

    def _table(self, place: ModbusPoint) -> str:
        return place.table or self._defaults.table

    def _orders(self, place: ModbusPoint) -> tuple[str, str]:
        return place.byte_order or self._defaults.byte_order, place.word_order or self._defaults.word_order

    def _stretch(self, place: ModbusPoint) -> None:
        table = self._table(place)
        first, end = self.spans.get(table, (65_536, 0))
        begin = min([place.address, *(s.address for s in place.scale_by)])
        self.spans[table] = (min(first, begin), max(end, begin + place.span))

    def _write(self, place: ModbusPoint, text: str) -> None:
        table, size = self._table(place), 2 * place.registers
        at = (place.address - self.spans[table][0]) * _width(table)
        data = text.encode("ascii", "replace")[:size].ljust(size, b"\0")
        self._blank[table][at : at + size] = arrange(data, self._orders(place)[0], "big")

    def _cell(self, name: str, point: Point, place: ModbusPoint) -> _Cell:
        table, orders = self._table(place), self._orders(place)
        mul, add = _line(point)
        convention = absent_values(place.type, place.absent or self._defaults.absent)
        absent = convention if place.not_available is None else place.not_available
        encode = formed(place, encoder(point, place, absent))
        at = (place.address - self.spans[table][0]) * _width(table)
        return _Cell(name, table, at, mul, add, encode, _unless_plain(orders, table), place.bit, place.is_clock)

    def _add_scales(self, table: str, points: Mapping[str, Point]) -> None:
        users = []
        for name, point in points.items():
            place = point.modbus
            if place is None or not place.scale_by:
                continue
            whole = not place.type.startswith("float")
            most = float(min(-limits(place)[0] or math.inf, limits(place)[1] - 1)) if whole else math.inf
            users.append(User(name, place.scale_by, most, point.effective_kind == "counter"))
            orders = _unless_plain(self._orders(place), table)
            for scale in place.scale_by:
                at = (scale.address - self.spans[table][0]) * _width(table)
                cell = _Cell("", table, at, 1.0, 0.0, scale_encoder(scale), orders, scale.bit, clock=False)
                self._scale_cells.setdefault(table, {}).setdefault(scale, cell)
        if users:
            self._dials[table] = Dials(users)


def _unless_plain(orders: tuple[str, str], table: str) -> tuple[str, str] | None:
    return None if orders == ("big", "big") or _width(table) == 1 else orders


def _width(table: str) -> int:
    return 1 if table in ("coil", "discrete") else 2


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
