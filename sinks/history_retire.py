"""Files too old to be kept in; out: a file of no rows in place of each run, so that every log position is named."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from sinks.history_cut import Growing
from sinks.history_files import LEVELS, File, Level, live, remove, scan


def retire(root: Path, level: Level, files: Sequence[File], oldest_ns: int, cursor: int) -> list[File]:
    """Let the rows go of files wholly older than an instant and return these files; raises OSError.

    `files` are those of a level that count, in log order; the one that carries the cursor stays whatever its age. The
    new name takes in what is missing between, and before the first of all: it would have gone by now. Ended anywhere,
    the new file supersedes those that are still there.
    """
    went: list[File] = []
    for is_old, group in groupby(files, lambda f: f.to_ns < oldest_ns and f.upto < cursor):
        run = list(group)
        if is_old and any(f.rows for f in run):
            Growing(root, level, 0 if run[0] is files[0] else run[0].after, run[-1].upto).publish()
            remove(f.path for f in run)
            went += [f for f in run if f.rows]
    return went


def retired_before(root: Path) -> None:
    """Let a file of no rows stand before the first of each level that begins later than the log did; raises OSError."""
    for level in LEVELS:
        files = live(scan(root / level.name))[0]
        if files and files[0].after:
            Growing(root, level, 0, files[0].after).publish()
