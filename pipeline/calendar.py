"""The site's clock and shifts → windows (start, end] in UTC: parts of an hour, shifts, days, months."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from config.windows import During
from pipeline.clock import SECOND_NS

DAY_NS: Final = 86_400 * SECOND_NS
_MINUTES: Final = {"15min": 15, "30min": 30, "60min": 60}
_NOMINAL_H: Final = {"15min": 0.25, "30min": 0.5, "60min": 1.0, "shift": 8.0, "day": 24.0, "month": 744.0}
_EPOCH: Final = date(1970, 1, 1)
_DAYS: Final = date(9000, 1, 1).toordinal() - _EPOCH.toordinal()
Edges = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # starts and ends, in order


@dataclass(frozen=True, slots=True)
class Calendar:
    """Windows on the site's clock; `during` leaves out those that do not (off_shift: that do) begin within a shift.

    Parts of an hour are counted from local midnight, so the days of changing clocks have 23 or 25 hours and a
    Kathmandu hour begins at :15 UTC. A shift may run over midnight and belongs to the day it begins on.
    """

    zone: ZoneInfo
    every: str  # 15min, 30min, 60min, shift, day, month
    shifts: tuple[tuple[time, time], ...] = ()
    during: During = "always"

    @property
    def name(self) -> str:
        """What tells calendars of other windows apart, e.g. `Asia/Shanghai 60min always`."""
        hours = "".join(f" {a:%H:%M:%S}-{b:%H:%M:%S}" for a, b in self.shifts) if self._by_shift else ""
        return f"{self.zone.key} {self.every} {self.during}{hours}"

    @property
    def _by_shift(self) -> bool:
        return self.every == "shift" or self.during != "always"

    @property
    def longest_ns(self) -> int:
        """The longest interval that is spread over windows: a clock that was decades off must not open them all."""
        return int(min(1_000 * _NOMINAL_H[self.every], 400 * 24.0) * 3_600) * SECOND_NS

    def windows(self, spans: Iterable[tuple[int, int]]) -> Edges:
        """Return every window that may share time with one of the spans (start, end) [ns UTC]."""
        days = {d for a, b in spans for d in range(max(0, a // DAY_NS - 2), min(b // DAY_NS + 2, _DAYS))}
        dates: Iterable[date] = (_EPOCH + timedelta(days=d) for d in sorted(days))
        if self.every == "month":
            dates = sorted({d.replace(day=1) for d in dates})
        edges = [edge for d in dates for edge in _begun_on(self, d)]
        table = np.array(edges, np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def around(self, time_ns: int) -> tuple[int, int] | None:
        """Return the window an instant lies in; None where there is none."""
        starts, ends = self.windows([(time_ns, time_ns)])
        at = int(np.searchsorted(ends, time_ns))
        return (int(starts[at]), int(ends[at])) if at < len(ends) and starts[at] < time_ns else None

    def counts(self, begins: time) -> bool:
        """Return whether a window that begins at this local time is one of ours."""
        if self.every == "shift" or self.during == "always":
            return True
        inside = any(a <= begins < b if a < b else begins >= a or begins < b for a, b in self.shifts)
        return inside == (self.during == "shifts")


@lru_cache(maxsize=4_096)
def _begun_on(calendar: Calendar, day: date) -> tuple[tuple[int, int], ...]:
    """Return the windows that begin on a local day."""
    zone, following = calendar.zone, day + timedelta(days=1)
    if calendar.every == "month":
        ends = (day + timedelta(days=31)).replace(day=1)
        return ((_instant(day, time(), zone), _instant(ends, time(), zone)),)
    if calendar.every == "shift":
        found = [
            (_instant(day, a, zone), _instant(day if a < b else following, b, zone)) for a, b in sorted(calendar.shifts)
        ]
        return tuple((a, b) for a, b in found if a < b)
    begin, end = _instant(day, time(), zone), _instant(following, time(), zone)
    if calendar.every == "day":
        return ((begin, end),)
    return tuple(_parts(calendar, begin, end))


def _parts(calendar: Calendar, begin: int, end: int) -> Iterator[tuple[int, int]]:
    length = _MINUTES[calendar.every] * 60 * SECOND_NS
    for start in range(begin, end, length):
        local = datetime.fromtimestamp(start // SECOND_NS, UTC).astimezone(calendar.zone)
        if calendar.counts(local.time()):
            yield start, min(start + length, end)


def _instant(day: date, at: time, zone: ZoneInfo) -> int:
    """Return a local time as ns UTC; one the clocks leave out is as long after the last that is there."""
    return int(datetime.combine(day, at, zone).timestamp()) * SECOND_NS
