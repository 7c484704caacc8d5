"""A data directory, its gateway running or not → batches as they were delivered once, revision by revision.

From the history where it holds them, from the log beyond it, the account's from the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from carbon.ledger import Ledger
from carbon.ledger.file import has_begun
from carbon.publish import rows_of
from config.errors import GatewayError
from pipeline.batch import COLUMNS, LEDGER, WINDOW, Batch, Header, Window, concat
from pipeline.clock import SECOND_NS
from pipeline.log.log import LogReader
from pipeline.series import SeriesTable
from sinks.history_files import RAW, File, live, scan
from sinks.history_parquet import Columns, Parquet
from tanflow import revision

_AT_ONCE: Final = 500_000  # rows of a file in memory
_PIECE_ROWS: Final = 20_000  # of the log
_LONGEST_NS: Final = 367 * 86_400 * SECOND_NS  # of an entry of the account
_EVER: Final = 2**62
_HEADER: Final = Header("resend", 0, "", 0, 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows: of series whose key matches a pattern those whose time lies in [start, end), or by their commits.

    Of log positions [first, last] more than these come: whole files of the history, and all of the account, whose rows
    tell of times long before their commit.
    """

    start_ns: int = 0
    end_ns: int = _EVER
    pattern: str = "*"
    first: int = 1
    last: int = _EVER

    @property
    def is_of_positions(self) -> bool:
        """Return whether it was said by commits."""
        return self.last < _EVER

    def during(self, begin_ns: int, end_ns: int) -> tuple[int, int]:
        """Return what is wanted of [begin, end)."""
        return max(begin_ns, self.start_ns), min(end_ns, self.end_ns)

    def series(self, table: SeriesTable) -> npt.NDArray[np.bool_]:
        """Return which ids are wanted."""
        return np.array([s is not None and fnmatchcase(s.key, self.pattern) for s in table.specs], bool)


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one revision: log positions [first, beyond); `edges`: where (position, ns) all later ones begin."""

    table: SeriesTable
    first: int
    beyond: int
    edges: tuple[tuple[int, int], ...]

    def times(self, after: int, upto: int) -> tuple[int, int]:
        """Return which times [begin, end) of a file of log positions (after, upto] are its own.

        Where a clock was set back two revisions may claim a time: the later one has it.
        """
        begin = -_EVER if self.first <= after + 1 else self._earliest(self.first, upto)
        return begin, self._earliest(self.beyond, upto)

    def _earliest(self, first: int, upto: int) -> int:
        return min((at_ns for position, at_ns in self.edges if first <= position <= upto), default=_EVER)


@dataclass(slots=True)
class KeptRows:
    """The rows of a data directory, to be read through once more."""

    folder: Path
    reader: LogReader
    parquet: Parquet = field(default_factory=Parquet)

    def parts(self) -> list[Part]:
        """Return the past by the revision in force, oldest first: tags may have changed.

        It is told by the order of the log, for clocks are set, also back; only within a file of the history by time.
        """
        eras = revision.eras(self.reader)
        if not eras:
            raise GatewayError(f"{self.folder}: no gateway has run here yet")
        first = [0]
        for era in eras[1:]:
            first.append(max(first[-1] + 1, era.position or self._begun(era)))
        first.append(_EVER)
        edges = tuple(zip(first[1:], (era.at_ns for era in eras[1:]), strict=False))
        return [Part(era.table, *at, edges) for era, at in zip(eras, pairwise(first), strict=True)]

    def _begun(self, era: revision.Era) -> int:
        """Return where a revision of an earlier version began: in the first file that reaches its time, or in the log.

        Not at a file's first position: what it holds of before is the revision's that was in force then.
        """
        position = 0
        for f in self._files(0):
            if f.rows and f.to_ns >= era.at_ns:
                return min(f.after + 2, f.upto)
            position = f.upto
        while windows := self.reader.read(position, _PIECE_ROWS):
            for w in windows:
                if any(b.header.revision >= era.table.revision for b in w.batches):
                    return w.position
            position = windows[-1].position
        return position + 1

    def oldest(self) -> tuple[int, int]:
        """Return from which log position on, and when, rows are kept; older ones are roll-ups only."""
        files = [f for f in self._files(0) if f.rows]
        first = min([self.reader.first_position(), *(f.after + 1 for f in files)])
        return first, min((f.from_ns for f in files), default=0)

    def estimate(self, wanted: Wanted) -> int:
        """Return about how many rows of the history lie in a stretch, of all series."""
        files = [f for f in self._within(wanted) if f.overlaps(wanted.start_ns, wanted.end_ns)]
        return sum(round(f.rows * _share(f, wanted)) for f in files)

    def batches(self, part: Part, wanted: Wanted) -> Iterator[Batch]:
        """Yield a part's rows, the account's last; those of files that are put together meanwhile may come twice."""
        of = wanted.series(part.table)
        files = self._within(wanted)
        position = max(part.first, min([wanted.first, *(f.after + 1 for f in files)])) - 1
        beyond = min(part.beyond, 1 + max([wanted.last, *(f.upto for f in files)]))
        while position + 1 < beyond:
            file = next(iter(self._files(position)), None)
            if windows := self._held(position, file):
                if file is None and windows[0].position > position + 1 and self._files(position):
                    continue  # the log has let go of what a new file holds
                position = windows[-1].position
                yield _of_log([w for w in windows if w.position < beyond], wanted, of)
            elif file is None or file.after + 1 >= beyond:
                break
            else:
                try:
                    yield from self._stored(file, part, wanted, of)
                except FileNotFoundError:
                    continue  # it is part of a longer one now
                position = file.upto
        yield from self._booked(part, wanted, of)

    def _held(self, position: int, file: File | None) -> list[Window]:
        """Return what comes next of the log alone: beyond the files, or where one before the next is missing."""
        if file is not None and file.after <= position:
            return []
        upto = _EVER if file is None else file.after
        return [w for w in self.reader.read(position, _PIECE_ROWS) if w.position <= upto]

    def _within(self, wanted: Wanted) -> list[File]:
        return [f for f in self._files(wanted.first - 1) if f.after < wanted.last]

    def _files(self, after: int) -> list[File]:
        folder = self.folder / "history" / RAW.name
        return [f for f in live(scan(folder))[0] if f.upto > after] if folder.is_dir() else []

    def _stored(self, file: File, part: Part, wanted: Wanted, of: npt.NDArray[np.bool_]) -> Iterator[Batch]:
        """Yield a part's rows of a file in slices of its time, each by time: what shares a line is together."""
        begin, end = wanted.during(*part.times(file.after, file.upto))
        if begin >= end or not file.overlaps(begin, end):
            return
        begin, end = max(file.from_ns, begin), min(file.to_ns + 1, end)
        slices = -(-file.rows // _AT_ONCE)
        for low, high in pairwise(begin + (end - begin) * n // slices for n in range(slices + 1)):
            where = f"time_ns >= {low} AND time_ns < {high}"
            rows = self.parquet.read([file.path], COLUMNS, where)
            if len(rows["series"]):
                yield _in_time(rows, of)

    def _booked(self, part: Part, wanted: Wanted, of: npt.NDArray[np.bool_]) -> Iterator[Batch]:
        begin, end = wanted.during(*part.times(-1, _EVER))
        if begin >= end or not has_begun(self.folder):
            return
        header = Header(LEDGER, part.table.revision, "", 0, 0, WINDOW)
        with Ledger.open(self.folder) as ledger:
            for entries in ledger.read(begin - _LONGEST_NS, end):
                ends = entries.start_ns + entries.span_ns
                inside = np.flatnonzero((ends >= begin) & (ends < end))
                for batch in rows_of(entries.take(inside), ledger.lines, part.table.ids, header):
                    yield batch.take(of[batch.series])


def _of_log(windows: list[Window], wanted: Wanted, of: npt.NDArray[np.bool_]) -> Batch:
    both = concat(_HEADER, [b for w in windows for b in w.batches if b.header.connection != LEDGER])
    inside = (both.time_ns >= wanted.start_ns) & (both.time_ns < wanted.end_ns)
    return both.take(inside & of[both.series])


def _share(file: File, wanted: Wanted) -> float:
    """Return how much of a file's time a stretch covers."""
    whole = max(1, file.to_ns - file.from_ns)
    return min(1.0, (min(file.to_ns, wanted.end_ns) - max(file.from_ns, wanted.start_ns) + 1) / whole)


def _in_time(rows: Columns, of: npt.NDArray[np.bool_]) -> Batch:
    """Return the wanted rows by time; of equal times and series the later stays behind the earlier."""
    kept = np.flatnonzero(of[rows["series"]])
    order = kept[np.argsort(rows["time_ns"][kept], kind="stable")]
    time_ns, span_ns, series, value, quality = (np.ascontiguousarray(rows[name][order]) for name in COLUMNS)
    return Batch(_HEADER, time_ns, span_ns, series, value, quality)
