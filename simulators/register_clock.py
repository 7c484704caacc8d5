"""A moment and a zone enter, the registers in which a device shows its own clock leave."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo


def clock_encoder(kind: str, zone: str) -> Callable[[float], bytes]:
    """Return the function seconds since 1970 UTC → bytes of the registers, most significant first.

    The layouts are those of `collectors.modbus_clock.wall_seconds`; what is no time becomes registers of zeros.
    """
    layout, place = _LAYOUTS[kind], ZoneInfo(zone)

    def encode(now_s: float) -> bytes:
        try:
            return layout(datetime.fromtimestamp(now_s, place))
        except (ValueError, OverflowError, OSError):
            return bytes(_SIZES[kind])

    return encode


def _unix(shown: datetime) -> bytes:
    """Return the seconds the wall shows: of local time where the zone is not UTC."""
    return struct.pack(">I", int((shown.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()))


def _fields(shown: datetime) -> tuple[int, int, int, int, int, int]:
    return shown.year, shown.month, shown.day, shown.hour, shown.minute, shown.second


def _words(shown: datetime) -> bytes:
    return struct.pack(">6H", *_fields(shown))


def _bytes(shown: datetime) -> bytes:
    year, *rest = _fields(shown)
    return bytes((year - 2000, *rest))


def _bcd(shown: datetime) -> bytes:
    return bytes.fromhex(shown.strftime("%y%m%d%H%M%S"))


def _cp56(shown: datetime) -> bytes:
    milliseconds = 1_000 * shown.second + shown.microsecond // 1_000
    weekday = shown.isoweekday() % 7 + 1  # 1 is Sunday
    date, time = shown.month << 8 | weekday << 5 | shown.day, shown.hour << 8 | shown.minute
    return struct.pack(">4H", shown.year - 2000, date, time, milliseconds)


_LAYOUTS: dict[str, Callable[[datetime], bytes]] = {
    "time_unix": _unix, "time_words": _words, "time_bytes": _bytes, "time_bcd": _bcd, "time_cp56": _cp56,
}  # fmt: skip
_SIZES = {"time_unix": 4, "time_words": 12, "time_bytes": 6, "time_bcd": 6, "time_cp56": 8}
