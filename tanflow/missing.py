"""Log and names of the history's files → the log positions whose rows are in neither, or twice, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Final

from pipeline.archive import REACHED
from pipeline.log.log import LogReader
from sinks.history_files import LEVELS, RAW, File, holes, live, scan
from tanflow.instants import at

_MOST: Final = 20  # sentences of a kind


def missing(folder: Path, log: LogReader) -> list[str]:
    """Return what was kept once and is not there any more, though it is not too old, or is there twice. Raises OSError.

    The log's rows begin where the history's end, and each level of the history tells of all positions before, but for
    those an earlier version has retired. A gateway may run: the log is looked at first, raw files next; what is written
    meanwhile only fills more.
    """
    first, reached = log.first_position(), log.cursor(REACHED).position
    found: dict[tuple[int, int], list[str]] = {}
    raw: list[File] = []
    twice: list[str] = []
    upto = 0
    for level in LEVELS:
        place = folder / "history" / level.name
        files = live(scan(place))[0] if place.is_dir() else []
        if level is RAW:
            raw, upto = files, goes_on(max((f.upto for f in files), default=0), first, reached)
        for hole in holes(files, upto):
            if reached or hole[0] or not files:
                found.setdefault(hole, []).append(level.name)
        twice += _twice(files)
    gone = [
        f"{', '.join(f'history/{name}' for name in names)}: {_what(hole, raw, log)}, and the log begins at {first}. "
        "Is its disk mounted? Stop the gateway and put the missing files back, or restore a backup (tanflow restore)"
        for hole, names in sorted(found.items())
    ]
    return [*gone[:_MOST], *twice[:_MOST]]


def goes_on(archived: int, first: int, reached: int) -> int:
    """Return the log position up to which nothing is to be cut, of files that end at `archived`.

    Where the log, which begins at `first`, has let go of what came next, files are missing: then behind all that was
    ever cut, so that they fit before what is written since.
    """
    return archived if archived >= first - 1 else max(first - 1, reached)


def missing_in(folder: Path) -> list[str]:
    """Return the same of a directory whose log nobody has open."""
    with closing(LogReader(folder)) as log:
        return missing(folder, log)


def _twice(files: Sequence[File]) -> list[str]:
    return [
        f"{b.path} tells of log positions {b.after + 1} to {a.upto}, and so does {a.path.name}: rows count twice. "
        "Was a history put back beside what was written since? Stop the gateway and move one of the two away"
        for a, b in pairwise(files)
        if b.after < a.upto
    ]


def _what(hole: tuple[int, int], raw: Sequence[File], log: LogReader) -> str:
    after, upto = hole
    since = max((f.to_ns for f in raw if f.rows and f.upto <= after), default=0)
    until = min(filter(None, [log.received_ns(upto), *(f.to_ns for f in raw if f.rows and f.after >= upto)]), default=0)
    times = [*([f"after {at(since)}"] if since else []), *([f"before {at(until)}"] if until else [])]
    during = f" ({', '.join(times)})" if times else ""
    return f"the rows of log positions {after + 1} to {upto} are missing{during}"
