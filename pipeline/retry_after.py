"""The Retry-After header of an HTTP answer → seconds."""

from __future__ import annotations

import contextlib
import email.utils
import time


def retry_after(value: str | None) -> float | None:
    """Return how long to wait [s], stated as a number or as a date; None where nothing usable is stated."""
    if not value:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None
