"""The data directory: owner, rights, room, ballast, format; what is left over in it; how fast it grows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.clock import SECOND_NS
from pipeline.heartbeat import FREE_KEY
from sinks.history_query import Question, Reader
from tanflow.backup.origin import Restored
from tanflow.backup.view import left_over
from tanflow.doctor.visit import Finding, Visit
from tanflow.doctor.words import megabytes, span
from tanflow.system_errors import user

_ABOUT: Final = "data directory"
_HOUR_NS: Final = 3_600 * SECOND_NS
_WEEK_NS: Final = 7 * 24 * _HOUR_NS
_LEAST_H: Final = 6  # hours that tell how fast a disk fills
_SOON_S: Final = 30 * 86_400.0


def place(visit: Visit) -> Iterator[Finding]:
    """Yield what is wrong with the data directory itself."""
    folder = visit.folder
    if not folder.is_dir():
        yield Finding(_ABOUT, f"{folder} does not exist", f"start the gateway: tanflow run -c {visit.loaded.path}")
        return
    yield from _rights(folder)
    if visit.foreign:
        yield Finding(_ABOUT, visit.foreign, "nothing in it is looked at by this version")
    yield from _room(visit)
    yield from _left_over(folder)
    yield from _growth(visit)


def read_only(folder: Path) -> bool:
    """Return whether nothing can be written to the file system of a folder."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _rights(folder: Path) -> Iterator[Finding]:
    status = folder.stat()
    if read_only(folder):
        do = f"look into dmesg for errors of the disk, then: mount -o remount,rw {_mount(folder)}"
        yield Finding(_ABOUT, f"{folder} is on a file system that is read-only: nothing can be accepted", do)
    elif os.geteuid() == status.st_uid and not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(_ABOUT, f"{folder} may not be written to by its own user", f"chmod 700 {folder}")
    if status.st_mode & 0o077:
        yield Finding(_ABOUT, f"others may look into {folder}, where keys and users are kept", f"chmod 700 {folder}")
    strangers = {owner for p in folder.iterdir() if (owner := _owner(p)) is not None} - {status.st_uid}
    if strangers:
        do = f"chown -R {user(status.st_uid)} {folder}"
        names = ", ".join(map(user, sorted(strangers)))
        yield Finding(_ABOUT, f"{folder} is of {user(status.st_uid)}, but holds files of {names}", do)


def _owner(path: Path) -> int | None:
    """Return whose a file is; None: it went meanwhile."""
    try:
        return path.stat().st_uid
    except OSError:
        return None


def _mount(folder: Path) -> Path:
    path = folder.resolve()
    while not path.is_mount():
        path = path.parent
    return path


def _room(visit: Visit) -> Iterator[Finding]:
    folder, config = visit.folder, visit.config.data
    free = shutil.disk_usage(folder).free
    if free < config.min_free_mb * 1e6:
        words = f"only {megabytes(free)} are free on its disk, {config.min_free_mb} MB are kept: nothing is accepted"
        yield Finding(_ABOUT, words, f"free space on {_mount(folder)}, or lower data.min_free_mb")
    ballast = folder / "ballast"
    size = ballast.stat().st_size if ballast.exists() else 0
    if visit.reader is not None and size < config.ballast_mb << 20:
        words = f"the ballast ({config.ballast_mb} MB kept for a full disk) is gone: the disk was full"
        yield Finding(_ABOUT, words, "free space; the gateway writes it again at its next start")


def _left_over(folder: Path) -> Iterator[Finding]:
    if left := left_over(folder):
        words = f"{left[0].relative_to(folder)} is left of a backup that was cut off"
        yield Finding(_ABOUT, words, "the next tanflow backup removes it", wrong=False)
    if (restored := Restored.of(folder)) is not None:
        do = f"once the other one is gone for good: rm {folder / 'restored.json'}"
        yield Finding(_ABOUT, restored.sentence(), do, restored.at_ns, wrong=False)


def _growth(visit: Visit) -> Iterator[Finding]:
    """Say when the disk is full, if it goes on as in the last week."""
    reader = visit.reader
    found = reader.query("SELECT id FROM series WHERE key = ?", (FREE_KEY,)) if reader else []
    if not found or not all((visit.folder / "history" / level).is_dir() for level in ("raw", "1h")):
        return
    asked = Question((int(found[0][0]),), visit.now_ns - _WEEK_NS, visit.now_ns, _HOUR_NS, "mean")
    answer = Reader(visit.folder / "history").answer(asked)
    if len(answer) < _LEAST_H:
        return
    seconds = (answer.time_ns[-1] - answer.time_ns[0]) / SECOND_NS
    per_s = (answer.value[0] - answer.value[-1]) / seconds  # MB
    left_mb = answer.value[-1] - visit.config.data.min_free_mb
    if per_s > 0 and left_mb / per_s < _SOON_S:
        words = f"the disk fills by {megabytes(per_s * 86_400e6)} a day: nothing is accepted in {span(left_mb / per_s)}"
        do = "keep less: data.history.raw_days, or keep: of a sink that is away; or find what else writes there"
        yield Finding(_ABOUT, words, do)
