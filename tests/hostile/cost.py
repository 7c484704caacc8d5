"""What a piece of work costs at its worst: memory it takes at its peak and processor time, not the time on the wall."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]

TRAPPED_S: Final = 120.0  # processor time of whoever is caught by a trap: it would take hours; others, seconds


class Cost:
    """Filled when the work is over."""

    peak_bytes = 0  # beyond what was held before
    cpu_s = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure what the block allocates at most, and the processor time of this process."""
    cost = Cost()
    gc.collect()
    tracemalloc.start()
    began = time.process_time()
    try:
        yield cost
    finally:
        cost.cpu_s = time.process_time() - began
        _, cost.peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()


def limited(code: str, *arguments: str, memory_bytes: int, cpu_s: int = int(TRAPPED_S)) -> str:
    """Run code in a process of its own that may not hold more memory or take more time; return what it printed.

    Anything but a clean end is an AssertionError: the kernel refuses what is beyond the limits.
    """

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        preexec_fn=bound,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout
