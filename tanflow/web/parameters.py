"""Text of a URL's parameters → checked values; what cannot be meant is a sentence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from starlette.datastructures import QueryParams

from config.errors import Rejected
from config.quantities import QUANTITIES
from pipeline.clock import SECOND_NS

_LISTS: Final = ("series", "quantity")
_LONGEST: Final = 200  # characters of a value that is no list
_UNITS_S: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})(s|min|h|d|w)", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_MOST: Final = 2**63 - 1  # what the databases count to
_LAST_NS: Final = 7_258_118_400 * SECOND_NS  # 2200-01-01
_LEAST_NS: Final = 1_000_000 * SECOND_NS  # fewer nanoseconds than this are seconds or milliseconds by mistake
_STEP_MAX_S: Final = 366 * 86_400


def only(given: QueryParams, *known: str) -> None:
    """Raise Rejected for a parameter that is not known, given twice or too long; `series` may repeat."""
    unknown = sorted(set(given.keys()) - set(known))
    if unknown:
        names = ", ".join(repr(name[:50]) for name in unknown[:5])
        allowed = f"known here: {', '.join(known)}" if known else "there are none here"
        raise Rejected(f"unknown parameter {names}; {allowed}")
    for name in known:
        values = given.getlist(name)
        if name != "series" and len(values) > 1:
            raise Rejected(f"'{name}' is given {len(values)} times; give it once")
        if name not in _LISTS and any(len(value) > _LONGEST for value in values):
            raise Rejected(f"'{name}' is longer than {_LONGEST} characters")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which series: of one asset, with `match` in the key, of some quantities; empty means any."""

    asset: str = ""
    match: str = ""
    quantities: tuple[str, ...] = ()


def series_filter(given: QueryParams) -> Filter:
    """Return the filter `asset`, `match` and `quantity` (several with commas) describe."""
    quantities = tuple(part for part in given.get("quantity", "").split(",") if part)
    if unknown := [q for q in quantities if q not in QUANTITIES]:
        raise Rejected(f"unknown quantity '{unknown[0]}'; {alike(unknown[0], QUANTITIES)}")
    return Filter(given.get("asset", ""), given.get("match", ""), quantities)


def alike(name: str, known: Iterable[str]) -> str:
    """Return a hint at what may have been meant."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else "see /api/series for what there is"


def choice(given: QueryParams, name: str, choices: tuple[str, ...], default: str) -> str:
    """Return one of `choices`."""
    value = given.get(name, default)
    if value not in choices:
        raise Rejected(f"{name}={value!r} is none of {', '.join(choices)}")
    return value


def whole(given: QueryParams, name: str, default: int) -> int:
    """Return a whole number, 0 or greater."""
    text = given.get(name, str(default))
    if not _DIGITS.fullmatch(text) or int(text) > _MOST:
        raise Rejected(f"{name}={text!r} is no whole number up to {_MOST}")
    return int(text)


def duration_ns(text: str, name: str) -> int:
    """Return the nanoseconds of `90s`, `15min`, `1h`, `7d`, `2w`."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise Rejected(f"{name}={text!r} is no duration; write e.g. 1s, 15min, 1h or 7d")
    return int(found[1]) * _UNITS_S[found[2]] * SECOND_NS


def step_ns(text: str) -> int | None:
    """Return the step, None for `none`."""
    if text == "none":
        return None
    step = duration_ns(text, "step")
    if step > _STEP_MAX_S * SECOND_NS:
        raise Rejected(f"step={text!r} is longer than 366 days")
    return step


def time_ns(text: str, name: str, now_ns: int, zone: ZoneInfo) -> int:
    """Return an instant [ns UTC]: `now`, `today` (the site's midnight), `-1h`, nanoseconds since 1970, ISO 8601."""
    if text in ("now", "today"):
        at = now_ns if text == "now" else _midnight_ns(now_ns, zone)
    elif text.startswith("-"):
        at = now_ns - duration_ns(text[1:], name)
    elif _DIGITS.fullmatch(text):
        at = int(text)
        if 0 < at < _LEAST_NS:
            raise Rejected(f"{name}={text} is in the first days of 1970; times are nanoseconds, or write ISO 8601")
    else:
        at = _iso_ns(text, name)
    if not 0 <= at < _LAST_NS:
        raise Rejected(f"{name}={text!r} is not between the years 1970 and 2200")
    return at


def _iso_ns(text: str, name: str) -> int:
    try:
        # In a URL a bare + of a zone arrives as a space.
        at = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", text))
        since = (at - datetime(1970, 1, 1, tzinfo=UTC)) if at.tzinfo else None
    except (ValueError, OverflowError):
        raise Rejected(
            f"{name}={text!r} is no time; write 2026-03-01T08:00:00Z, nanoseconds since 1970, -1h, today or now"
        ) from None
    if since is None:
        raise Rejected(f"{name}={text!r} does not say its zone; append Z or e.g. %2B08:00")
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1_000


def _midnight_ns(now_ns: int, zone: ZoneInfo) -> int:
    now = datetime.fromtimestamp(now_ns // SECOND_NS, zone)
    return int(now.replace(hour=0, minute=0, second=0).timestamp()) * SECOND_NS
