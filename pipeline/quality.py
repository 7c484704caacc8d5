"""The quality table: one uint16 beside each value, two severity bits and one bit per reason. Bits are never reused."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

GOOD: Final = 0
UNCERTAIN: Final = 1
BAD: Final = 2
SEVERITY: Final = 0b11

RANGE: Final = 1 << 2  # outside the range the point declares, or not a number
STALE: Final = 1 << 3  # the source says, or a watchdog knows, that the value is old
COMM: Final = 1 << 4  # the read failed; the value is NaN or the source's last known
RESET: Final = 1 << 5  # the counter began again from zero
ROLLOVER: Final = 1 << 6  # the counter passed its width
SWAP: Final = 1 << 7  # the counter continues from another index: meter exchanged
LATE: Final = 1 << 8  # not newer than what the series has already been folded up to
CLOCK: Final = 1 << 9  # stamped by a gateway clock not yet trusted, or by a device's that is far from ours
QUANTITY_ESTIMATED: Final = 1 << 10  # the amount itself is estimated
PROFILE_ESTIMATED: Final = 1 << 11  # the amount is measured, its course within the interval is not
INTEGRATED: Final = 1 << 12  # energy from power samples, not from a register
FACTOR_FALLBACK: Final = 1 << 13  # the emission factor is a fallback, not what the rule asked for
SUBSTITUTED: Final = 1 << 14  # filled by the account, with method and approver
MANUAL: Final = 1 << 15  # entered by a person

REASONS: Final[dict[str, int]] = {
    "range": RANGE,
    "stale": STALE,
    "comm": COMM,
    "reset": RESET,
    "rollover": ROLLOVER,
    "swap": SWAP,
    "late": LATE,
    "clock": CLOCK,
    "quantity-estimated": QUANTITY_ESTIMATED,
    "profile-estimated": PROFILE_ESTIMATED,
    "integrated": INTEGRATED,
    "factor-fallback": FACTOR_FALLBACK,
    "substituted": SUBSTITUTED,
    "manual": MANUAL,
}


def describe(quality: int) -> str:
    """Return the quality as words, e.g. `uncertain (late, clock)`."""
    severity = ("good", "uncertain", "bad", "bad")[quality & SEVERITY]
    reasons = [name for name, bit in REASONS.items() if quality & bit]
    return f"{severity} ({', '.join(reasons)})" if reasons else severity


def worsen(quality: npt.NDArray[np.uint16], severity: int) -> npt.NDArray[np.uint16]:
    """Return `quality` with at least `severity`, reasons kept."""
    worse = np.maximum(quality & np.uint16(SEVERITY), np.uint16(severity))
    worsened: npt.NDArray[np.uint16] = (quality & np.uint16(0xFFFF ^ SEVERITY)) | worse
    return worsened


def merge(one: npt.NDArray[np.uint16], other: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return the worse severity and the reasons of both."""
    severity = np.maximum(one & np.uint16(SEVERITY), other & np.uint16(SEVERITY))
    merged: npt.NDArray[np.uint16] = ((one | other) & np.uint16(0xFFFF ^ SEVERITY)) | severity
    return merged
