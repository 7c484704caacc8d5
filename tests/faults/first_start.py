"""`python -m tests.faults.first_start FOLDER [full]`: kill -9 before the steps of a start in an empty directory.

Each has a directory and a process of its own, forked from one that is under preload.c: the start that is killed, then
the next one. With `full` these are all steps, once with writes whole and once with writes half done; else each of the
first, which make the ledger, and every tenth of the log's, by turns. Told is (starts killed, [what stood in the way of
a next one, if anything did]) in JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import sys
import traceback
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path

from config.model import Data
from tanflow.ground import open_ground
from tests.faults.preload import Step

_FIRST = 30  # steps, all of which are tried: the ledger is made in them
_BEGIN = struct.Struct("<4q")  # of the control page: counted, kill_at, torn, kinds


def start(folder: Path, step: int, *, torn: bool = False) -> str:
    """Start in a process of its own that ends before a step, 0: in order; return what stood in its way."""
    with Path(os.environ["FAULTS_CONTROL"]).open("r+b", buffering=0) as control:
        control.write(_BEGIN.pack(0, step, torn, Step.DISK if step else 0))
    ours, theirs = os.pipe()
    if not (child := os.fork()):
        try:
            asyncio.run(_start(folder))
        except BaseException:
            os.write(theirs, traceback.format_exc().encode())
            raise
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as told:
        words = told.read().decode()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return words or ("killed" if ended == -signal.SIGKILL else "")


async def _start(folder: Path) -> None:
    async with open_ground(Data(dir=folder, ballast_mb=1)):
        pass


def ways(*, full: bool) -> Iterator[tuple[int, bool]]:
    """Yield steps without end, and whether writes are half done there."""
    if full:
        return ((step, torn) for step in count(1) for torn in (False, True))
    return ((step, n % 2 == 0) for n, step in enumerate(chain(range(1, _FIRST), count(_FIRST, 10))))


def refused(folder: Path, *, full: bool) -> Iterator[str]:
    """Kill before each step; yield what stood in the way of the next start, nothing where it went on."""
    for step, torn in ways(full=full):
        place = folder / f"{step}-{torn}"
        if start(place, step, torn=torn) != "killed":
            return
        words = start(place, 0)
        yield f"step {step}, torn {torn}: {words}" if words else ""


if __name__ == "__main__":
    said = list(refused(Path(sys.argv[1]), full="full" in sys.argv[2:]))
    print(json.dumps([len(said), [words for words in said if words]]))
