"""Commands enter, each run in turn as often as asked; the CPU each needs for one thing [µs] leaves, as medians.

A command is a program that prints `{"cpu_s": …, "count": …}` of the time it measured itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

import orjson

from benchmarks.report import ROOT

_FIRST_S: Final = 60.0  # until a program has done its first thing


def in_turns(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Return the median CPU time per thing [µs] of each command over the rounds; RuntimeError when one fails."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(_once(command))
    return {name: median(values) for name, values in found.items()}


def _once(command: Sequence[str]) -> float:
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stderr[-2000:]}")
    said = orjson.loads(ran.stdout)
    if not said["count"]:
        raise RuntimeError(f"{' '.join(command)} has done nothing in the time it measured:\n{ran.stderr[-2000:]}")
    return float(said["cpu_s"] / said["count"] * 1e6)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended; raises what it ended with before."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def told(count: Callable[[], int], warm_s: float, measure_s: float) -> None:
    """Let this process work, and print what it used and did in the measured time, once it is warm."""
    async with asyncio.timeout(_FIRST_S):
        while not count():  # noqa: ASYNC110 - counting is what is measured; an event would be work of its own
            await asyncio.sleep(0.05)
    await asyncio.sleep(warm_s)
    before, cpu_s = count(), time.process_time()
    await asyncio.sleep(measure_s)
    # CPU first: what is counted afterwards is no work of the benchmark's.
    used = time.process_time() - cpu_s
    print(orjson.dumps({"cpu_s": used, "count": count() - before}).decode(), flush=True)
