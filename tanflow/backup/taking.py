"""A data directory, its gateway running or not → a verified backup: a directory, or one tar file.

What was accepted before it began is in it. It appears under its name only once all of it is written and read back.
"""

from __future__ import annotations

import shutil
import socket
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from carbon.ledger.file import FILE as LEDGER_FILE
from config.errors import GatewayError
from pipeline.log.schema import FILE as LOG_FILE
from tanflow.backup import manifest
from tanflow.backup.manifest import Manifest
from tanflow.backup.view import PINNED, View, copy_log, view
from tanflow.missing import missing_in
from tanflow.soundness import problems
from tanflow.web.inside.health import program_version

TAR: Final = ".tar"
_ARCHIVES: Final = (TAR, ".tgz", ".gz", ".bz2", ".xz", ".zst", ".zip", ".7z")  # no names of a directory
Progress = Callable[[str], None]


def take(folder: Path, target: Path, tell: Progress = lambda _: None) -> Manifest:
    """Make a backup of a data directory and return what it says of itself.

    Raises GatewayError when the target is there already, cannot be written, or is not sound in the end; then nothing is
    left of it.
    """
    if target.suffix != TAR and target.suffix.lower() in _ARCHIVES:
        plain = target.with_name(f"{target.name.partition('.')[0]}{TAR}")
        raise GatewayError(f"a backup is a directory, or a file ending in {TAR} which is not packed: write {plain}")
    if target.exists():
        raise GatewayError(f"{target} exists; choose another name, or move it away")
    if target.resolve().is_relative_to(folder.resolve()):
        raise GatewayError(f"{target} lies in the data directory itself; write the backup to another disk")
    draft, homes = target.with_name(f"{target.name}.part"), manifest.homes(target)
    with manifest.private(), _undone(draft, target):
        draft.mkdir(parents=True)
        said = _collected(folder, draft, tell)
        tell("checking log, history and ledger of the copy")
        if wrong := problems(draft):
            raise GatewayError(f"the copy is not sound, so no backup is left: {wrong[0]}")
        for words in missing_in(draft):
            tell(f"warning: {words}")
        for made in draft.glob("log.db-*"):  # looking at it makes them anew
            made.unlink()
        if target.suffix == TAR:
            tell(f"writing {target}")
            _packed(draft, said, target)
            shutil.rmtree(draft)
        else:
            tell("reading it back")
            _compared(draft, said)
            manifest.settled(draft)
            draft.rename(target)
        for home in homes:
            manifest.synced(home)
    return said


@contextmanager
def _undone(draft: Path, target: Path) -> Iterator[None]:
    """Leave nothing behind when it fails."""
    if draft.exists():
        raise GatewayError(f"{draft} is left of a backup that was cut off, or of one under way; remove it first")
    try:
        yield
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, PermissionError):  # which names its place itself
            raise GatewayError(f"{target} cannot be written: {error.strerror or error}; look at its disk") from error
        raise


def _collected(folder: Path, draft: Path, tell: Progress) -> Manifest:
    """Write every file of a view, and the manifest, into the draft."""
    files: dict[str, tuple[int, str]] = {}
    at_ns = time.time_ns()
    with view(folder) as seen:
        tell(f"copying the log up to position {seen.position}")
        copy_log(seen.log, draft / LOG_FILE)
        seen.log.rollback()  # from here on its writer can shorten its journal again
        files[LOG_FILE] = manifest.hashed(draft / LOG_FILE)
        manifest.synced(draft / LOG_FILE)
        tell(f"copying {len(seen.history)} files of the history")
        for name, path in _rest(seen):
            try:
                files[name] = _one(path, draft / name)
            except FileNotFoundError:  # one of the others went meanwhile; the history's and the ledger's are held
                if name in seen.history:
                    raise GatewayError(
                        f"{path} was put together with others before it was copied, and its file system has no hard "
                        "links to hold it by; take the backup again"
                    ) from None
                if name == LEDGER_FILE:
                    raise
        data = (draft / "format").read_text().strip() if "format" in files else ""
        said = Manifest(
            at_ns, socket.gethostname(), str(folder.resolve()), program_version(), data, seen.position,
            seen.archived, str(seen.head) if seen.ledger else "", files,
        )  # fmt: skip
    (draft / manifest.NAME).write_bytes(said.dump())
    manifest.synced(draft / manifest.NAME)
    for level in ("raw", "1m", "1h"):
        (draft / "history" / level).mkdir(parents=True, exist_ok=True)
    return said


def _rest(seen: View) -> Iterator[tuple[str, Path]]:
    if seen.ledger is not None:
        yield LEDGER_FILE, seen.ledger
    yield from seen.history.items()
    yield from seen.others()


def _one(source: Path, target: Path) -> tuple[int, str]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as read, target.open("xb") as written:
        said = manifest.copied(read, written)
    manifest.synced(target)
    return said


def _compared(folder: Path, said: Manifest) -> None:
    for name, expected in said.files.items():
        manifest.synced(folder / name)  # once more out of memory: it has been looked at meanwhile
        if manifest.hashed(folder / name) != expected:
            raise GatewayError(f"{folder / name} does not read back as it was written; look at that disk")


def _packed(draft: Path, said: Manifest, target: Path) -> None:
    """Write one tar file, the manifest first, and read it back."""
    part = draft / f"{PINNED}tar"  # no file of a data directory is called so
    with tarfile.open(part, "x", format=tarfile.PAX_FORMAT) as tar:
        for name in (manifest.NAME, *said.files):
            tar.add(draft / name, name, recursive=False)
    manifest.synced(part)
    with tarfile.open(part) as tar:
        for entry in tar:
            opened = tar.extractfile(entry)
            if opened is None or manifest.copied(opened, None) != said.files.get(entry.name, _of(draft, entry.name)):
                raise GatewayError(f"{target} does not read back as it was written ({entry.name}); look at that disk")
    part.rename(target)


def _of(draft: Path, name: str) -> tuple[int, str]:
    return manifest.hashed(draft / name)
