"""The Retry-After header of an HTTP answer → seconds."""

from __future__ import annotations

import contextlib
import email.utils
import math
import time
from typing import Final

_LEAST_S: Final = 0.1  # who says less has no wish: the caller waits its own, growing time, and no loop runs hot
_MOST_S: Final = 86_400.0


def retry_after(value: str | None) -> float | None:
    """Return how long to wait [s], stated as a number or as a date; None where nothing usable is stated."""
    for read in (float, _until):
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            after_s = read(value or "")
            return min(after_s, _MOST_S) if math.isfinite(after_s) and after_s >= _LEAST_S else None
    return None


def _until(date: str) -> float:
    return email.utils.parsedate_to_datetime(date).timestamp() - time.time()
