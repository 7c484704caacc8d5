"""A running gateway or script enters; CPU per value, memory and loop lag over equal intervals leave."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import urllib3

from benchmarks.process import Program, usage

_ROWS = re.compile(r'^tanflow_rows_total\{component="([^"]+)",event="([^"]+)"\} (\S+)$', re.MULTILINE)
_LAG = re.compile(r"^tanflow_loop_lag_(recent|max)_seconds (\S+)$", re.MULTILINE)
_LOOK_S = 1.0  # between two looks at memory


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a gateway says of itself: rows by (component, event); largest loop lag of the last 15 s, and since start."""

    rows: dict[tuple[str, str], int]
    recent_lag_s: float
    lag_s: float

    def total(self, prefix: str, event: str) -> int:
        """Return the rows of all components whose name begins with `prefix`."""
        return sum(n for (name, what), n in self.rows.items() if name.startswith(prefix) and what == event)


def metrics(url: str) -> Metrics:
    """Return the gateway's /metrics; RuntimeError when it does not say what is looked for."""
    text = urllib3.request("GET", f"{url}/metrics", timeout=10).data.decode()
    rows = {(name, event): int(float(count)) for name, event, count in _ROWS.findall(text)}
    lags = {which: float(seconds) for which, seconds in _LAG.findall(text)}
    if not rows or len(lags) != 2:
        raise RuntimeError(f"{url}/metrics does not show tanflow_rows_total and tanflow_loop_lag_…_seconds")
    return Metrics(rows, lags["recent"], lags["max"])


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval of a run: its length [s], CPU used in it [s], values moved, memory at each look within it [MB]."""

    length_s: float
    cpu_s: float
    values: int
    rss_mb: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians over the intervals; of resident memory those of all looks, and the largest."""

    intervals: tuple[Interval, ...]

    @property
    def core_share(self) -> float:
        """CPU time ÷ wall time, 1 = one whole core."""
        return median(i.cpu_s / i.length_s for i in self.intervals)

    @property
    def us_per_value(self) -> float:
        return median(i.cpu_s / max(i.values, 1) * 1e6 for i in self.intervals)

    @property
    def values_per_s(self) -> float:
        return median(i.values / i.length_s for i in self.intervals)

    @property
    def rss_mb(self) -> float:
        return median(look for i in self.intervals for look in i.rss_mb)

    @property
    def peak_rss_mb(self) -> float:
        return max(look for i in self.intervals for look in i.rss_mb)


def watch(program: Program, values: Callable[[], int], intervals: int, interval_s: float) -> Figures:
    """Watch `program` for `intervals` × `interval_s`; `values` tells how many values it has moved until now."""
    found: list[Interval] = []
    last_s, last, last_values = time.monotonic(), usage(program.process.pid), values()
    for _ in range(intervals):
        looks = tuple(_looks(program, last_s + interval_s))
        now_s, now, now_values = time.monotonic(), usage(program.process.pid), values()
        found.append(Interval(now_s - last_s, now.cpu_s - last.cpu_s, now_values - last_values, looks))
        last_s, last, last_values = now_s, now, now_values
    return Figures(tuple(found))


def _looks(program: Program, until_s: float) -> Iterator[float]:
    """Yield the memory it holds [MB] about each second: at the end alone it may be always the same part of a cycle."""
    while (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(left_s, _LOOK_S))
        program.check()
        yield usage(program.process.pid).rss_mb


def wait_until(condition: Callable[[], bool], program: Program, timeout_s: float, what: str) -> None:
    """Return when `condition()` holds; RuntimeError when `program` ends or `timeout_s` passes."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        program.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(0.2)
