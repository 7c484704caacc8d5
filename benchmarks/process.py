"""A running program and its children → CPU seconds used and memory held, read from /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process and its living descendants: CPU time since start [s] and resident memory [MB]."""

    cpu_s: float
    rss_mb: float


def usage(pid: int) -> Usage:
    """Return what `pid` and all its descendants use; a reaped child's CPU time counts for its parent."""
    total_cpu, total_rss = 0.0, 0.0
    for one in (pid, *descendants(pid)):
        fields = _stat(one)
        # man 5 proc, after the name: utime, stime, cutime, cstime are 11-14, rss is 21
        total_cpu += sum(map(int, fields[11:15])) * _TICK_S
        total_rss += int(fields[21]) * _PAGE_MB
    return Usage(total_cpu, total_rss)


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()


def descendants(pid: int) -> list[int]:
    """Return the processes `pid` has started, and those they have."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has ended meanwhile
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found


class Program:
    """A program while it is entered; its messages go to `log`, and it is asked to end, then made to."""

    def __init__(self, arguments: Sequence[str], log: Path, *, stdout: bool = False) -> None:
        self.arguments = arguments
        self.log = log
        self._stdout = stdout
        self._process: subprocess.Popen[str] | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "not entered"
        return self._process

    def __enter__(self) -> Self:
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                self.arguments, stdout=subprocess.PIPE if self._stdout else log, stderr=log, text=True
            )
        return self

    def __exit__(self, *_: object) -> None:
        process = self.process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def check(self) -> None:
        """Raise RuntimeError with the end of its messages if the program is not running any more."""
        if self.process.poll() is not None:
            tail = "\n".join(self.log.read_text().splitlines()[-20:])
            raise RuntimeError(f"{' '.join(self.arguments)} ended with {self.process.returncode}:\n{tail}")


def python(*arguments: str) -> list[str]:
    """Return the command line that runs this interpreter with `arguments`."""
    return [sys.executable, *arguments]
