"""Ledger entries → the course of every metered stream on the account's grid of intervals, and the gaps in it.

A stream is expected from its first entry on. An interval is lacking where data stands for less than its span, or where
it has no entry at all; a delta of a counter that spans a hole stands for all of it and leaves none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from carbon.entries import Activity, Entries, Integers, Line
from carbon.filling.stretch import Stretch
from carbon.ledger import Ledger
from carbon.restate import without_fallback
from pipeline import quality as q
from pipeline.batch import Qualities

FINDING_SHARE: Final = 0.05  # of a stream's period missing, or of its amount filled: to be told in the report


@dataclass(frozen=True, slots=True)
class Grid:
    """n equal intervals from `start_ns` on."""

    start_ns: int
    interval_ns: int
    count: int

    def row(self, time_ns: int) -> int:
        """Return the interval an instant lies in, which may be before the first or after the last."""
        return (time_ns - self.start_ns) // self.interval_ns

    def starts(self, rows: slice) -> Integers:
        """Return where some intervals begin."""
        return self.start_ns + self.interval_ns * np.arange(rows.start, rows.stop, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Course:
    """A stream on a grid; columns of n: amount, estimated, substituted int64 [1e-6 unit] · covered_ns int64 ·
    quality uint16 · peak float32 · booked bool, whether there is an entry · told bool: entries of another length, e.g.
    of an invoice, say what it was. `expected` are the rows between its first entry and the end."""

    key: str
    unit: str
    grid: Grid
    amount: Integers
    estimated: Integers
    substituted: Integers
    covered_ns: Integers
    quality: Qualities
    peak: npt.NDArray[np.float32]
    booked: npt.NDArray[np.bool_]
    told: npt.NDArray[np.bool_]
    expected: slice

    @property
    def filled(self) -> npt.NDArray[np.bool_]:
        """Whether each interval has been filled already."""
        flagged: npt.NDArray[np.bool_] = (self.quality & np.uint16(q.SUBSTITUTED)) != 0
        return flagged

    @property
    def lacking(self) -> npt.NDArray[np.float64]:
        """The share of each interval nothing stands for; none where the stream is not expected, or told otherwise."""
        share = 1 - self.covered_ns / self.grid.interval_ns
        share[self.told] = 0.0
        share[: self.expected.start], share[self.expected.stop :] = 0.0, 0.0
        return share

    @property
    def stretch(self) -> Stretch:
        """What was measured: filled intervals, and those only told, are as missing as those without an entry."""
        unusable = self.filled | self.told | ~self.booked
        missing = np.where(unusable, 1.0, self.lacking)
        return Stretch(self.amount - self.substituted, missing, self.grid.interval_ns, self.unit)

    def rows(self, rows: slice, stream: int) -> Activity:
        """Return some intervals as activities of a stream's number, of nothing where there is no entry."""
        start = self.grid.starts(rows)
        return Activity.make(
            start, self.grid.interval_ns, np.full(len(start), stream), self.amount[rows],
            estimated=self.estimated[rows], substituted=self.substituted[rows], covered_ns=self.covered_ns[rows],
            quality=without_fallback(self.quality[rows]), peak=self.peak[rows],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gap:
    """Consecutive intervals of a stream that lack something and have not been filled: [start, end)."""

    stream: str
    first: int  # row of its first interval
    start_ns: int
    end_ns: int
    count: int
    missing_ns: int

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + self.count)


def courses(ledger: Ledger, grid: Grid, live: Collection[str], upto: int | None = None) -> dict[str, Course]:
    """Return the course of every stream that has entries of the grid's own length.

    Streams of `live` are expected up to the last interval any stream is booked for, others up to their own last one.
    """
    lines, bypassed = ledger.lines, [n for n, meter in ledger.meters.items() if meter.bypassed]
    wanted = _one_of_each(lines)
    found: dict[str, Course] = {}
    for entries in ledger.read(grid.start_ns, grid.start_ns + grid.count * grid.interval_ns, wanted, upto):
        order = np.argsort(entries.line, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(entries.line[order])) + 1):
            line = lines[int(entries.line[rows[0]])]
            course = found.get(line.stream)
            if course is None:
                course = found[line.stream] = _empty(line, grid)
            _write(course, _unmeasured(entries.take(rows), bypassed))
    metered = {key: course for key, course in found.items() if course.booked.any()}
    end = max((_last(course) for course in metered.values()), default=0)
    return {key: _bounded(course, end if key in live else _last(course)) for key, course in metered.items()}


def _one_of_each(lines: Mapping[int, Line]) -> set[int]:
    """Return the lines to look at: all of a stream have the same amounts, so those beside the main one are spared.

    A stream may have several main lines, one after the other, as its place in the plant changed.
    """
    main = {n for n, line in lines.items() if line.method != "market" and line.scope != 3}
    streams = {lines[n].stream for n in main}
    return main | {n for n, line in lines.items() if line.stream not in streams}


def _empty(line: Line, grid: Grid) -> Course:
    n = grid.count
    amount, estimated, substituted, covered = (np.zeros(n, np.int64) for _ in range(4))
    booked, told = (np.zeros(n, np.bool_) for _ in range(2))
    quality, peak = np.zeros(n, np.uint16), np.full(n, np.nan, np.float32)
    return Course(
        line.stream, line.unit, grid, amount, estimated, substituted, covered, quality, peak, booked, told, slice(0, n)
    )


def _unmeasured(entries: Entries, bypassed: Collection[int]) -> Entries:
    """Return the entries, those of bypassed meters without what these showed: it is no measurement."""
    past = np.isin(entries.meter, list(bypassed))
    if not past.any():
        return entries
    amount = np.where(past, entries.substituted, entries.amount)
    estimated, covered = (np.where(past, 0, column) for column in (entries.estimated, entries.covered_ns))
    return replace(entries, amount=amount, estimated=estimated, covered_ns=covered)


def _write(course: Course, entries: Entries) -> None:
    """Put entries into the columns of a course being made."""
    grid = course.grid
    at = (entries.start_ns - grid.start_ns) // grid.interval_ns
    own = (entries.span_ns == grid.interval_ns) & (entries.start_ns == grid.start_ns + at * grid.interval_ns)
    for name in ("amount", "estimated", "substituted", "covered_ns", "quality", "peak"):
        getattr(course, name)[at[own]] = getattr(entries, name)[own]
    course.booked[at[own]] = True
    for first, span in zip(at[~own].tolist(), entries.span_ns[~own].tolist(), strict=True):
        course.told[first : first - (-span // grid.interval_ns)] = True


def _last(course: Course) -> int:
    return int(np.flatnonzero(course.booked)[-1]) + 1


def _bounded(course: Course, end: int) -> Course:
    """Return the course, expected up to `end` from its first interval on.

    What its very first interval lacks is no gap: the stream began within it.
    """
    first = int(np.flatnonzero(course.booked)[0])
    begun = first + int(course.covered_ns[first] < course.grid.interval_ns)
    return replace(course, expected=slice(begun, max(begun, end)))


def gaps(course: Course, period: slice | None = None) -> Iterator[Gap]:
    """Yield the gaps of a course that begin in some of its rows, oldest first."""
    lacking = course.lacking
    open_ = (lacking > 0) & ~course.filled
    if period is not None:
        open_[: max(period.start, 0)], open_[max(period.stop, 0) :] = False, False
    edges = np.flatnonzero(np.diff(open_.astype(np.int8), prepend=0, append=0))
    for first, end in edges.reshape(-1, 2).tolist():
        missing = int((course.grid.interval_ns - course.covered_ns[first:end]).sum())
        start_ns, interval_ns = course.grid.start_ns, course.grid.interval_ns
        yield Gap(course.key, first, start_ns + first * interval_ns, start_ns + end * interval_ns, end - first, missing)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a stream in a period: shares of its time and of its amount."""

    stream: str
    missing: float  # share of the time that is neither measured nor filled
    filled: float  # share of the time that is filled
    substituted: float  # share of the amount
    estimated: float  # share of the amount


def standing(course: Course, period: slice | None = None) -> Standing:
    """Return the shares of a stream in some rows, of those it is expected in."""
    whole = course.expected
    start, stop = (whole.start, whole.stop) if period is None else (period.start, period.stop)
    rows = slice(max(whole.start, start), max(whole.start, min(whole.stop, stop)))
    lacking, filled = course.lacking[rows], course.filled[rows]
    time, amount = max(len(lacking), 1), max(int(np.abs(course.amount[rows]).sum()), 1)
    return Standing(
        course.key,
        float(lacking[~filled].sum()) / time,
        float(lacking[filled].sum()) / time,
        int(np.abs(course.substituted[rows]).sum()) / amount,
        int(np.abs(course.estimated[rows]).sum()) / amount,
    )


def finding(known: Standing, period: str) -> str:
    """Return the sentence a report has to say of a stream, "" where at most 5 % is missing or substituted."""
    parts = []
    if known.missing > FINDING_SHARE:
        parts.append(f"{100 * known.missing:.1f} % of the time is missing and not filled")
    substituted = max(known.substituted, known.filled)
    if substituted > FINDING_SHARE:
        parts.append(f"{100 * substituted:.1f} % is substituted")
    return f"{known.stream}: in {period} {' and '.join(parts)}; more than 5 % of a stream is a finding" if parts else ""
