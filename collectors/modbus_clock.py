"""The registers of a device's own clock in; by how much it is ahead of the moment its answer came out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from pipeline.batch import Times, Values
from pipeline.clock import SECOND_NS

Bytes = npt.NDArray[np.uint8]

_QUARTER_NS: Final = 900 * SECOND_NS  # no zone changes its offset within one
_EARLIEST, _LATEST = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2000, 2100))


def wall_seconds(kind: str, cells: Bytes) -> Values:
    """Return the seconds from 1970-01-01 00:00 to what clocks show, float64[n, m]; NaN where that is no time.

    `cells` uint8[n, m, 2·registers], the most significant byte first:
    time_unix     seconds since 1970 (Electrex X3M user manual, registers 161 and, of local time, 166)
    time_words    year, month, day, hour, minute, second, a register each (AcuRev 1300 user manual, 0300H)
    time_bytes    the same in a byte each, the year of this century (open-watt/openwatt profile/goodwe_ems.d, 45100)
    time_bcd      the same in two decimal digits each (Panasonic FPWIN Pro, DTBCD)
    time_cp56     IEC 60870-5-4 in four registers (Schneider EM3000 series user manual, "DATETIME format")
    A time before 2000 or after 2099 is none: clocks that were never set begin earlier.
    """
    if kind == "time_unix":
        seconds = _words(cells, 4)[:, :, 0].astype(np.float64)
    elif kind == "time_cp56":
        seconds = _cp56(_words(cells, 2))
    else:
        fields = _words(cells, 2) if kind == "time_words" else _decimal(cells) if kind == "time_bcd" else cells
        seconds = _seconds(fields.astype(np.int64))
    return np.where((seconds >= _EARLIEST) & (seconds < _LATEST), seconds, np.nan)


def ahead(seconds: Values, zone: str, at_ns: Times) -> Values:
    """Return by how much clocks are ahead [s] of what they should show at_ns int64[n] in `zone`, of float64[n, k].

    offset = shown − (receipt + offset of the zone at receipt), so that the hour that comes twice is never in doubt.
    """
    quarters, which = np.unique(at_ns // _QUARTER_NS, return_inverse=True)
    zone_s = np.array([_zone_s(zone, int(q)) for q in quarters])[which]
    whole, rest = np.divmod(at_ns, SECOND_NS)
    early: Values = (seconds - (whole + zone_s)[:, None]) - (rest / SECOND_NS)[:, None]
    return early


@lru_cache(maxsize=1024)
def _zone_s(zone: str, quarter: int) -> float:
    at = datetime.fromtimestamp(quarter * 900, ZoneInfo(zone))
    return (at.utcoffset() or timedelta()).total_seconds()


def _words(cells: Bytes, size: int) -> npt.NDArray[np.int64]:
    words: npt.NDArray[np.unsignedinteger] = np.ascontiguousarray(cells).view(f">u{size}")
    return words.astype(np.int64)


def _decimal(cells: Bytes) -> npt.NDArray[np.int64]:
    """Return two digits a byte as numbers; what is no digit becomes a number no field may have."""
    low, high = (cells & 0x0F).astype(np.int64), (cells >> 4).astype(np.int64)
    return np.where((low <= 9) & (high <= 9), 10 * high + low, 255)


def _cp56(words: npt.NDArray[np.int64]) -> Values:
    """Return the seconds of year · month, weekday, day · summer, hour, invalid, minute · milliseconds.

    The summer-time bit is left aside: the zone says whether it is summer time, and many devices never set it.
    """
    year, date, hour, milliseconds = (words[:, :, n] for n in range(4))
    fields = (year & 0x7F, date >> 8 & 0x0F, date & 0x1F, hour >> 8 & 0x1F, hour & 0x3F, milliseconds // 1000)
    seconds = _seconds(np.stack(fields, axis=-1)) + milliseconds % 1000 / 1000
    return np.where(hour & 0x80, np.nan, seconds)


def _seconds(fields: npt.NDArray[np.int64]) -> Values:
    """Return the seconds of year, month, day, hour, minute, second int64[n, m, 6]; NaN for what no calendar has."""
    year, month, day, hour, minute, second = (fields[:, :, n] for n in range(6))
    year = np.where(year < 100, year + 2000, year)
    good = (year >= 2000) & (year < 2128) & (month >= 1) & (month <= 12) & (day >= 1)
    good &= (hour < 24) & (minute < 60) & (second < 60)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    first = months.astype("datetime64[D]").astype(np.int64)
    good &= day <= (months + 1).astype("datetime64[D]").astype(np.int64) - first
    return np.where(good, (first + day - 1) * 86_400.0 + hour * 3_600 + minute * 60 + second, np.nan)
