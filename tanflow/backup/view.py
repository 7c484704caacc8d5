"""A data directory a gateway may be writing to → a view of it at one moment: log, history and ledger fit each other.

The log is read in one transaction, which no writer waits for. Files of the history never change; those of the view get
a second name, so that a compaction cannot take them away. The ledger is copied before the log is looked at, in pieces:
who books waits for milliseconds; whether each holds what the other goes by is looked at afterwards.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from carbon.ledger.file import FILE as LEDGER_FILE
from carbon.ledger.file import GENESIS, Head, LedgerFile, has_begun
from carbon.publish import PUBLISHER, published_as
from config.errors import GatewayError
from pipeline.log.schema import FILE as LOG_FILE
from pipeline.log.schema import open_reader
from sinks.history_files import LEVELS, RAW, TEMPORARY, File, live, scan

PINNED: Final = ".backup-"  # names of the view's own folders in a data directory
_LEFT_OUT: Final = ("owner", "ballast", LOG_FILE, LEDGER_FILE, "history")
_PAGES: Final = 256
_TRIES: Final = 20
_Reached = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What a backup is made of; open as long as it is made."""

    folder: Path
    log: sqlite3.Connection  # in a transaction
    ledger: Path | None  # a copy
    head: Head
    history: dict[str, Path]  # name in the backup → file
    archived: int
    position: int

    def others(self) -> Iterator[tuple[str, Path]]:
        """Yield the remaining files by their names: users, certificates, documents, what came of the last reload."""
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            own = name.parts[0] not in _LEFT_OUT and not name.parts[0].startswith((PINNED, LOG_FILE, LEDGER_FILE))
            if own and path.is_file() and not path.is_symlink() and not path.name.endswith((TEMPORARY, ".new")):
                yield name.as_posix(), path


@contextmanager
def view(folder: Path) -> Iterator[View]:
    """Open a view; raises GatewayError where there is no log, or nothing that fits could be seen.

    What does not fit twice, with nothing written in between, never will: that is for whoever checks the copy to say.
    """
    log = open_reader(folder)
    with closing(log), _rooms(folder) as rooms:
        before: _Reached = ()
        for n in range(_TRIES):
            places = [room / f"{i}-{n}" for i, room in enumerate(rooms)]
            for place in places:
                place.mkdir()
            found, unfit = _look(folder, log, places[0], places[-1])
            if found is not None and (not unfit or unfit == before):
                yield found
                return
            before = unfit
            log.rollback()
            for place in places:
                shutil.rmtree(place)
        raise GatewayError(f"{folder} changed each time it was looked at; try again")


@contextmanager
def _rooms(folder: Path) -> Iterator[list[Path]]:
    """Make a folder for the copy of the ledger and one for second names: those must be on the history's own disk."""
    places = [folder, *([folder / "history"] if (folder / "history" / RAW.name).is_dir() else [])]
    with contextlib.ExitStack() as held:
        yield [held.enter_context(_room(place)) for place in places]


@contextmanager
def _room(folder: Path) -> Iterator[Path]:
    """Make a folder in another one; it is held by a lock."""
    try:
        for left in left_over(folder):
            shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=PINNED, dir=folder))
    except PermissionError:
        raise
    except OSError as error:
        raise GatewayError(
            f"{folder} cannot be written to, and a backup needs names of its own in it: {error.strerror}; look at its "
            "disk. Where no gateway runs on it, copy it as it is"
        ) from error
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def left_over(folder: Path) -> list[Path]:
    """Return what killed backups left in a data directory: nobody holds it; its number may be anybody's by now."""
    found = [*folder.glob(f"{PINNED}*"), *folder.glob(f"history/{PINNED}*")]
    return [place for place in sorted(found) if place.is_dir() and not _is_held(place)]


def _is_held(place: Path) -> bool:
    try:
        handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return True  # by one that has ended meanwhile
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _look(folder: Path, log: sqlite3.Connection, copied: Path, pinned: Path) -> tuple[View | None, _Reached]:
    """Return (a view, how far each part reaches where they do not fit): something was cut or booked in between.

    None where the history was compacted.
    """
    pinning = _pin(folder / "history", pinned)
    if pinning is None:
        return None, ()
    history, archived = pinning
    ledger, head, booked = _ledger(folder, copied)
    log.execute("BEGIN")
    first, last = log.execute("SELECT min(position), max(position) FROM log").fetchone()
    row = log.execute("SELECT state FROM cursors WHERE consumer = ?", (PUBLISHER,)).fetchone()
    published = published_as(row[0] if row else None)
    needed = min(archived, booked) + 1 if ledger else archived + 1
    is_unfit = (first or needed) > needed or published > head.seq
    seen = View(folder, log, ledger, head, history, archived, last or 0)
    return seen, (first, archived, booked, published, head.seq) if is_unfit else ()


def _pin(root: Path, pinned: Path) -> tuple[dict[str, Path], int] | None:
    """Give the files that count a second name; None where they changed meanwhile."""
    if not (root / RAW.name).is_dir():
        return {}, 0
    raw = live(scan(root / RAW.name))[0]
    archived = max((f.upto for f in raw), default=0)
    found: dict[str, Path] = {}
    for level in LEVELS:
        files = raw if level is RAW else live(scan(root / level.name))[0]
        if any(f.after < archived < f.upto for f in files):
            return None
        (pinned / level.name).mkdir()
        for file in files:
            if file.upto <= archived:
                name = f"history/{level.name}/{file.path.name}"
                found[name] = _second_name(file, pinned / level.name)
    gone = [path for path in found.values() if not path.exists()]
    return None if gone else (found, archived)


def _second_name(file: File, folder: Path) -> Path:
    """Return a link, or the file itself on a file system that has none."""
    link = folder / file.path.name
    with contextlib.suppress(OSError):
        os.link(file.path, link)
        return link
    return file.path


def _ledger(folder: Path, copied: Path) -> tuple[Path | None, Head, int]:
    """Return a copy of the ledger, its head, and how far the log was booked in it."""
    if not has_begun(folder):
        return None, Head(0, GENESIS.hex()), 0
    with LedgerFile(folder, write=False) as file:
        file.copy_to(copied / LEDGER_FILE)
    with LedgerFile(copied, write=False) as copy:
        return copied / LEDGER_FILE, copy.head(), copy.cursor()[0]


def copy_log(log: sqlite3.Connection, target: Path) -> None:
    """Write the log as the open transaction sees it, which its writer does not wait for."""
    made = sqlite3.connect(target)
    try:
        log.backup(made, pages=_PAGES)  # in pieces, so that it can be interrupted
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:  # who reads needs no room: it is the target's disk
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
        raise
    finally:
        made.close()
