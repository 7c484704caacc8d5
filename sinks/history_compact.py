"""Many small files in, few larger ones out: same rows, same log range, fewer names to open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.batch import COLUMNS
from sinks.history_files import File, Level, publish, remove, temporary
from sinks.history_parquet import Columns, Parquet
from sinks.history_rollup import PARTIAL, merge, sort_rows


def groups(level: Level, files: Iterable[File]) -> Iterator[list[File]]:
    """Yield runs of neighbours in the log (two or more) that fit one file of the level."""
    run: list[File] = []
    for file in files:
        if run and not _fits(level, [*run, file]):
            if len(run) > 1:
                yield run
            run = []
        run.append(file)
    if len(run) > 1:
        yield run


def _fits(level: Level, run: Sequence[File]) -> bool:
    filled = [f for f in run if f.rows]
    if not filled:
        return True
    reach = max(f.to_ns for f in filled) - min(f.from_ns for f in filled)
    return sum(f.rows for f in filled) <= level.rows and (len(filled) == 1 or reach <= level.reach_ns)


def compact(level: Level, run: Sequence[File], parquet: Parquet) -> File:
    """Put a run into one file of their joint log range, then remove them; raises OSError.

    Ended anywhere, it neither loses nor doubles: until the rename the new file does not exist, from then on it
    contains the others and supersedes them.
    """
    names = tuple(PARTIAL) if level.step_ns else COLUMNS
    found = dict(parquet.read([f.path for f in run], names))
    columns = merge([found]) if level.step_ns else sort_rows(found)
    del found
    file = store(run[0].path.parent, columns, _times(run), (run[0].after, run[-1].upto), parquet)
    remove(f.path for f in run)
    return file


def store(folder: Path, columns: Columns, times: tuple[int, int], log: tuple[int, int], parquet: Parquet) -> File:
    """Write columns under the name they deserve and publish it; raises OSError, and then there is no such file."""
    file = File.named(folder, *times, *log, len(columns["series"]))
    try:
        parquet.write(temporary(file), columns)
        publish(file)
    except OSError:
        remove([temporary(file)])
        raise
    return file


def _times(run: Sequence[File]) -> tuple[int, int]:
    filled = [f for f in run if f.rows]
    return min((f.from_ns for f in filled), default=0), max((f.to_ns for f in filled), default=0)
