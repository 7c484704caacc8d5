"""A message's payload → numbers by path and the time it states; raises Rejected in words for a person."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar

import orjson

from config.errors import Rejected

LARGEST: Final = 1 << 20  # a payload of readings is never longer [bytes]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNITS_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_END_NS: Final = 1 << 63  # of int64 nanoseconds: the year 2262
# What devices print that JSON does not allow: +1.5, 007, .5, 1.
_PLAIN_NUMBER = re.compile(rb"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_UNESCAPED_DOT = re.compile(r"(?<!\\)\.")

_Number = TypeVar("_Number", int, Decimal)
Path = tuple[tuple[str, int | None], ...]


def compile_path(path: str) -> Path:
    """Return a dotted path ready for use: `meter.values.0`; `\\.` is a dot inside a key, empty means the whole."""
    steps = [step.replace("\\.", ".") for step in _UNESCAPED_DOT.split(path)] if path else []
    return tuple((step, int(step) if step.isascii() and step.isdecimal() else None) for step in steps)


def decode(payload: bytes) -> Any:
    """Return the document of a JSON payload, or the number of a plain one. Raises Rejected."""
    if len(payload) > LARGEST:
        raise Rejected(f"{len(payload)} bytes are more than the {LARGEST} a payload may have")
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        if _PLAIN_NUMBER.fullmatch(payload):
            return float(payload)
        raise Rejected(f"neither JSON nor a number: {error}") from error


def find(document: Any, path: Path) -> Any:
    """Return what stands at `path`: steps are keys of objects and indices of lists. Raises LookupError."""
    at = document
    for key, index in path:
        if isinstance(at, dict):
            at = at[key]
        elif isinstance(at, list) and index is not None:
            at = at[index]
        else:
            raise KeyError(key)
    return at


def number_at(document: Any, path: Path) -> float:
    """Return the number at `path`, true as 1 and false as 0. Raises Rejected."""
    try:
        value = find(document, path)
    except LookupError as error:
        raise Rejected("missing in the payload") from error
    if isinstance(value, (int, float)):
        return float(value)
    raise Rejected("is null" if value is None else f"is a {_KINDS[type(value)]}, not a number")


_KINDS: Final[dict[type, str]] = {str: "text", dict: "JSON object", list: "JSON list"}


def time_parser(form: str) -> Callable[[Any], int]:
    """Return what turns a payload's time into [ns UTC]; `form` is iso, s, ms, us or ns. It raises Rejected.

    ISO times without an offset are UTC.
    """
    if form == "iso":
        return _iso_ns
    unit_ns = _UNITS_NS[form]
    return lambda value: _count_ns(value, unit_ns)


def _iso_ns(value: Any) -> int:
    try:
        stamp = datetime.fromisoformat(value)
        aware = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
        return _checked((aware - _EPOCH) // _MICROSECOND * 1000, value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Rejected(f"its time {_shown(value)} is not an ISO 8601 date and time") from error


def _count_ns(value: Any, unit_ns: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return _checked(value * unit_ns, value)
    if not isinstance(value, (float, str)):
        raise Rejected(f"its time {_shown(value)} is not a number")
    try:
        # The shortest decimal that prints as this float is what the device wrote: 1700000000.1 is exact that way.
        return int(_checked(Decimal(str(value)) * unit_ns, value))
    except ArithmeticError as error:
        raise Rejected(f"its time {_shown(value)} is not a number") from error


def _checked(time_ns: _Number, value: Any) -> _Number:
    if not 0 < time_ns < _END_NS:
        raise Rejected(f"its time {_shown(value)} is not between 1970 and 2262; check time_format")
    return time_ns


def _shown(value: Any) -> str:
    return repr(value)[:60]
