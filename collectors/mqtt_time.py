"""What a payload says is its time → [ns UTC]; raises Rejected in words for a person."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from config.errors import Rejected

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UNITS_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_END_NS: Final = 1 << 63  # of int64 nanoseconds: the year 2262
_DIGITS: Final = re.compile(r"\s*[+-]?\d{1,32}(\.\d{0,32})?([eE][+-]?\d{1,3})?\s*", re.ASCII)

_Number = TypeVar("_Number", int, Decimal)
TimeOf = Callable[[Any], int]


def time_parser(form: str, zone: str = "UTC", now_ns: Callable[[], int] = lambda: 0) -> TimeOf:
    """Return what turns a payload's time into [ns UTC]; `form` is iso, s, ms, us or ns. It raises Rejected.

    ISO times without an offset are the zone's. In the hour that comes twice in autumn the one nearer to now is meant;
    the one that is left out in spring is refused.
    """
    if form == "iso":
        return _iso_ns if zone == "UTC" else lambda value: _local_ns(value, ZoneInfo(zone), now_ns)
    unit_ns = _UNITS_NS[form]
    return lambda value: _count_ns(value, unit_ns)


def _iso_ns(value: Any) -> int:
    stamp = _datetime(value)
    return _since_epoch(stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC), value)


def _local_ns(value: Any, zone: ZoneInfo, now_ns: Callable[[], int]) -> int:
    stamp = _datetime(value)
    if stamp.tzinfo:
        return _since_epoch(stamp, value)
    early, late = (_since_epoch(stamp.replace(tzinfo=zone, fold=fold), value) for fold in (0, 1))
    if early == late:
        return early
    if early > late:  # the offset grows: no clock of the zone shows this
        raise Rejected(f"its time {_shown(value)} does not exist in {zone.key}, where the clocks are put forward")
    now = now_ns()
    return early if abs(early - now) <= abs(late - now) else late


def _datetime(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Rejected(f"its time {_shown(value)} is not an ISO 8601 date and time") from error


def _since_epoch(stamp: datetime, value: Any) -> int:
    try:
        return _checked((stamp - _EPOCH) // _MICROSECOND * 1000, value)
    except OverflowError as error:
        raise Rejected(f"its time {_shown(value)} is not an ISO 8601 date and time") from error


def _count_ns(value: Any, unit_ns: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return _checked(value * unit_ns, value)
    if not isinstance(value, (float, str)) or (isinstance(value, str) and not _DIGITS.fullmatch(value)):
        raise Rejected(f"its time {_shown(value)} is not a number")
    try:
        # The shortest decimal that prints as this float is what the device wrote: 1700000000.1 is exact that way.
        exact = _checked(Decimal(str(value)) * unit_ns, value)
    except ArithmeticError as error:
        raise Rejected(f"its time {_shown(value)} is not a number") from error
    return _checked(int(exact), value)  # less than a nanosecond is none


def _checked(time_ns: _Number, value: Any) -> _Number:
    if not 0 < time_ns < _END_NS:
        raise Rejected(f"its time {_shown(value)} is not between 1970 and 2262; check time_format")
    return time_ns


def _shown(value: Any) -> str:
    return repr(value)[:60]
