"""`python -m tests.faults.hasty run …`: the gateway, its history compacted every 2 s; only that counts as steps.

A gateway compacts hourly. The steps of preload.c that are to be counted are those between begin and end of it.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

from pipeline import archive
from sinks.history import History
from tanflow.cli import main
from tests.faults.preload import KINDS_AT

COUNTED: Final = "FAULTS_COUNTED"  # in the environment: which kinds are to count
_EVERY_S: Final = 2.0
_FILES: Final = 3  # of the lowest level, before it is worth it
_compact = History.compact


async def compact(self: History) -> int:
    """Compact once there is something to put together, and let its steps count meanwhile."""
    if len(list((self._root / "raw").glob("*.parquet"))) < _FILES:
        return 0
    count(int(os.environ[COUNTED]))
    try:
        return await _compact(self)
    finally:
        count(0)


def count(kinds: int) -> None:
    """Say which kinds of steps count from now on."""
    with Path(os.environ["FAULTS_CONTROL"]).open("r+b", buffering=0) as control:
        control.seek(KINDS_AT)
        control.write(struct.pack("<q", kinds))


if __name__ == "__main__":
    vars(archive)["_COMPACT_S"] = _EVERY_S
    History.compact = compact  # type: ignore[method-assign]
    main()
