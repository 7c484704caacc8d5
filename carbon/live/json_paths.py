"""A parsed JSON document → what stands at a path of it, as number or instant; else a sentence of what differs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

_FIRST: Final = 1970
_LAST: Final = 5_000


class Unreadable(ValueError):
    """An answer that is not what is documented; the message says where it differs."""


def iso(time_ns: int) -> str:
    """Return an instant [ns] as ISO 8601 in UTC, to the second."""
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def at(data: Any, path: str) -> Any:
    """Return what stands at a path of names and list positions; raises Unreadable where nothing does."""
    for part in path.split(".") if path else ():
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            raise Unreadable(f"has nothing at {path}")
    return data


def get(data: Any, path: str) -> Any:
    """Return what stands at a path, None where nothing does."""
    try:
        return at(data, path)
    except Unreadable:
        return None


def items(data: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list; raises Unreadable where it is none."""
    if not isinstance(data, list):
        raise Unreadable("has no list of steps where one is documented")
    for item in data:
        if not isinstance(item, dict):
            raise Unreadable("has steps that are no objects")
        yield item


def same(said: Any, wanted: str | int) -> None:
    """Raise Unreadable where an answer is about another zone than the one asked for."""
    if said != wanted:
        raise Unreadable(f"is about zone {said!r}, not {wanted!r}")


def number(value: Any) -> float | None:
    """Return a number; None where nothing is known. Raises Unreadable for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unreadable(f"has {value!r} for a number")
    return float(value)


def instant(value: Any) -> int:
    """Return an ISO time or seconds since 1970 as instant [ns]; raises Unreadable, for one without an offset too."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 9e10:
        return round(value) * 1_000_000_000
    try:
        when = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Unreadable(f"has {value!r} for a time") from None
    if when.tzinfo is None:
        raise Unreadable(f"has the time {value} without an offset")
    if not _FIRST <= when.year <= _LAST:  # what lies outside is no time of any grid, and in UTC perhaps none at all
        raise Unreadable(f"has the year {when.year}")
    return round(when.timestamp()) * 1_000_000_000
