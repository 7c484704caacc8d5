"""A question in, columns out: raw rows or buckets of some series, from Parquet and from the log's tail.

Any process may ask while the gateway writes: it looks at names, never at a lock.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from config.errors import Rejected, Unavailable
from pipeline.batch import COLUMNS, DTYPES, Batch
from pipeline.quality import BAD
from sinks.history_files import HOURS, MINUTES, RAW, File, Level, live, scan
from sinks.history_parquet import Columns, Parquet
from sinks.history_rollup import IN_TIME, merge, summarise
from sinks.history_rows import is_good, joined, sorted_rows

Aggregate = Literal["mean", "min", "max", "sum", "first", "last", "count", "integral"]

# Most rows or partials one query may take into memory [rows].
SCAN_LIMIT: Final = 1_000_000
LIMIT: Final = 100_000
# One call for several files is quicker than one each, but its result is handed over in one go, and all others wait.
FILES_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """n rows by (series, time).

    Without a step: the rows as stored, `bad` is 1 where a row does not count. With one: `time_ns` is where the
    bucket begins, `span_ns` its step, `bad` how many rows in it did not count; a bucket in which none counted
    has value NaN and quality BAD; a bucket without any row is absent.
    """

    time_ns: npt.NDArray[np.int64]
    span_ns: npt.NDArray[np.int64]
    series: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    quality: npt.NDArray[np.uint16]
    bad: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True, slots=True)
class Question:
    """Which rows: of these series, raw in [start, end), or in buckets of `step_ns` that touch [start, end).

    `tail` holds log rows beyond position `after`; files beyond it are left out. None: only what is stored.
    """

    series: tuple[int, ...]
    start_ns: int
    end_ns: int
    step_ns: int | None = None
    aggregate: Aggregate = "mean"
    limit: int = LIMIT
    tail: Batch | None = None
    after: int | None = None


class _MovedError(Exception):
    """A compaction went on between two looks at the directory."""


class Reader:
    """Answers from the history below `root`, holding nothing open between two questions."""

    def __init__(self, root: Path, parquet: Parquet | None = None) -> None:
        self._root = root
        self._parquet = parquet or Parquet()

    def cursor(self) -> int:
        """Return the log position up to which the history is complete; raises OSError."""
        return max((f.upto for f in scan(self._root / RAW.name)), default=0)

    def count(self, after: int = 0) -> int:
        """Return how many raw rows are stored in files that begin at or beyond log position `after`."""
        return sum(f.rows for f in live(scan(self._root / RAW.name))[0] if f.after >= after)

    def answer(self, question: Question) -> Answer:
        """Return the answer; a file that vanishes (compaction, retention) is looked for once more.

        Raises Rejected when it would take too many rows or makes no sense, Unavailable when files cannot be read.
        """
        _check(question)
        error: Exception | None = None
        for _ in range(2):
            try:
                return self._rows(question) if question.step_ns is None else self._buckets(question, question.step_ns)
            except (FileNotFoundError, _MovedError) as moved:
                error = moved
            except OSError as failed:
                raise Unavailable(f"history {self._root} cannot be read: {failed}; check the disk") from failed
        raise Unavailable(f"history {self._root} changed while it was read ({error}); ask again", 1.0) from error

    def _files(self, level: Level, q: Question, start_ns: int, end_ns: int) -> list[File]:
        """Return the files of a level that may matter, in log order: those whose commit (the raw file) is there."""
        bound = q.after
        if (
            bound is None
        ):  # of raw rows everything found counts, and of roll-ups what the raw files found first bear out
            bound = sys.maxsize if level is RAW else self.cursor()
        files = live(scan(self._root / level.name))[0]
        if any(f.after < bound < f.upto for f in files):
            raise _MovedError(f"log position {bound} now lies within a file")
        return [f for f in files if f.upto <= bound and f.overlaps(start_ns, end_ns)]

    def _read(self, files: Sequence[File], names: Sequence[str], where: str, limit: int) -> list[Columns]:
        """Return the rows in log order, a few files at a time; raises Rejected beyond `limit` rows."""
        parts: list[Columns] = []
        room = limit
        for at in range(0, len(files), FILES_AT_ONCE):
            paths = [f.path for f in files[at : at + FILES_AT_ONCE]]
            parts.append(self._parquet.read(paths, names, where, room + 1))
            room -= len(parts[-1]["series"])
            if room < 0:
                raise Rejected(
                    f"the query takes more than {limit} rows; ask for fewer series, a shorter range, "
                    "or a step in whole minutes or hours"
                )
        return parts

    def _raw(self, q: Question, start_ns: int, end_ns: int, *, touching: bool) -> Columns:
        """Return raw rows and tail by (series, time): ending in [start, end), or with intervals touching it."""
        begin = "time_ns - span_ns" if touching else "time_ns"
        where = f"{_of(q.series)} AND time_ns >= {start_ns} AND {begin} < {end_ns}"
        limit = SCAN_LIMIT if touching else q.limit
        files = self._files(RAW, q, start_ns, end_ns)
        parts = [*self._read(files, COLUMNS, where, limit), _tail(q, start_ns, end_ns, touching=touching)]
        return sorted_rows(joined(parts))

    def _rows(self, q: Question) -> Answer:
        rows = self._raw(q, q.start_ns, q.end_ns, touching=False)
        _check_size(len(rows["series"]), q.limit)
        bad = (~is_good(rows)).astype(np.int64)
        return Answer(rows["time_ns"], rows["span_ns"], rows["series"], rows["value"], rows["quality"], bad)

    def _buckets(self, q: Question, step_ns: int) -> Answer:
        start = q.start_ns // step_ns * step_ns
        end = -(-q.end_ns // step_ns) * step_ns
        level = next((level for level in (HOURS, MINUTES) if step_ns % level.step_ns == 0), RAW)
        partials = self._partials(q, level, step_ns, start, end)
        if q.aggregate == "integral" and level is not RAW:
            partials = self._with_exact_integrals(q, step_ns, partials)
        answer = _aggregated(partials, step_ns, q.aggregate)
        _check_size(len(answer), q.limit)
        return answer

    def _partials(self, q: Question, level: Level, step_ns: int, start: int, end: int) -> Columns:
        if level is RAW:
            found = summarise(self._raw(q, start, end, touching=True), step_ns)
        else:
            where = f"{_of(q.series)} AND bucket_ns >= {start} AND bucket_ns < {end}"
            names = _needed(q.aggregate)
            stored = self._read(self._files(level, q, start, end), names, where, SCAN_LIMIT)
            tail = summarise(sorted_rows(_tail(q, start, end, touching=True)), MINUTES.step_ns)
            found = merge([*stored, {name: tail[name] for name in names}], step_ns)
        inside = (found["bucket_ns"] >= start) & (found["bucket_ns"] < end)
        return {name: column[inside] for name, column in found.items()}

    def _with_exact_integrals(self, q: Question, step_ns: int, partials: Columns) -> Columns:
        """Fill in what interleaving late rows left open, from raw rows where they are kept and not too many."""
        unknown = np.flatnonzero(np.isnan(partials["integral"]))
        if not len(unknown):
            return partials
        bucket = partials["bucket_ns"][unknown]
        asked = replace(q, series=tuple(np.unique(partials["series"][unknown]).tolist()))
        try:
            raw = self._partials(asked, RAW, step_ns, int(bucket.min()), int(bucket.max()) + step_ns)
        except Rejected:
            return partials  # they stay unknown, and the answer says so
        # The count tells whether all rows of the bucket are still there.
        whole = ("series", "bucket_ns", "count")
        exact = dict(zip(_tuples(raw, *whole), raw["integral"].tolist(), strict=True))
        integral = partials["integral"].copy()
        integral[unknown] = [exact.get(key, np.nan) for key in _tuples(partials, *whole, at=unknown)]
        return {**partials, "integral": integral}


def _tuples(columns: Columns, *names: str, at: npt.NDArray[np.intp] | slice = slice(None)) -> Iterator[tuple[Any, ...]]:
    return zip(*(columns[name][at].tolist() for name in names), strict=True)


def _check(q: Question) -> None:
    if q.end_ns <= q.start_ns:
        raise Rejected("the query ends before it begins: end must be later than start")
    if q.step_ns is not None and q.step_ns <= 0:
        raise Rejected("the step must be longer than zero")
    if (q.tail is None) != (q.after is None):
        raise ValueError("a tail goes with the log position it begins after")


def _check_size(rows: int, limit: int) -> None:
    if rows > limit:
        raise Rejected(f"the answer has {rows} rows, more than {limit}: ask for fewer series or a longer step")


def _needed(aggregate: Aggregate) -> tuple[str, ...]:
    """Return the columns of a partial that an aggregate comes from."""
    always = ("series", "bucket_ns", "count", "bad", "quality")
    if aggregate in IN_TIME:
        return (*always, *IN_TIME)
    return always if aggregate == "count" else (*always, "sum" if aggregate == "mean" else aggregate)


def _of(series: Sequence[int]) -> str:
    return f"series IN ({', '.join(str(int(s)) for s in series)})" if series else "false"


def _tail(q: Question, start_ns: int, end_ns: int, *, touching: bool) -> Columns:
    """Return the tail's rows of the question in log order."""
    if q.tail is None:
        return {name: np.empty(0, dtype) for name, dtype in DTYPES.items()}
    rows: dict[str, npt.NDArray[Any]] = {name: getattr(q.tail, name) for name in COLUMNS}
    begin = rows["time_ns"] - rows["span_ns"] if touching else rows["time_ns"]
    wanted = np.isin(rows["series"], q.series) & (rows["time_ns"] >= start_ns) & (begin < end_ns)
    return {name: column[wanted] for name, column in rows.items()}


def _aggregated(p: Columns, step_ns: int, aggregate: Aggregate) -> Answer:
    """Return one value per partial; see Answer for what is missing."""
    known = p["count"] > 0
    if aggregate == "mean":
        value = np.divide(p["sum"], p["count"], where=known, out=np.full(len(known), np.nan))
    else:
        value = p[aggregate].astype(np.float64)
    if aggregate == "sum":  # an interval that ended in a later bucket left an amount here, but no row
        known = known | (p["bad"] == 0) | (value != 0)
    keep = known | (p["bad"] > 0)
    if aggregate != "count":
        value = np.where(known, value, np.nan)
    known = known & ~np.isnan(value)  # an integral may be beyond knowing
    quality = np.where(known, p["quality"], BAD).astype(np.uint16)
    span = np.full(int(keep.sum()), step_ns, np.int64)
    return Answer(p["bucket_ns"][keep], span, p["series"][keep], value[keep], quality[keep], p["bad"][keep])
