"""Quarter-hour courses of past days → the course a day is expected to take: the median of days like it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

Curves = npt.NDArray[np.float64]
_WEEKEND: Final = 5
_BACK: Final = 28  # days looked back
MOST_DAYS: Final = 8
LEAST_DAYS: Final = 3  # fewer tell nothing of what is usual
_WHOLE: Final = 0.8  # share of its quarters a day must have


def like_days(day: date) -> list[date]:
    """Return the last days of the same kind (Monday to Friday, or the weekend) before a day, newest first."""
    before = [day - timedelta(days=back) for back in range(1, _BACK + 1)]
    return [d for d in before if (d.weekday() >= _WEEKEND) == (day.weekday() >= _WEEKEND)][:MOST_DAYS]


def expected(days: Curves) -> Curves | None:
    """Return float64[n] the median of days float64[k, n], NaN where a quarter is unknown; None for too few whole days.

    A day counts from 80 % of its quarters on, three days are the least.
    """
    known = days[np.isfinite(days).mean(axis=1) >= _WHOLE] if days.size else days
    if len(known) < LEAST_DAYS:
        return None
    seen = np.isfinite(known).any(axis=0)
    course = np.full(known.shape[1], np.nan)
    course[seen] = np.nanmedian(known[:, seen], axis=0)
    return course
