"""A fuzzer as a process of its own, and how much processor time it may take: on a busy machine a clock says little."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_LOOK_S: Final = 0.5
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def run(
    words: Sequence[str],
    log: Path,
    *,
    signal: int,
    limit_s: float = math.inf,
    cwd: Path,
    env: dict[str, str] | None = None,
) -> float:
    """Run Python with these words; return the processor time it took [s]. Beyond `limit_s` it is asked to end."""
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, *words], cwd=cwd, env=env, stdout=out, stderr=subprocess.STDOUT)
        while not _ended(process.pid):
            if _cpu_s(process.pid) >= limit_s:
                process.send_signal(signal)
                break
            time.sleep(_LOOK_S)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


def _ended(process: int) -> bool:
    """Return whether a child has ended; it can still be waited for."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _cpu_s(process: int) -> float:
    user, system = Path(f"/proc/{process}/stat").read_bytes().rpartition(b") ")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS
