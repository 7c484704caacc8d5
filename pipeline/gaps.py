"""Why a value is missing: the cause codes carried as the value of a device's `gap` series."""

from __future__ import annotations

from enum import IntEnum

from config.bindings import series_key


class Gap(IntEnum):
    """Cause of a gap row; codes are on disk and are never reused."""

    NONE = 0  # the device answers again
    TIMEOUT = 1  # no answer within the deadline
    REFUSED = 2  # the connection could not be opened
    DISCONNECTED = 3  # the connection was lost
    EXCEPTION = 4  # the device answered with an error
    MALFORMED = 5  # the answer could not be decoded
    MISSED = 6  # the gateway itself did not keep the schedule
    STALE = 7  # a subscription went silent
    BREAKER = 8  # not asked: the device failed repeatedly and rests
    STOPPED = 9  # the gateway was not running, or had stopped accepting
    OVERFLOW = 10  # the source says it dropped values
    SEQUENCE = 11  # a message is missing: what follows cannot be trusted until the source begins anew


def gap_key(asset: str, device: str) -> str:
    """Return the key of the series that records why a device's values are missing."""
    return series_key(asset, f"{device}-gap", "gap")
