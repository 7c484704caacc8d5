"""A backup → a data directory a gateway can go on with: every hash compared, log, history and ledger read through."""

from __future__ import annotations

import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import orjson

from config.errors import GatewayError
from pipeline.log.directory import FORMAT
from pipeline.log.schema import FILE as LOG_FILE
from tanflow.backup import manifest
from tanflow.backup.manifest import Manifest
from tanflow.backup.origin import MARK
from tanflow.backup.view import PINNED
from tanflow.missing import missing_in
from tanflow.soundness import problems

_PART: Final = ".part"  # of the name of what is not whole yet
_WITHIN: Final = f"{PINNED}restore"  # its name in a directory that is there; no part of any backup of it
_OF_EVERY_DISK: Final = "lost+found"  # in the root of a file system that is otherwise empty
_FOLDERS: Final = ("history/raw", "history/1m", "history/1h")


def restore(source: Path, folder: Path, tell: Callable[[str], None] = lambda _: None) -> Manifest:
    """Make a data directory out of a backup and return what the backup says of itself.

    Raises GatewayError when the directory holds anything already, the backup is not whole or sound, or of a format this
    version does not read; then nothing is left behind.
    """
    folder = Path(os.path.realpath(folder))  # "." has no name to make another of, and a link is not to be replaced
    homes = manifest.homes(folder)
    try:
        with manifest.private(), _draft(folder) as draft:
            said = _unpacked(source, draft)
            if wrong := problems(draft):
                raise GatewayError(f"{source} is not sound: {wrong[0]}")
            for words in missing_in(draft):
                tell(f"warning: {words}")
            mark = {"host": said.host, "folder": said.folder, "made_ns": said.at_ns, "at_ns": time.time_ns()}
            (draft / MARK).write_bytes(orjson.dumps(mark))
            manifest.synced(draft / MARK)
            manifest.settled(draft)
            _named(draft, folder, homes)
    except PermissionError:  # it names its place itself: that may be the backup
        raise
    except OSError as error:
        raise GatewayError(
            f"{folder} cannot be made: {error.strerror or error}; look at its disk and rights"
        ) from error
    return said


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """Make the place a backup is unpacked to, which is gone in the end; raises GatewayError where it is another's."""
    is_there = folder.exists()
    draft = folder / _WITHIN if is_there else folder.with_name(f"{folder.name}{_PART}")
    if not draft.exists():
        _is_empty(folder)
    try:
        draft.mkdir(parents=True)
    except FileExistsError:
        placed = ", ".join(path.name for path in _content(folder) if path != draft) if is_there else ""
        raise GatewayError(
            f"{draft} is left of a restore that was cut off, or of one under way; where none runs, remove it first"
            + (f", and what it has put beside it: {placed}" if placed else "")
        ) from None
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _content(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != _OF_EVERY_DISK)


def _is_empty(folder: Path, but: Path | None = None) -> None:
    """Raise GatewayError where something stands in the place of a directory, or in it."""
    if folder.exists() and (not folder.is_dir() or any(path != but for path in _content(folder))):
        raise GatewayError(f"{folder} is not empty; move it away first: nothing is ever overwritten")


def _named(draft: Path, folder: Path, homes: list[Path]) -> None:
    """Give what was made its place, all of it or nothing; a directory that is there, maybe a disk's root, is filled."""
    moves = [(draft, folder)]
    if draft.parent == folder:
        _is_empty(folder, but=draft)  # still: a gateway may have begun in it meanwhile
        made = sorted(draft.iterdir(), key=lambda path: path.name == LOG_FILE)  # no gateway begins without its log
        moves, homes = [(path, folder / path.name) for path in made], [folder, *homes]
    done: list[tuple[Path, Path]] = []
    try:
        for before, after in moves:
            before.rename(after)
            done.append((before, after))
        for home in homes:
            manifest.synced(home)
    except BaseException:
        for before, after in reversed(done):
            with suppress(OSError):
                after.rename(before)
        raise


def _unpacked(source: Path, draft: Path) -> Manifest:
    """Write every file the manifest names, and nothing else; raises GatewayError where one is not what it says."""
    with _opened(source) as backup:
        said = Manifest.parse(backup.manifest(), source)
        if said.data and said.data != FORMAT.strip():
            raise GatewayError(f"{source} holds '{said.data}'; this version reads '{FORMAT.strip()}'")
        _fits(said, draft, source)
        missing = set(said.files)
        for name, content in backup.files():
            if name not in missing:
                continue
            target = draft / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as written:
                found = manifest.copied(content, written, said.files[name][0])
            manifest.synced(target)
            if found != said.files[name]:
                raise GatewayError(f"{source}: {name} is not what was backed up; take another copy of the backup")
            missing.discard(name)
    if missing:
        raise GatewayError(f"{source}: {min(missing)} is missing; take another copy of the backup")
    for name in _FOLDERS:
        (draft / name).mkdir(parents=True, exist_ok=True)
    return said


def _fits(said: Manifest, draft: Path, source: Path) -> None:
    """Raise GatewayError where the disk has no room: it may be that of a gateway that runs."""
    needed, free = sum(size for size, _ in said.files.values()), shutil.disk_usage(draft).free
    if needed > free:
        raise GatewayError(
            f"{source} holds {needed / 1e6:,.0f} MB, but only {free / 1e6:,.0f} MB are free where {draft.parent} is"
        )


class _Folder:
    """A backup that is a directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def manifest(self) -> bytes:
        try:
            return (self._path / manifest.NAME).read_bytes()
        except OSError:
            raise GatewayError(f"{self._path} is no backup: it holds no {manifest.NAME}") from None

    def files(self) -> Iterator[tuple[str, IO[bytes]]]:
        for path in sorted(self._path.rglob("*")):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as opened:
                    yield path.relative_to(self._path).as_posix(), opened


class _Tar:
    """A backup that is one tar file; links and devices in it are passed over."""

    def __init__(self, tar: tarfile.TarFile, path: Path) -> None:
        self._tar, self._path = tar, path

    def manifest(self) -> bytes:
        first = self._tar.next()
        opened = self._tar.extractfile(first) if first is not None and first.name == manifest.NAME else None
        if opened is None:
            raise GatewayError(f"{self._path} is no backup: it does not begin with {manifest.NAME}")
        return opened.read(manifest.LARGEST + 1)

    def files(self) -> Iterator[tuple[str, IO[bytes]]]:
        while (entry := self._tar.next()) is not None:
            opened = self._tar.extractfile(entry) if entry.isreg() else None
            if opened is not None:
                yield entry.name, opened


@contextmanager
def _opened(source: Path) -> Iterator[_Folder | _Tar]:
    if source.is_dir():
        yield _Folder(source)
        return
    if source.exists() and not source.is_file():
        raise GatewayError(f"{source} is no backup: neither a file nor a directory")
    try:
        with tarfile.open(source) as tar:
            yield _Tar(tar, source)
    except (tarfile.TarError, EOFError) as error:
        why = str(error).partition(":")[0]  # of what is no tar each way it was tried follows
        raise GatewayError(f"{source} is no backup, or not a whole one: {why}") from error
    except FileNotFoundError:
        raise GatewayError(f"{source} does not exist") from None
