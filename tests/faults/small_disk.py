"""A disk of a few megabytes under a data directory: one to fill and to empty, one whose power goes or that fails."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from tests.faults.preload import Preload

SIZE_MB: Final = 48
SMALL: Final = {"data": {"min_free_mb": 16, "ballast_mb": 4}}  # of a gateway on such a disk
_PIECE: Final = 1 << 16
_SHUTDOWN: Final = 0x8004587D  # FS_IOC_SHUTDOWN of linux/fs.h
_NO_LOG_FLUSH: Final = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH of fs/ext4/ext4.h


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


class Ext4:
    """A real file system in a file, on a folder through a loop device; like many gateways' it stops at an error."""

    def __init__(self, folder: Path, file: Path) -> None:
        self.folder, self.file = folder, file
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("wb") as made:
            made.truncate(SIZE_MB << 20)
        _run("mke2fs", "-q", "-t", "ext4", "-b", "4096", str(file))
        self._mount()

    def _mount(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", str(self.file), str(self.folder))
        self.folder.chmod(0o700)

    def lose_power(self) -> None:
        """Let nothing more reach the device from now on, not even what the journal still holds in memory.

        A copy made while it writes would have one block of an earlier moment and one of a later: no cut leaves that.
        """
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def back(self) -> None:
        """Mount a copy of what the device holds: the kernel goes through its journal. Nobody may use it meanwhile."""
        copy = self.file.with_suffix(".copy")
        shutil.copyfile(self.file, copy)
        self.away()
        copy.replace(self.file)
        self._mount()

    def fail(self) -> None:
        """Tell it of an error, as a bad block does: it becomes read-only at once, whatever is open."""
        device = _run("findmnt", "--noheadings", "--output", "SOURCE", str(self.folder)).rpartition("/")[2]
        Path("/sys/fs/ext4", device, "trigger_fs_error").write_text("a test's")

    def mend(self) -> None:
        """Take it away, have it checked, and mount it again; nobody may use it meanwhile."""
        self.away()
        subprocess.run(["e2fsck", "-fp", str(self.file)], check=False, capture_output=True)  # 1: it was mended
        _run("e2fsck", "-fn", str(self.file))
        self._mount()

    def away(self) -> None:
        """Unmount it."""
        _run("umount", str(self.folder))

    def sound(self) -> bool:
        """Return whether a check of the unmounted file system finds nothing."""
        return subprocess.run(["e2fsck", "-fn", str(self.file)], check=False, capture_output=True).returncode == 0


def _run(*command: str) -> str:
    """Run a command and return what it says; CalledProcessError when it fails."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def may_loop() -> bool:
    """Return whether images can be mounted through loop devices here and their power taken."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            disk = Ext4(Path(folder, "data"), Path(folder, "image"))
            try:
                disk.lose_power()
                disk.back()
            finally:
                disk.away()
        except (subprocess.CalledProcessError, OSError):
            return False
        return disk.sound()


def may_mount(folder: Path) -> bool:
    """Return whether file systems can be mounted here: by root, and in few containers."""
    try:
        with mounted(folder, *tmpfs()):
            return True
    except (subprocess.CalledProcessError, OSError):
        return False
