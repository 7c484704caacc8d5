"""The files of a backup → what it says of itself: when it was made, how far it reaches, each file with its hash."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import orjson

from config.errors import GatewayError

NAME: Final = "backup.json"
FORMAT: Final = 1
_PIECE: Final = 1 << 20
LARGEST: Final = 64 << 20  # bytes of a manifest that is read at all


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds; `files` are (bytes, SHA-256) by name."""

    at_ns: int
    host: str
    folder: str  # the data directory it was made of
    version: str  # of the program
    data: str  # format of the data directory
    position: int  # last commit of the log
    archived: int  # how far the history reaches in it
    head: str  # of the ledger's chain; "" where there is none
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    format: int = FORMAT

    def dump(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"

    @classmethod
    def parse(cls, text: bytes, source: Path) -> Manifest:
        """Return a manifest; raises GatewayError for what is none, or names files outside of its own directory."""
        try:
            if len(text) > LARGEST:
                raise ValueError("it is too large")
            said = orjson.loads(text)
            if said.get("format") != FORMAT:
                raise ValueError(f"it is of format {said.get('format')}, this version reads {FORMAT}")
            files = {name: (_natural(size), str(digest)) for name, (size, digest) in said.pop("files").items()}
            made = cls(files=files, **{name: _KINDS[name](value) for name, value in said.items()})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise GatewayError(f"{source}: {NAME} is not that of a backup: {error}") from None
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in name or "\0" in name:
                raise GatewayError(f"{source}: {NAME} names {name!r}, which is no file of a data directory")
        return made


def _natural(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError(f"{str(value)[:40]!r} is no count")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return value


_KINDS: Final[dict[str, Callable[[Any], Any]]] = {  # of what is written, by its name
    field.name: _natural if field.type == "int" else _text for field in fields(Manifest) if field.name != "files"
}


@contextmanager
def private() -> Iterator[None]:
    """Let nobody else read what is made: it holds users' password hashes and private keys."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def copied(source: IO[bytes], target: IO[bytes] | None, most: int = sys.maxsize) -> tuple[int, str]:
    """Copy, or only read, a file and return (bytes, SHA-256); of what is longer than it may be little more is read."""
    digest, size = hashlib.sha256(), 0
    while size <= most and (piece := source.read(min(_PIECE, most + 1 - size))):
        digest.update(piece)
        size += len(piece)
        if target is not None:
            target.write(piece)
    return size, digest.hexdigest()


def hashed(file: Path) -> tuple[int, str]:
    """Return (bytes, SHA-256) of a file."""
    with file.open("rb") as opened:
        return copied(opened, None)


def synced(path: Path) -> None:
    """Bring a file or directory to disk, as a backup is often unplugged as soon as it is made.

    A file is let go of in memory besides, where the system does that: what is read of it next comes from the disk.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        if hasattr(os, "posix_fadvise") and path.is_file():
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def settled(folder: Path) -> None:
    """Bring all names in a folder to disk, those of the deepest first: its files are there already."""
    for place, _, _ in os.walk(folder, topdown=False):
        synced(Path(place))


def homes(target: Path) -> list[Path]:
    """Return the folders that get a new name when a target is made: its own, and those of folders not there yet."""
    missing = [folder for folder in target.parents if not folder.exists()]
    return [target.parent, *(folder.parent for folder in missing)]
