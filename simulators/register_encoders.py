"""A point enters; the function number as the device shows it → bytes of its registers, big-endian, leaves."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Final

from config.points import Point
from config.protocols.modbus import ModbusPoint, ModbusScale
from simulators.register_clock import clock_encoder

Encode = Callable[[float], bytes]
_STRUCTS: Final = {
    "int16": struct.Struct(">h"), "uint16": struct.Struct(">H"), "int32": struct.Struct(">i"),
    "uint32": struct.Struct(">I"), "int64": struct.Struct(">q"), "uint64": struct.Struct(">Q"),
    "float32": struct.Struct(">f"), "float64": struct.Struct(">d"),
}  # fmt: skip
_FLOAT32_MAX: Final = 3.4028234663852886e38


def states(point: Point, place: ModbusPoint | None) -> int:
    """Return how many whole numbers a counter shows before it begins again; 0 for one that never does."""
    if point.effective_kind != "counter":
        return 0
    digits = int(10**point.digits) if point.digits else 0
    if place is None or not place.type.startswith(("bcd", "int", "uint")) or place.scale_by:
        return digits
    return min(digits or span(place), span(place))


def span(place: ModbusPoint) -> int:
    return int(10 ** (4 * place.registers)) if place.type.startswith("bcd") else 1 << (16 * place.registers)


def limits(place: ModbusPoint) -> tuple[int, int]:
    """Return the least and the greatest whole number a place holds."""
    width = span(place)
    if place.type.startswith("sm"):
        return 1 - width // 2, width // 2 - 1
    return (-width // 2, width // 2 - 1) if place.type.startswith("int") else (0, width - 1)


def _whole(point: Point, place: ModbusPoint, absent: tuple[int, ...]) -> Callable[[float], int]:
    """Return the function raw → whole number the register holds: counters wrap, everything else stops at the end."""
    wraps, width, (low, high) = states(point, place), span(place), limits(place)
    # Where the maker names no raw value for "no value", the customary one: all ones, or the most negative number.
    no_value = absent[0] if absent else low if low < 0 else high

    def fold(number: int) -> int:
        return number - width if number > high else number

    def whole(raw: float) -> int:
        if not math.isfinite(raw):
            return fold(no_value)
        number: int = round(raw)
        return fold(number % wraps) if wraps else min(max(number, low), high)

    return whole


def encoder(point: Point, place: ModbusPoint, absent: tuple[int, ...]) -> Encode:
    if place.is_clock:
        return clock_encoder(place.type, place.zone or "UTC")
    if place.type in ("float32", "float64"):
        return _float_encoder(states(point, place), _STRUCTS[place.type], place.type == "float32")
    if place.type == "bool":
        return lambda raw: (raw == raw and round(raw) != 0).to_bytes(2, "big")
    whole, size = _whole(point, place, absent), 2 * place.registers
    if place.type.startswith("bcd"):
        not_decimal = b"\xff" * size
        return lambda raw: bytes.fromhex(f"{whole(raw):0{2 * size}d}") if math.isfinite(raw) else not_decimal
    if place.type.startswith("sm"):
        return _sign_magnitude(whole, size, absent[0] if absent else span(place) - 1)
    pack = _STRUCTS[place.type].pack
    return lambda raw: pack(whole(raw))


def _sign_magnitude(whole: Callable[[float], int], size: int, absent: int) -> Encode:
    top = 1 << (8 * size - 1)

    def encode(raw: float) -> bytes:
        if not math.isfinite(raw):
            return absent.to_bytes(size, "big")
        value = whole(raw)
        return (value if value >= 0 else top - value).to_bytes(size, "big")

    return encode


def formed(place: ModbusPoint, encode: Encode) -> Encode:
    """Return an encoder of power factors shown as leading (quadrants) or lagging: the sides a reader must undo."""
    if place.form == "quadrants":
        return lambda raw: encode(math.copysign(2.0, raw) - raw if 0 < abs(raw) < 1 else raw)
    if place.form == "lead_lag":
        return lambda raw: encode(-abs(raw))
    return encode


def scale_encoder(scale: ModbusScale) -> Encode:
    """Return the encoder of a register that scales others; of a bit, whether it is set."""
    if scale.bit is not None:
        return lambda raw: int(raw).to_bytes(2, "big")
    if scale.type == "bcd16":
        return lambda raw: bytes.fromhex(f"{int(raw):04d}")
    form = _STRUCTS[scale.type]
    return lambda raw: form.pack(raw if scale.type == "float32" else int(raw))


def _float_encoder(wraps: int, form: struct.Struct, single: bool) -> Encode:
    def encode(raw: float) -> bytes:
        shown = raw % wraps if wraps else raw
        return form.pack(math.copysign(math.inf, shown) if single and abs(shown) > _FLOAT32_MAX else shown)

    return encode
