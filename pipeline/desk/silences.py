"""What keeps alerts from being told for a while: silences people set, and the configured times of maintenance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from config.notify import Maintenance, Match

MAINTENANCE: Final = "maintenance"  # who set the silence of a maintenance window
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that are recorded but not told from `from_ns` until `until_ns`: id `s<position in the log>`, or
    `m<number>@<second it begins>` for a maintenance window.
    """

    id: str
    match: Match
    from_ns: int
    until_ns: int
    why: str
    by: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"match": self.match.model_dump(mode="json", exclude_defaults=True)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**data | {"match": Match.model_validate(data["match"])})


def maintained(windows: Sequence[Maintenance], zone: ZoneInfo, at_ns: int) -> dict[str, Silence]:
    """Return the silences of the maintenance windows that are open at an instant.

    A weekly window has the hours of the site's clock on the day it begins, also when clocks change within it; one
    whose end is not after its start runs over midnight.
    """
    found = {}
    for number, window in enumerate(windows):
        for start, end in _occurrences(window, zone, at_ns):
            if start <= at_ns < end:
                silence = Silence(f"m{number}@{start // _SECOND_NS}", window.match, start, end, window.why, MAINTENANCE)
                found[silence.id] = silence
    return found


def _occurrences(window: Maintenance, zone: ZoneInfo, at_ns: int) -> Iterator[tuple[int, int]]:
    """Yield the spans [ns UTC] of a window that may hold an instant."""
    if not window.days:
        yield _ns(datetime.fromisoformat(window.start), zone), _ns(datetime.fromisoformat(window.end), zone)
        return
    today = datetime.fromtimestamp(at_ns / _SECOND_NS, zone).date()
    start, end = time.fromisoformat(window.start), time.fromisoformat(window.end)
    for day in (today - timedelta(days=1), today):
        if _DAYS[day.weekday()] in window.days:
            last = day if end > start else day + timedelta(days=1)
            yield _at(day, start, zone), _at(last, end, zone)


def _at(day: date, clock: time, zone: ZoneInfo) -> int:
    return _ns(datetime.combine(day, clock), zone)


def _ns(local: datetime, zone: ZoneInfo) -> int:
    """Return a site's time in ns UTC; one with an offset of its own keeps it."""
    there = local if local.tzinfo else local.replace(tzinfo=zone)
    return int(there.timestamp()) * _SECOND_NS
