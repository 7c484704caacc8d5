"""Local days of a period → its parts on the time axis and their shares of an amount, in integers that always sum."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from carbon.local_time import midnight_ns

ONE_DAY: Final = timedelta(days=1)


class Part(NamedTuple):
    """An amount [1e-6 unit] over [start, end)."""

    start_ns: int
    end_ns: int
    amount: int


def bounds(first: date, last: date, zone: ZoneInfo) -> tuple[int, int]:
    """Return [start, end) of local days, both included."""
    return midnight_ns(first, zone), midnight_ns(last + ONE_DAY, zone)


def month_starts(first: date, last: date, zone: ZoneInfo) -> list[int]:
    """Return where the months after that of `first` begin, up to `last`."""
    months = range(first.year * 12 + first.month, last.year * 12 + last.month)
    return [midnight_ns(date(month // 12, month % 12 + 1, 1), zone) for month in months]


def split(amount: int, first: date, last: date, edges_ns: Sequence[int], zone: ZoneInfo) -> list[Part]:
    """Return the parts of a period cut at the edges (ascending) within it; days of 23 or 25 hours weigh as any.

    A part that ends after d of n days brings what is booked up to there to the amount · d/n, rounded. So parts sum to
    the amount, each is within 1 of its exact share, and cutting one finer moves nothing between the others, which
    giving what is left over to the largest remainders would do.
    """
    start, end = bounds(first, last, zone)
    inside = edges_ns[bisect_right(edges_ns, start) : bisect_left(edges_ns, end)]
    edges = [start, *dict.fromkeys(inside), end]
    begin, days = first.toordinal(), (last - first).days + 1
    upto = []
    for edge in edges:
        day, past, length = _place(edge, zone)
        upto.append(_rounded(amount * ((day - begin) * length + past), days * length))
    return [Part(edges[i], edges[i + 1], upto[i + 1] - upto[i]) for i in range(len(edges) - 1)]


@lru_cache(maxsize=65_536)
def _place(time_ns: int, zone: ZoneInfo) -> tuple[int, int, int]:
    """Return (day as its ordinal, time since its beginning, its length) of an instant."""
    day = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).astimezone(zone).date()
    begin, end = bounds(day, day, zone)
    return day.toordinal(), time_ns - begin, end - begin


def _rounded(numerator: int, denominator: int) -> int:
    """Return the quotient to the nearest whole number, halves upwards."""
    return (2 * numerator + denominator) // (2 * denominator)
