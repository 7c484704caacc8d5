"""`make fuzz`: targets under atheris, the API under schemathesis → seeds worth keeping, figures in docs/security.md.

Nothing here passes or fails: what is found lies in build/fuzz/TARGET/found and is told; once mended it becomes a seed.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shlex
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tests.fuzz import api, spent, table
from tests.fuzz.targets import NAMES, ROOT, SEEDS, WORK

_MOST_KEPT: Final = 9_000  # bytes of seeds of a target, with those given by hand
_LIMITS: Final = ("-rss_limit_mb=1024", "-timeout=120", "-print_final_stats=1", "-verbosity=1")
_ROUND: Final = 200_000  # inputs of one process: atheris never lets go of what numpy compares, 1.6 kB an input
_EXECUTED: Final = r"stat::number_of_executed_units:\s*(\d+)"
_END: Final = signal.SIGUSR1  # at which libFuzzer ends in order


def main() -> None:
    asked = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    asked.add_argument("targets", nargs="*", default=[*NAMES, "api"], metavar="TARGET")
    asked.add_argument("--seconds", type=int, default=600, help="of CPU for each target (default: %(default)s)")
    asked.add_argument("--jobs", type=int, default=2, help="targets at a time (default: %(default)s)")
    asked.add_argument("--no-write", action="store_true", help="leave seeds, figures and documents as they are")
    said = asked.parse_args()
    os.nice(19)
    with ThreadPoolExecutor(said.jobs) as pool:
        for told in pool.map(lambda name: _run(name, said.seconds, write=not said.no_write), said.targets):
            print(table.line(told))
            if not said.no_write:
                table.write(told)


def _run(name: str, seconds: int, *, write: bool) -> dict[str, Any]:
    return api.run(seconds) if name == "api" else fuzz(name, seconds, write=write)


def fuzz(name: str, seconds: int, *, write: bool) -> dict[str, Any]:
    """Fuzz a target for so much processor time and return its figures.

    With `write` keep the seeds that reach what others do not.
    """
    place = WORK / name
    corpus, found = place / "corpus", place / "found"
    shutil.rmtree(place, ignore_errors=True)
    for folder in (corpus, found):
        folder.mkdir(parents=True)
    again = place / "again"
    own = ["-m", "tests.fuzz.one", name, str(found), str(again)]
    again.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *own])} "$@"\n')
    again.chmod(0o700)
    words = [*own, *_LIMITS, f"-artifact_prefix={found}/"]
    log = place / "log"
    began = time.monotonic()
    cpu_s, said = _rounds([*words, f"-runs={_ROUND}", str(corpus), str(SEEDS / name)], log, seconds)
    took_s = time.monotonic() - began
    if write:
        _keep(name, words, place)
    return {
        "target": name,
        "seconds": round(took_s),
        "cpu_seconds": round(cpu_s),
        "executions": sum(_numbers(_EXECUTED, said)),
        "edges": max(_numbers(r"cov: (\d+)", said), default=0),
        "found": len([file for file in found.iterdir() if file.suffix != ".txt"]),
    }


def _rounds(words: list[str], log: Path, seconds: int) -> tuple[float, str]:
    """Run a fuzzer again and again until that has taken so much CPU [s]; return (CPU [s], what it said).

    One that executes nothing is not started again.
    """
    cpu_s, said = 0.0, ""
    while cpu_s < seconds:
        cpu_s += _child(words, log, seconds - cpu_s)
        heard = log.read_text(errors="replace")
        said += heard
        if not any(_numbers(_EXECUTED, heard)):
            break
    return cpu_s, said


def _child(words: list[str], log: Path, limit_s: float = math.inf) -> float:
    return spent.run(words, log, signal=_END, limit_s=limit_s, cwd=ROOT)


def _numbers(pattern: str, text: str) -> list[int]:
    return [int(found) for found in re.findall(pattern, text)]


def _keep(name: str, words: list[str], place: Path) -> None:
    """Let libFuzzer choose the fewest inputs that reach everything; of those keep the short ones, within bounds."""
    chosen = place / "chosen"
    chosen.mkdir()
    _child([*words, "-merge=1", str(chosen), str(SEEDS / name), str(place / "corpus")], place / "merge.log")
    have = {file.read_bytes() for file in (SEEDS / name).iterdir()}
    room = _MOST_KEPT - sum(map(len, have))
    for file in sorted(chosen.iterdir(), key=lambda one: one.stat().st_size):
        content = file.read_bytes()
        if content not in have and len(content) <= room:
            room -= len(content)
            (SEEDS / name / f"reached-{file.name[:12]}").write_bytes(content)


if __name__ == "__main__":
    main()
