"""A value as Sparkplug B carries it (data type, field, content) → numbers.

Data types and their encodings: Eclipse Sparkplug 3.0.0, 6.4.16. Signed integers stand as two's complement in unsigned
fields; encoders differ in how wide, so each width they use is taken, and what fits none is refused.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from config.errors import Rejected

NAMES: Final = (
    "Unknown", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float", "Double", "Boolean",
    "String", "DateTime", "Text", "UUID", "DataSet", "Bytes", "File", "Template", "PropertySet", "PropertySetList",
    "Int8Array", "Int16Array", "Int32Array", "Int64Array", "UInt8Array", "UInt16Array", "UInt32Array", "UInt64Array",
    "FloatArray", "DoubleArray", "BooleanArray", "StringArray", "DateTimeArray",
)  # fmt: skip
BOOLEAN: Final = NAMES.index("Boolean")
DATASET: Final = NAMES.index("DataSet")
TEMPLATE: Final = NAMES.index("Template")
_BITS: Final = {kind: 8 << (kind - 1) % 4 for kind in range(1, 9)} | {NAMES.index("DateTime"): 64}
_SIGNED: Final = range(1, 5)
_WIDTHS: Final = (8, 16, 32, 64)  # encoders have sign-extended to
_REAL: Final = (NAMES.index("Float"), NAMES.index("Double"))
_BOOLEANS: Final = NAMES.index("BooleanArray")
_ARRAYS: Final = {
    NAMES.index(name): np.dtype(kind)
    for name, kind in {
        "Int8Array": "<i1", "Int16Array": "<i2", "Int32Array": "<i4", "Int64Array": "<i8",
        "UInt8Array": "<u1", "UInt16Array": "<u2", "UInt32Array": "<u4", "UInt64Array": "<u8",
        "FloatArray": "<f4", "DoubleArray": "<f8", "DateTimeArray": "<i8",
    }.items()
}  # fmt: skip
_SHOWN: Final = 80  # characters
_INDEXED: Final = re.compile(r"(.+)\[(\d{1,6})\]")


class Typed(NamedTuple):
    """A value with its data type and the field it stands in ("int", "long", "double" …; "" for none)."""

    kind: int
    field: str
    value: Any


def name_of(kind: int) -> str:
    """Return the name of a data type, for a person."""
    return NAMES[kind] if 0 <= kind < len(NAMES) else f"data type {kind}"


def split_index(path: str) -> tuple[str, int | None]:
    """Return `name[3]` as its parts; without an index the path and None."""
    match = _INDEXED.fullmatch(path)
    return (match[1], int(match[2])) if match else (path, None)


def is_array(kind: int) -> bool:
    """Return whether a data type holds several numbers."""
    return kind in _ARRAYS or kind == _BOOLEANS


def number(typed: Typed) -> float:
    """Return the value as a number: Boolean as 0 or 1, DateTime in ms since 1970. Raises Rejected with a sentence."""
    kind, field, value = typed
    if kind in _BITS and field in ("int", "long"):
        return float(_integer(kind, value))
    if kind in _REAL and field in ("float", "double"):
        return float(value)
    if kind == BOOLEAN and field == "boolean":
        return float(value)
    if is_array(kind):
        raise Rejected(f"is a {name_of(kind)}; name one element, e.g. metric: …[0]")
    if kind in (TEMPLATE, DATASET):
        raise Rejected(f"is a {name_of(kind)}; name one member, e.g. metric: …/member")
    if kind in _BITS or kind in _REAL or kind == BOOLEAN:
        raise Rejected(f"is said to be {name_of(kind)}, but its value stands as {field or 'nothing'}")
    raise Rejected(f"is a {name_of(kind)}, not a number" if kind else "has no data type")


def shown(typed: Typed) -> str:
    """Return the value for a person: a number as it is meant, a text cut, bytes in hex."""
    if typed.field == "string":
        return str(typed.value.decode("utf-8", "replace"))[:_SHOWN]
    if isinstance(typed.value, bytes):
        return f"{len(typed.value)} bytes: {typed.value[: _SHOWN // 4].hex(' ')}"
    try:
        return str(_integer(typed.kind, typed.value) if typed.kind in _BITS else typed.value)
    except (Rejected, TypeError):
        return str(typed.value)


def element(typed: Typed, index: int) -> float:
    """Return one element of an array, counted from 0. Raises Rejected with a sentence."""
    count = _count(typed.value) if (typed.kind, typed.field) == (_BOOLEANS, "bytes") else len(elements(typed))
    if index >= count:
        raise Rejected(f"has {count} elements; there is no [{index}]")
    if typed.kind == _BOOLEANS:  # of which all others need not be unpacked
        return float(typed.value[4 + index // 8] >> 7 - index % 8 & 1)
    return float(elements(typed)[index])


def elements(typed: Typed) -> npt.NDArray[Any]:
    """Return the numbers of an array. Raises Rejected with a sentence."""
    kind, field, data = typed
    if not is_array(kind) or field != "bytes":
        raise Rejected(f"is a {name_of(kind)}, no array of numbers")
    if kind == _BOOLEANS:
        return _booleans(data)
    if len(data) % _ARRAYS[kind].itemsize:
        raise Rejected(f"is a {name_of(kind)} of {len(data)} bytes, no whole number of elements")
    return np.frombuffer(data, _ARRAYS[kind])


def _booleans(data: bytes) -> npt.NDArray[Any]:
    return np.unpackbits(np.frombuffer(data[4:], np.uint8))[: _count(data)]


def _count(data: bytes) -> int:
    """Return how many Booleans there are: a count (four bytes, the lowest first), then eight to a byte, the first in
    the highest bit.
    """
    count = int.from_bytes(data[:4], "little")
    if len(data) < 4 or not 0 <= 8 * (len(data) - 4) - count < 8:
        raise Rejected(f"is a BooleanArray of {count} in {len(data)} bytes, which does not fit")
    return count


def _integer(kind: int, value: int) -> int:
    bits = _BITS[kind]
    if kind in _SIGNED:
        half = 1 << (bits - 1)
        for width in _WIDTHS:
            if width >= bits and (1 << width) - half <= value < 1 << width:
                return value - (1 << width)
        bits -= 1
    if value >= 1 << bits:
        raise Rejected(f"is said to be {name_of(kind)}, but {value} does not fit")
    return value
