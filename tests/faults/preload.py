"""preload.c, compiled on the spot → a hand between one gateway and its disk, moved while the gateway runs."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
from enum import IntFlag
from pathlib import Path
from typing import Final

import pytest

_NUMBERS: Final = ("counted", "kill_at", "torn", "kinds", "error", "error_kinds", "free", "port")
_TEXTS: Final = {"counted_in": 64, "failing_in": 128}
_FAILED: Final = 192
KINDS_AT: Final = 8 * _NUMBERS.index("kinds")  # where the control page says what counts
_SIZE: Final = 200


class Step(IntFlag):
    """What a process does to its disk, and to its database."""

    WRITE = 1
    SYNC = 2
    RENAME = 4
    UNLINK = 8
    TRUNCATE = 16
    SEND = 32
    OPEN = 64
    DISK = WRITE | SYNC | RENAME | UNLINK | TRUNCATE | OPEN


class Preload:
    """The library, its control page and the environment of the process it is to stand in; see preload.c."""

    def __init__(self, library: Path, folder: Path, under: Path) -> None:
        self.library, self.under = library, under
        self.journal = folder / "journal"
        self._file = folder / "control"
        self._file.write_bytes(bytes(_SIZE))
        with self._file.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)
        self._set("free", -1)

    def environment(self, *, journal: bool = False) -> dict[str, str]:
        """Return the environment of a process under this hand."""
        own = {"LD_PRELOAD": str(self.library), "FAULTS_UNDER": str(self.under), "FAULTS_CONTROL": str(self._file)}
        return {**os.environ, **own, **({"FAULTS_JOURNAL": str(self.journal)} if journal else {})}

    def kill_at(self, step: int, kinds: Step, part: str = "", *, torn: bool = False, port: int = 0) -> None:
        """End the process before the `step`th step (0: only count) of these kinds at files whose path has `part`.

        A `part` with a $ behind it is the path's end.
        """
        self._set("kinds", 0)
        self._write("counted_in", part)
        for name, value in (("counted", 0), ("kill_at", step), ("torn", torn), ("port", port), ("kinds", kinds)):
            self._set(name, value)

    def fail(self, error: int, kinds: Step, part: str = "") -> None:
        """Let these calls fail with this errno from now on, at files whose path has `part`; 0: let them succeed."""
        self._set("error", 0)
        self._write("failing_in", part)
        struct.pack_into("<q", self._page, _FAILED, 0)
        self._set("error_kinds", kinds)
        self._set("error", error)

    @property
    def counted(self) -> int:
        """Steps taken since `kill_at`."""
        return self._get("counted")

    @property
    def failed(self) -> int:
        """Calls that failed since `fail`."""
        return int(struct.unpack_from("<q", self._page, _FAILED)[0])

    @property
    def free(self) -> int:
        """Bytes free on the pretended disk, -1: it is not pretended."""
        return self._get("free")

    @free.setter
    def free(self, size: int) -> None:
        self._set("free", size)

    def _get(self, name: str) -> int:
        return int(struct.unpack_from("<q", self._page, 8 * _NUMBERS.index(name))[0])

    def _set(self, name: str, value: int) -> None:
        struct.pack_into("<q", self._page, 8 * _NUMBERS.index(name), value)

    def _write(self, name: str, text: str) -> None:
        struct.pack_into("<64s", self._page, _TEXTS[name], text.encode())


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """preload.c as a shared library."""
    target = tmp_path_factory.mktemp("preload") / "preload.so"
    source = Path(__file__).with_name("preload.c")
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(target), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return target


@pytest.fixture
def preload(library: Path, tmp_path: Path) -> Preload:
    """A hand between the gateway of `tmp_path` and its disk."""
    return Preload(library, tmp_path, tmp_path / "data")
