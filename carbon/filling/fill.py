"""Gaps of the ledger and the configuration's knowledge of a plant → what fills them, and the entries that do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.books import Books
from carbon.entries import Activity
from carbon.filling.gaps import Course, Gap, Grid, courses, gaps
from carbon.filling.stretch import Direction, Hole
from carbon.filling.substitute import Evidence, Filling, fill, substitute
from carbon.ledger import Ledger, Reason, Writing
from carbon.refresh import keeping_all
from carbon.streams import Stream
from config.errors import GatewayError
from pipeline.clock import SECOND_NS

WEEKS: Final = 53  # how far from a gap like windows are looked for
_WEEK: Final = timedelta(days=7)
_HISTORY_NS: Final = WEEKS * 7 * 86_400 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Aids:
    """Streams a person names as further evidence for one stream."""

    check: str = ""  # a second meter of the same flow
    driver: str = ""  # what it depends on
    counted: int | None = None  # what its counter says of the one gap there is [1e-6 unit]


@dataclass(frozen=True, slots=True)
class Planned:
    """A gap and what fills it, or why nothing does."""

    gap: Gap
    unit: str
    filling: Filling | str


@dataclass(frozen=True, slots=True)
class Signed:
    """Who fills, why, and who approved of it."""

    by: str
    approved_by: str
    text: str


def account_grid(ledger: Ledger, books: Books, start_ns: int, end_ns: int) -> tuple[Grid, slice]:
    """Return the grid of a period and of the history about it, as far as the ledger goes, and the rows of the period.

    Raises GatewayError for a ledger without entries.
    """
    extent = ledger.extent()
    if extent is None:
        raise GatewayError("the ledger has no entries yet; the first come when an interval is over")
    first = books.interval_of(max(start_ns - _HISTORY_NS, extent[0]))
    end = books.interval_of(min(end_ns + _HISTORY_NS, extent[1])) + books.interval_ns
    grid = Grid(first, books.interval_ns, max(end - first, 0) // books.interval_ns)
    return grid, slice(max(grid.row(start_ns), 0), max(-(-(end_ns - first) // books.interval_ns), 0))


def read_courses(ledger: Ledger, books: Books, grid: Grid) -> dict[str, Course]:
    """Return the course of every stream of the ledger that is metered; virtual ones follow from their parts."""
    if books.live:
        books.live.open(ledger)  # what is filled counts by what is known of its hours
    found = courses(ledger, grid, books.streams.keys())
    return {key: c for key, c in found.items() if key not in books.streams or books.streams[key].virtual is None}


def plan(
    books: Books, found: Mapping[str, Course], period: slice, streams: Collection[str], aids: Aids = Aids()
) -> list[Planned]:
    """Return every open gap of some streams that begins in a period, with what would fill it.

    Raises GatewayError where a counter's difference is given and there is not one gap it can stand for.
    """
    open_ = [gap for key in streams for gap in gaps(found[key], period)]
    if aids.counted is not None and len(open_) != 1:
        raise GatewayError(f"a counter's difference is of one gap, here are {len(open_)}; narrow --from and --to")
    return [Planned(gap, found[gap.stream].unit, _filling(books, found, gap, aids)) for gap in open_]


def write(
    ledger: Ledger, writing: Writing, books: Books, found: Mapping[str, Course], planned: Planned, signed: Signed
) -> None:
    """Append the entries that fill one gap, with method and reason; what was booked in it keeps its factors."""
    if isinstance(planned.filling, str):
        return
    rows = _rows(books, found, planned.gap)
    entries = keeping_all(ledger, writing, books.entries(writing, fill(rows, planned.filling.amounts)))
    text = f"{signed.text} [{planned.filling.reason}]"
    writing.entries(entries, Reason("substitution", text, signed.by, signed.approved_by, planned.filling.method))


def _rows(books: Books, found: Mapping[str, Course], gap: Gap) -> Activity:
    return found[gap.stream].rows(gap.rows, books.names.index(gap.stream))


def _filling(books: Books, found: Mapping[str, Course], gap: Gap, aids: Aids) -> Filling | str:
    stream = books.streams.get(gap.stream)
    if stream is None:
        return "the stream is no longer configured"
    if stream.role == "memo":
        return "it is kept beside the account and not estimated"
    course = found[gap.stream]
    stretch = course.stretch
    hole = Hole(gap.first, course.lacking[gap.rows])
    direction: Direction = "down" if stream.role in ("own", "export") else "up"
    return substitute(stretch, hole, _evidence(books, found, gap, stream, aids), direction)


def _evidence(books: Books, found: Mapping[str, Course], gap: Gap, stream: Stream, aids: Aids) -> Evidence:
    parent, siblings, why = _above(books, found, stream)
    asset = books.config.areas[stream.area].assets[stream.asset]
    return Evidence(
        counted=aids.counted,
        parent=parent.stretch if parent else None,
        siblings=tuple(s.stretch for s in siblings),
        no_parent=why,
        check=found[aids.check].stretch if aids.check else None,
        driver=found[aids.driver].stretch if aids.driver else None,
        like=like_starts(found[gap.stream].grid, gap.start_ns, books.zone),
        rated_kw=asset.rated_kw if stream.carrier == "electricity" else None,
    )


def like_starts(grid: Grid, start_ns: int, zone: ZoneInfo) -> npt.NDArray[np.int64]:
    """Return the rows of the same weekday and time of the site's clock, up to a year of weeks before and after."""
    local = datetime.fromtimestamp(start_ns // SECOND_NS, zone).replace(tzinfo=None)
    weeks = (local + number * _WEEK for number in range(-WEEKS, WEEKS + 1))
    return np.array([grid.row(int(week.replace(tzinfo=zone).timestamp()) * SECOND_NS) for week in weeks], np.int64)


def _above(books: Books, found: Mapping[str, Course], stream: Stream) -> tuple[Course | None, list[Course], str]:
    """Return the course of the meter above, those of all others right below it, and why there is none."""
    above = {key: fed_from(books, s) for key, s in books.streams.items() if s.virtual is None}
    key = above.get(stream.key)
    if key is None or key not in found:
        return None, [], "no meter above it counts the same"
    if stream.carrier == "electricity" and any(s.role in ("own", "export") for s in books.streams.values()):
        return None, [], "power is made on the site or exported, so that the meter above does not count all"
    others = [other for other, its in above.items() if its == key and other != stream.key]
    if any(other not in found for other in others) or books.streams[key].reference != stream.reference:
        return None, [], "a meter beside it has no entries, or the meter above measures in another state of the gas"
    return found[key], [found[other] for other in others], ""


def fed_from(books: Books, stream: Stream) -> str | None:
    """Return the nearest stream above that counts the same carrier, None where the stream is nobody's part."""
    if stream.role != "breakdown":
        return None
    assets = {name: asset for area in books.config.areas.values() for name, asset in area.assets.items()}
    above = assets[stream.asset].fed_by
    for _ in assets:  # a plant that feeds itself has no end
        if above is None or f"{above}.{stream.carrier}" in books.streams:
            break
        above = assets[above].fed_by
    return None if above is None else f"{above}.{stream.carrier}"
