"""What a process held for a moment is the system's again, though something lasting stands behind it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from tanflow.memory import let_go_of_code, stay_small
from tanflow.tasks import cancel, start
from tests.waiting import until

_BLOCK, _BLOCKS = 100_000, 1_000


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_what_was_needed_once_is_given_back() -> None:
    blocks = [b"x" * _BLOCK for _ in range(_BLOCKS)]
    lasting = blocks[:: _BLOCKS // 10] + blocks[-1:]
    del blocks
    held = resident()
    giving = start("memory", stay_small(0.01))
    await until(lambda: resident() < held - _BLOCK * _BLOCKS // 2)
    await cancel([giving])
    assert len(lasting) == 11


def mapped() -> int:
    """Return how much of files is in this process's memory [kB]."""
    (kilobytes,) = re.findall(r"^RssFile:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(kilobytes)


def test_what_was_read_of_libraries_is_let_go_and_comes_back() -> None:
    before = mapped()
    let_go_of_code()
    assert mapped() < before * 0.8
    assert np.linalg.det(2 * np.eye(3)) == pytest.approx(8)
