"""Instants in UTC → the site's wall clock in columns: months, days and hours as people and contracts mean them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.entries import Integers
from pipeline.batch import Times

_QUARTER_NS: Final = 900 * 1_000_000_000  # no zone in use changes its clock but at a quarter hour
_MICROSECOND: Final = timedelta(microseconds=1)


def wall_clock(time_ns: Times, zone: ZoneInfo) -> Times:
    """Return what the clocks of the zone show at each instant [ns since 1970 on that clock]."""
    quarters, where = np.unique(np.asarray(time_ns, np.int64) // _QUARTER_NS, return_inverse=True)
    offsets = [_offset_ns(int(quarter) * _QUARTER_NS, zone) for quarter in quarters]
    shown: Times = time_ns + np.array(offsets, np.int64)[where]
    return shown


def months(time_ns: Times, zone: ZoneInfo) -> Integers:
    """Return the month each instant lies in, counted from January 1970 = 0."""
    counted: Integers = wall_clock(time_ns, zone).astype("M8[ns]").astype("M8[M]").astype(np.int64)
    return counted


def midnight_ns(day: date, zone: ZoneInfo) -> int:
    """Return the instant a day begins in the zone [ns]."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000_000_000


def month_name(month: int) -> str:
    """Return a month counted from January 1970 as year and month, e.g. 2025-03."""
    return f"{1970 + month // 12:04d}-{month % 12 + 1:02d}"


def month_number(name: str) -> int:
    """Return year and month, e.g. 2025-03, as a month counted from January 1970."""
    return (int(name[:4]) - 1970) * 12 + int(name[5:7]) - 1


def first_day(month: int) -> date:
    """Return the first day of a month counted from January 1970."""
    return date(1970 + month // 12, month % 12 + 1, 1)


def ordinals(wall_ns: Times) -> npt.NDArray[np.int64]:
    """Return the day each instant of a wall clock lies in, counted from 1970-01-01 = 0."""
    days: npt.NDArray[np.int64] = wall_ns // 86_400_000_000_000
    return days


def _offset_ns(time_ns: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).astimezone(zone).utcoffset() or timedelta()
    return offset // _MICROSECOND * 1_000
