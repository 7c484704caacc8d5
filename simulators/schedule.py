"""A time enters, how busy the factory is leaves."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Two shifts from 06:00 and 14:00 with a lunch dip; at night what cannot stop: (local hour, share of full production).
TWO_SHIFTS = (
    (0.0, 0.1), (6.0, 0.1), (6.5, 1.0), (11.75, 1.0), (12.0, 0.75), (12.75, 0.75), (13.0, 0.95), (21.5, 0.95),
    (22.0, 0.1), (24.0, 0.1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Schedule:
    """Production over the day as straight lines between (hour, level) points, times `sunday` on Sundays.

    It never falls below the least of the points: what cannot stop at night does not stop on Sundays either.
    """

    points: tuple[tuple[float, float], ...] = TWO_SHIFTS
    sunday: float = 0.4
    utc_offset_h: float = 8.0

    @property
    def least(self) -> float:
        return min(level for _, level in self.points)

    def level(self, now_ns: int) -> float:
        """Return the share of full production [1] at `now_ns`."""
        local = datetime.fromtimestamp(now_ns / 1e9, UTC) + timedelta(hours=self.utc_offset_h)
        hour = local.hour + local.minute / 60 + local.second / 3_600 + local.microsecond / 3.6e9
        for (h0, y0), (h1, y1) in itertools.pairwise(self.points):
            if h0 <= hour < h1:
                level = y0 + (y1 - y0) * (hour - h0) / (h1 - h0)
                return max(level * self.sunday, self.least) if local.weekday() == 6 else level
        return self.points[-1][1]
