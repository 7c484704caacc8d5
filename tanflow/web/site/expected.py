"""Quarter-hour courses of past days → the course a day is expected to take: the median of days like it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.alerts.expected import LEAST_LIKE, kind_of

Curves = npt.NDArray[np.float64]
_BACK: Final = 28  # days looked back
MOST_DAYS: Final = 8
_WHOLE: Final = 0.8  # share of its quarters a day must have


def like_days(day: date) -> list[date]:
    """Return the last days of the same kind (work days, Saturdays, Sundays, as alerts judge them), newest first."""
    before = [day - timedelta(days=back) for back in range(1, _BACK + 1)]
    return [d for d in before if kind_of(d) == kind_of(day)][:MOST_DAYS]


def expected(days: Curves) -> Curves | None:
    """Return float64[n] the median of days float64[k, n], NaN where a quarter is unknown; None for too few whole days.

    A day counts from 80 % of its quarters on, three days are the least.
    """
    known = _whole(days)
    if len(known) < LEAST_LIKE:
        return None
    seen = np.isfinite(known).any(axis=0)
    course = np.full(known.shape[1], np.nan)
    course[seen] = np.nanmedian(known[:, seen], axis=0)
    return course


def between(days: Curves) -> Curves:
    """Return float64[2, n] the lowest and the highest of the days that count, NaN where a quarter is unknown."""
    known = _whole(days)
    return np.array([np.fmin.reduce(known), np.fmax.reduce(known)])


def _whole(days: Curves) -> Curves:
    return days[np.isfinite(days).mean(axis=1) >= _WHOLE] if days.size else days
