"""The data directory: one owner at a time, a format version from the first day, and a ballast for the full disk."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from config.errors import GatewayError

_GLANCES: Final = 5
_GLANCE_S: Final = 0.02
FORMAT: Final = "tanflow data 1\n"


@dataclass(slots=True)
class DataDirectory:
    """An owned data directory; entering takes the lock, leaving gives it back.

    Entering raises GatewayError for a place that cannot be one, PermissionError for one that is another user's.
    """

    path: Path
    ballast_mb: int = 16
    _lock: int = field(default=-1, init=False)

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.stat().st_mode & 0o077 and self.path.stat().st_uid == os.geteuid():
                self.path.chmod(0o700)  # whoever made it: what a plant does is not for every user of the machine
            self._lock = os.open(self.path / "owner", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError as error:  # it names its place itself
            error.add_note("data: {dir: …} in gateway.yaml says where")
            raise
        except OSError as error:
            raise GatewayError(
                f"{self.path} cannot be the data directory: {error.strerror or error}; choose another: "
                "data: {dir: …} in gateway.yaml"
            ) from error
        try:
            _own(self._lock)
        except OSError as error:
            owner = os.pread(self._lock, 32, 0).decode(errors="replace").strip()
            os.close(self._lock)
            raise GatewayError(
                f"{self.path} belongs to a running gateway (process {owner}); stop it or use another data directory"
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        try:
            self._check_format()
        except GatewayError:
            os.close(self._lock)
            raise
        if self.is_full:
            self.drop_ballast()
        self.load_ballast()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def _check_format(self) -> None:
        path = self.path / "format"
        if not path.exists():
            self._begin(path)
        else:
            check_format(self.path)

    def _begin(self, path: Path) -> None:
        """Write the format version, whole or not at all: an empty one would be foreign after a power cut."""
        part = path.with_suffix(".part")
        with part.open("w") as file:
            file.write(FORMAT)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        for folder in (self.path, self.path.parent):
            _sync(folder)

    def is_in_place(self) -> bool:
        """Whether the path still leads to what is owned: it may have been moved, deleted or mounted over."""
        try:
            return os.path.samestat(os.fstat(self._lock), os.stat(self.path / "owner"))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # a disk in trouble says nothing about where it is
            return True

    @property
    def ballast(self) -> Path:
        return self.path / "ballast"

    @property
    def is_full(self) -> bool:
        """Whether less is free than the ballast would free."""
        return self.free_bytes() < self.ballast_mb << 20

    def load_ballast(self) -> None:
        """Write the ballast where there is room for it; real bytes, so that deleting it frees them."""
        size = self.ballast_mb << 20
        if (self.ballast.exists() and self.ballast.stat().st_size == size) or self.free_bytes() < 2 * size:
            return
        with self.ballast.open("wb") as file:
            for _ in range(self.ballast_mb):
                file.write(b"\0" * (1 << 20))

    def drop_ballast(self) -> None:
        """Free the ballast: a disk that filled up needs room to record the fact and to start again."""
        self.ballast.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Return the bytes free on the disk the directory is on."""
        return shutil.disk_usage(self.path).free


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_format(folder: Path) -> None:
    """Raise GatewayError for data this version does not know; whoever opens a data directory, to read too, asks it."""
    path = folder / "format"
    if path.exists() and (found := path.read_text(errors="replace")) != FORMAT:
        raise GatewayError(
            f"{path} says {found.strip()[:40]!r}; this version reads {FORMAT.strip()!r}: run the version that "
            "wrote it, or restore a backup of this one"
        )


def _own(lock: int) -> None:
    """Take the lock; raises OSError when another gateway holds it. Who only looks, as `owner` does, is gone at once."""
    for _ in range(_GLANCES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_GLANCE_S)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def owner(path: Path) -> int | None:
    """Return the process of the gateway that runs on a data directory; None: there is none.

    Raises PermissionError where this user may not know.
    """
    try:
        with (path / "owner").open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                text = file.read(32).strip()
                return int(text) if text.isdigit() else None
    except PermissionError:
        raise
    except OSError:
        return None
    return None
