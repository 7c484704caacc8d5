"""Local days of a period → its parts on the time axis and their shares of an amount, in integers that always sum."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
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


def split(amount: int, first: date, last: date, edges_ns: Iterable[int], zone: ZoneInfo) -> list[Part]:
    """Return the parts of a period cut at every edge within it; a day of 23 or 25 hours weighs as much as any other.

    A part that ends after d of n days brings what is booked up to there to the amount · d/n, rounded. So parts sum to
    the amount, each is within 1 of its exact share, and cutting one finer moves nothing between the others, which
    giving what is left over to the largest remainders would do.
    """
    start, end = bounds(first, last, zone)
    edges = [start, *sorted({edge for edge in edges_ns if start < edge < end}), end]
    days = (last - first).days + 1
    upto = [round(amount * _days(edge, first, zone) / days) for edge in edges]
    return [Part(edges[i], edges[i + 1], upto[i + 1] - upto[i]) for i in range(len(edges) - 1)]


def _days(time_ns: int, first: date, zone: ZoneInfo) -> Fraction:
    """Return how many local days lie between the beginning of `first` and an instant."""
    day = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).astimezone(zone).date()
    begin, end = bounds(day, day, zone)
    return (day - first).days + Fraction(time_ns - begin, end - begin)
