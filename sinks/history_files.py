"""Names in, files out: which Parquet files of the history count, and how one comes into being or goes.

A name holds what a reader must know before opening the file:
`<from>_<to>_<after>_<upto>_<rows>.parquet`, time range [ns UTC], log range (after, upto], number of rows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS

_NAME: Final = re.compile(r"(-?\d+)_(-?\d+)_(\d+)_(\d+)_(\d+)\.parquet")
TEMPORARY: Final = ".tmp"


@dataclass(frozen=True, slots=True)
class Level:
    """One directory of the history; `step_ns` 0 = raw rows.

    Compaction stops at `rows` per file, so that none takes long, or at `reach_ns`, so that files can expire.
    """

    name: str
    step_ns: int
    rows: int
    reach_ns: int


RAW: Final = Level("raw", 0, 1_000_000, DAY_NS)
MINUTES: Final = Level("1m", MINUTE_NS, 4_000_000, 31 * DAY_NS)
HOURS: Final = Level("1h", HOUR_NS, 4_000_000, 366 * DAY_NS)
LEVELS: Final = (RAW, MINUTES, HOURS)


@dataclass(frozen=True, slots=True)
class File:
    """One Parquet file by its name; `from_ns` is where its earliest interval begins, `to_ns` its latest instant."""

    path: Path
    from_ns: int
    to_ns: int
    after: int
    upto: int
    rows: int

    @classmethod
    def named(cls, folder: Path, from_ns: int, to_ns: int, after: int, upto: int, rows: int) -> File:
        return cls(folder / f"{from_ns}_{to_ns}_{after}_{upto}_{rows}.parquet", from_ns, to_ns, after, upto, rows)

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Return whether it can hold something of [start, end)."""
        return bool(self.rows) and self.from_ns < end_ns and self.to_ns >= start_ns


# By folder what each name in it says: it never changes, and years of them are read again at every query. Those that are
# gone go from here too, or a gateway would grow with every file it ever wrote.
_KNOWN: Final[dict[Path, dict[str, File | None]]] = {}


def scan(folder: Path) -> list[File]:
    """Return every history file in the folder, in log order; raises OSError.

    A listing taken while files are renamed and removed may show neither the old nor the new one: it counts
    only when a second one agrees.
    """
    names = sorted(os.listdir(folder))
    while (again := sorted(os.listdir(folder))) != names:
        names = again
    known = _KNOWN.get(folder, {})
    _KNOWN[folder] = seen = {name: known[name] if name in known else _parsed(folder, name) for name in names}
    return sorted(filter(None, seen.values()), key=lambda f: (f.after, -f.upto))


def _parsed(folder: Path, name: str) -> File | None:
    match = _NAME.fullmatch(name)
    return File(folder / name, *map(int, match.groups())) if match else None


def live(files: Iterable[File]) -> tuple[list[File], list[File]]:
    """Return (files that count, files superseded); a log range within another's is superseded by it.

    `files` come in log order, the wider first, and never overlap otherwise.
    """
    kept: list[File] = []
    superseded: list[File] = []
    reach = -1
    for file in files:
        if file.upto <= reach:
            superseded.append(file)
        else:
            kept.append(file)
            reach = file.upto
    return kept, superseded


def holes(kept: Iterable[File], upto: int) -> list[tuple[int, int]]:
    """Return the log ranges (after, upto] up to a position of which no file tells; `kept` are those that count."""
    found: list[tuple[int, int]] = []
    reach = 0
    for file in kept:
        if file.after > reach:
            found.append((reach, file.after))
        reach = file.upto
    return [*found, (reach, upto)] if reach < upto else found


def temporary(folder: Path, after: int, upto: int) -> Path:
    """Return where the file of a log range is written before it gets its name."""
    return folder / f"{after}_{upto}{TEMPORARY}"


def publish(written: Path, file: File) -> None:
    """Give a completely written temporary its name so that both survive a power cut; raises OSError."""
    _sync(written)
    os.replace(written, file.path)
    _sync(file.path.parent)


def remove(paths: Iterable[Path]) -> None:
    """Remove files; one that is already gone is as good as removed. Raises OSError."""
    for path in paths:
        path.unlink(missing_ok=True)


def make_folders(root: Path) -> None:
    """Create the history's directories so that they survive a power cut; raises OSError."""
    for level in LEVELS:
        (root / level.name).mkdir(parents=True, exist_ok=True)
    for folder in (root, root.parent):
        _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
