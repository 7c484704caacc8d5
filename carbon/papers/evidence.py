"""Scans and sheets people hand in → files named by their SHA-256 in DIR/documents, readable by the gateway alone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from config.errors import GatewayError

FOLDER: Final = "documents"
MAX_BYTES: Final = 32 * 1024 * 1024
_TOGETHER: Final = 256 * 1024 * 1024  # of one sheet


def sha256(content: bytes) -> str:
    """Return the hash a file is kept under."""
    return hashlib.sha256(content).hexdigest()


def read(path: Path) -> bytes:
    """Return a file's content; raises ValueError that says why it cannot serve as evidence."""
    try:
        if not path.is_file() or path.is_symlink():
            raise ValueError(f"there is no file {path.name} in {path.parent}")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_BYTES >> 20} MiB")
    return content


def is_kept(data: Path, digest: str) -> bool:
    """Return whether a file of that hash was handed in before."""
    return (data / FOLDER / digest).is_file()


def keep(data: Path, content: bytes) -> str:
    """Store a file for good and return its hash; storing it again changes nothing. Raises GatewayError."""
    digest, folder = sha256(content), data / FOLDER
    temporary = ""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_kept(data, digest):
            return digest
        handle, temporary = tempfile.mkstemp(dir=folder)  # mode 0600
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).rename(folder / digest)
        _sync(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink() if temporary else None
        raise GatewayError(f"{folder} cannot take the file: {error.strerror}") from error
    return digest


class Scans:
    """The files one sheet names: beside it in `folder`, or handed in before; read once each, and not without end."""

    def __init__(self, data: Path, folder: Path | None) -> None:
        self._data, self._folder = data, folder
        self._digests: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}  # by hash, still to be kept

    def digest(self, name: str) -> str:
        """Return the hash of a file by its name or by sha256:…; raises ValueError where there is none."""
        if name not in self._digests:
            self._digests[name] = self._look(name)
        return self._digests[name]

    def _look(self, name: str) -> str:
        if name.startswith("sha256:"):
            digest = name.removeprefix("sha256:")
            if not is_kept(self._data, digest):
                raise ValueError(f"no file of this hash was handed in before: {digest[:12]}…")
            return digest
        if self._folder is None:
            raise ValueError("a request cannot name a file; hand it in first and write its sha256:…")
        content = read(self._folder / name)
        if sum(map(len, self.contents.values())) + len(content) > _TOGETHER:
            raise ValueError(f"the scans of one sheet are more than {_TOGETHER >> 20} MiB together; split the sheet")
        digest = sha256(content)
        self.contents[digest] = content
        return digest


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
