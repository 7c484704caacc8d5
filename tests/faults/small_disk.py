"""A disk of a few megabytes under a data directory, that can be filled and emptied: a tmpfs, or one pretended."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from tests.faults.preload import Preload

SIZE_MB: Final = 48
_PIECE: Final = 1 << 16


class SmallDisk(Protocol):
    """What others do on the disk of the data directory."""

    def fill(self, left_mb: int = 0) -> None:
        """Take all but so much of what is free."""

    def empty(self) -> None:
        """Give everything back."""


class PretendedDisk:
    """Says how much is free and refuses what goes beyond; needs no rights."""

    def __init__(self, preload: Preload) -> None:
        self.preload, self.taken = preload, 0
        preload.free = SIZE_MB << 20

    def fill(self, left_mb: int = 0) -> None:
        took = max(0, self.preload.free - (left_mb << 20))
        self.preload.free -= took
        self.taken += took

    def empty(self) -> None:
        self.preload.free += self.taken
        self.taken = 0


class Tmpfs:
    """A real file system; what fills it is a file of somebody else's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, left_mb: int = 0) -> None:
        with (self.folder / "others").open("ab", buffering=0) as file:
            try:
                while self._free() > left_mb << 20:
                    file.write(bytes(min(_PIECE, self._free() - (left_mb << 20))))
            except OSError:  # the gateway took the rest
                return

    def _free(self) -> int:
        found = os.statvfs(self.folder)
        return int(found.f_bavail * found.f_frsize)

    def empty(self) -> None:
        (self.folder / "others").unlink(missing_ok=True)


@contextmanager
def mounted(folder: Path, *what: str) -> Iterator[None]:
    """Mount a file system on a folder until the block is left."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.run(["mount", *what, str(folder)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def tmpfs() -> tuple[str, ...]:
    """Return what `mounted` needs for a small tmpfs."""
    return ("-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0700", "tmpfs")


def may_mount(folder: Path) -> bool:
    """Return whether file systems can be mounted here: by root, and in few containers."""
    try:
        with mounted(folder, *tmpfs()):
            return True
    except (subprocess.CalledProcessError, OSError):
        return False
