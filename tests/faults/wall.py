"""wall.c, compiled on the spot → the time of day one gateway sees, set while it runs."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.clock import SECOND_NS


class Wall:
    """The library and the environment of the process whose time of day is `off_s` from the true one; see wall.c."""

    def __init__(self, library: Path, folder: Path) -> None:
        file = folder / "wall-offset"
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._page = mmap.mmap(opened.fileno(), 8)
        self.off_ns = 0
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "WALL_OFFSET": str(file)}

    def set(self, off_s: float) -> None:
        """Set the clock so far from the true time [s]."""
        self.off_ns = round(off_s * SECOND_NS)
        struct.pack_into("<q", self._page, 0, self.off_ns)

    def now_ns(self) -> int:
        """Return the time of day the process sees [ns]."""
        return time.time_ns() + self.off_ns


@pytest.fixture(scope="session")
def wall_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """wall.c as a shared library."""
    target = tmp_path_factory.mktemp("wall") / "wall.so"
    source = Path(__file__).with_name("wall.c")
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(target), str(source)]
    subprocess.run(command, check=True)
    return target


@pytest.fixture
def wall(wall_library: Path, tmp_path: Path) -> Wall:
    """The time of day of the gateway of `tmp_path`."""
    return Wall(wall_library, tmp_path)
