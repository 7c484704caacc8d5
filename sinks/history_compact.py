"""Many small files in, few larger ones out: same rows, same log range, fewer names to open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from sinks.history_cut import Growing, types_of
from sinks.history_files import File, Level, remove
from sinks.history_parquet import Columns, Parquet
from sinks.history_rollup import merge
from sinks.history_rows import sort_rows

_BAND_ROWS: Final = 120_000  # in memory at a time


def groups(level: Level, files: Iterable[File]) -> Iterator[list[File]]:
    """Yield runs of neighbours in the log (two or more) that fit one file of the level.

    A large file is left alone until those after it hold as much: else each hour would write it anew for a few rows.
    Nor does it take in the file of no rows that retention left before it. A hole ends a run: no name may close it.
    """
    run: list[File] = []
    for file in files:
        if run and (file.after != run[-1].upto or not _fits(level, [*run, file])):
            yield from _worth_it(run)
            run = []
        run.append(file)
    yield from _worth_it(run)


def _worth_it(run: list[File]) -> Iterator[list[File]]:
    rest = sum(f.rows for f in run)
    while run and (run[0].rows > (rest := rest - run[0].rows) or (rest and not run[0].rows)):
        run = run[1:]
    if len(run) > 1:
        yield run


def _fits(level: Level, run: Sequence[File]) -> bool:
    filled = [f for f in run if f.rows]
    if not filled:
        return True
    reach = max(f.to_ns for f in filled) - min(f.from_ns for f in filled)
    return sum(f.rows for f in filled) <= level.rows and (len(filled) == 1 or reach <= level.reach_ns)


def compact(root: Path, level: Level, run: Sequence[File], parquet: Parquet) -> File:
    """Put a run into one file of their joint log range, then remove them; raises OSError.

    Ended anywhere, it neither loses nor doubles: until the rename the new file does not exist, from then on it
    contains the others and supersedes them.
    """
    growing = Growing(root, level, run[0].after, run[-1].upto)
    try:
        for columns in _by_series(level, [f for f in run if f.rows], parquet):
            growing.add(columns)
        file = growing.publish()
    except BaseException:
        with suppress(OSError):  # what stays is removed at the next start
            growing.abandon()
        raise
    remove(f.path for f in run)
    return file


def _by_series(level: Level, files: Sequence[File], parquet: Parquet) -> Iterator[Columns]:
    """Yield the rows of all files in their final order, some series at a time: few are in memory."""
    paths = [f.path for f in files]
    for first, last in _bands(files, parquet):
        found = dict(parquet.read(paths, types_of(level), f"series BETWEEN {first} AND {last}"))
        yield merge([found]) if level.step_ns else sort_rows(found)


def _bands(files: Sequence[File], parquet: Parquet) -> Iterator[tuple[int, int]]:
    """Yield (first, last) series of stretches of so many rows."""
    if not files:
        return
    series, rows = parquet.counts([f.path for f in files])
    begin = taken = 0
    for at, count in enumerate(rows.tolist()):
        if taken and taken + count > _BAND_ROWS:
            yield int(series[begin]), int(series[at - 1])
            begin, taken = at, 0
        taken += count
    yield int(series[begin]), int(series[-1])
