"""A running gateway and its data directory → samples of memory and disk against time, and how fast each grows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.process import Program, descendants

_KILOBYTE: Final = 1_024 / 1e6  # of /proc, in MB
BLOCKS: Final = 30  # samples near each other are alike: the line is laid through the means of so many stretches


@dataclass(frozen=True, slots=True)
class Sample:
    """What is held at a moment [h of the gateway's own time]: memory and files [MB], readings taken in so far."""

    hours: float
    rss: float
    pss: float
    anonymous: float  # of the resident memory, what is no file: arrays, objects, stacks
    log: float
    history: float
    ledger: float
    readings: int


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through samples: its rise and the standard error of that [MB/h]."""

    per_hour: float
    error: float

    def text(self, unit: str = "MB/h", factor: float = 1.0) -> str:
        return f"{self.per_hour * factor:+,.3f} ± {self.error * factor:,.3f} {unit}"


def memory_mb(pid: int) -> tuple[float, float, float]:
    """Return resident, proportional and anonymous memory of a process and its children [MB]."""
    total = {"Rss": 0.0, "Pss": 0.0, "Anonymous": 0.0}
    for one in (pid, *descendants(pid)):
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()[1:]:
            name, _, amount = line.partition(":")
            if name in total:
                total[name] += int(amount.split()[0]) * _KILOBYTE
    return total["Rss"], total["Pss"], total["Anonymous"]


def disk_mb(data: Path) -> tuple[float, float, float]:
    """Return what the log, the history and the ledger take on disk [MB]."""
    taken = {"log": 0, "history": 0, "ledger": 0}
    for path in data.rglob("*"):
        kind = path.relative_to(data).parts[0].partition(".")[0]
        if kind in taken:
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # compacted meanwhile
            taken[kind] += stat.st_blocks * 512
    return taken["log"] / 1e6, taken["history"] / 1e6, taken["ledger"] / 1e6


def sampled(
    program: Program, data: Path, readings: Callable[[], int], lasts_s: float, every_s: float, speed: float = 1.0
) -> list[Sample]:
    """Watch a gateway for so long [s on the wall]; its own time passes `speed` times as fast."""
    begun, samples = time.monotonic(), list[Sample]()
    while (since := time.monotonic() - begun) < lasts_s:
        program.check()
        memory, disk = memory_mb(program.process.pid), disk_mb(data)
        samples.append(Sample(since * speed / 3_600, *memory, *disk, readings()))
        time.sleep(max(0.0, begun + len(samples) * every_s - time.monotonic()))
    return samples


def after(samples: Sequence[Sample], hours: float) -> list[Sample]:
    """Return what was seen later than the warm-up."""
    return [s for s in samples if s.hours >= hours]


def slope(samples: Sequence[Sample], what: str) -> Slope:
    """Return the least-squares line through the means of BLOCKS stretches of the samples.

    b = Σ (t − t̄)(y − ȳ) / Σ (t − t̄)²; its standard error is √(Σ r² / (n − 2) / Σ (t − t̄)²), r the residuals.
    """
    table = np.array([astuple(s) for s in samples], np.float64)
    column = [field.name for field in fields(Sample)].index(what)
    stretches = np.array_split(table[:, [0, column]], min(BLOCKS, len(table)))
    t, y = np.array([stretch.mean(axis=0) for stretch in stretches]).T
    if len(t) < 3:
        return Slope(math.nan, math.nan)
    square = float(((t - t.mean()) ** 2).sum())
    rise = float(((t - t.mean()) * (y - y.mean())).sum()) / square
    rest = y - y.mean() - rise * (t - t.mean())
    return Slope(rise, math.sqrt(float((rest**2).sum()) / (len(t) - 2) / square))
