"""Amounts → energy intensity [kWh/t] of each window of the site's hours, with the share of time it stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from pipeline import quality as q
from pipeline.batch import WINDOW, Batch, Header, empty, make
from pipeline.clock import SECOND_NS
from pipeline.consume import State

_LONGEST: Final = 1_000  # windows an interval may lie across: a clock that was decades off must not open them all


@dataclass(frozen=True, slots=True)
class Calendar:
    """Windows of equal length on the site's clock; with shifts, only those that begin within one."""

    zone: ZoneInfo
    length_ns: int
    shifts: Sequence[tuple[time, time]] = ()

    @property
    def name(self) -> str:
        """What tells calendars of other windows apart, e.g. `Asia/Shanghai 3600 s`."""
        return f"{self.zone.key} {self.length_ns // SECOND_NS} s"

    def start(self, time_ns: int) -> int:
        """Return the start of the window an instant lies in, windows being (start, end]."""
        offset = self._local(time_ns - 1).utcoffset()
        shift_ns = int(offset.total_seconds()) * SECOND_NS if offset else 0
        local = time_ns - 1 + shift_ns
        return local - local % self.length_ns - shift_ns

    def counts(self, start_ns: int) -> bool:
        """Return whether the window is part of a shift; without shifts every window is."""
        if not self.shifts:
            return True
        begins = self._local(start_ns).time()
        return any(a <= begins < b if a < b else begins >= a or begins < b for a, b in self.shifts)

    def _local(self, time_ns: int) -> datetime:
        return datetime.fromtimestamp(time_ns // SECOND_NS, UTC).astimezone(self.zone)


@dataclass(frozen=True, slots=True)
class Intensity:
    """Σ energy / Σ product per window; closes when the latest tick has passed its end by the grace.

    completeness = least share of the window that any input's intervals cover. A window without product has no
    intensity, only a completeness; one in which the gateway ran and nothing came has completeness 0. State:
    {"hours": name of the calendar, "open": {start: {"sums": {series: [amount, covered_ns]}, "quality": bits}},
    "closed": last closed end, "late": rows that came after their window, or lie across absurdly many}.
    """

    name: str
    calendar: Calendar
    energy: frozenset[int]
    product: int
    tick: int
    grace_ns: int
    intensity: int
    completeness: int
    stratum: Final = WINDOW  # type: ignore[misc]

    def fold(self, state: State, batch: Batch, header: Header) -> tuple[State, Batch]:
        """Add a batch's amounts to their windows and return the rows of those that are over."""
        inputs = np.isin(batch.series, [*self.energy, self.product])
        ticks = batch.time_ns[batch.series == self.tick]
        if not inputs.any() and not len(ticks):
            return state, empty(header)
        hours = self.calendar.name
        # Windows begun under another calendar are not these: what they held is missing, and completeness says so.
        begun = state.get("open", {}) if state.get("hours", hours) == hours else {}
        opened = {start: _copy(w) for start, w in begun.items()}
        state = {"hours": hours, "open": opened, "closed": state.get("closed", 0), "late": state.get("late", 0)}
        for row in np.flatnonzero(inputs):
            self._add(state, batch, int(row))
        if not len(ticks):
            return state, empty(header)
        self._open(state, self.calendar.start(int(ticks.max())))
        return self._close(state, int(ticks.max()) - self.grace_ns, header)

    def _add(self, state: State, batch: Batch, row: int) -> None:
        quality, value = int(batch.quality[row]), float(batch.value[row])
        if quality & q.SEVERITY == q.BAD or not np.isfinite(value):
            return
        end, span = int(batch.time_ns[row]), int(batch.span_ns[row])
        if span > _LONGEST * self.calendar.length_ns:
            state["late"] += 1
            return
        for start, share_ns in self._parts(end, span):
            window = self._open(state, start)
            if window is None:
                state["late"] += 1
                continue
            total = window["sums"].setdefault(str(batch.series[row]), [0.0, 0])
            total[0] += value * (share_ns / span if span else 1.0)
            total[1] += share_ns
            window["quality"] = max(window["quality"], quality & q.SEVERITY)

    def _open(self, state: State, start: int) -> dict[str, Any] | None:
        """Return the window that begins at `start`, opening it at first use; None if it is closed."""
        if start + self.calendar.length_ns <= state["closed"]:
            return None
        window: dict[str, Any] = state["open"].setdefault(str(start), {"sums": {}, "quality": 0})
        return window

    def _parts(self, end: int, span: int) -> list[tuple[int, int]]:
        """Return (window start, overlap) of an interval, which may lie across windows."""
        edges = [end]
        while edges[0] > end - span:
            edges.insert(0, max(self.calendar.start(edges[0]), end - span))
        if not span:
            return [(self.calendar.start(end), 0)]
        return [(self.calendar.start(b), b - a) for a, b in pairwise(edges)]

    def _close(self, state: State, watermark: int, header: Header) -> tuple[State, Batch]:
        length = self.calendar.length_ns
        over = sorted(int(s) for s in state["open"] if int(s) + length <= watermark)
        times, series, values, qualities = [], [], [], []
        for start in over:
            window = state["open"].pop(str(start))
            state["closed"] = max(state["closed"], start + length)
            if not self.calendar.counts(start):
                continue
            for target, value in self._result(window["sums"]):
                times.append(start + length)
                series.append(target)
                values.append(value)
                qualities.append(window["quality"])
        if not times:
            return state, empty(header)
        return state, make(header, times, series, values, qualities, length)

    def _result(self, sums: Mapping[str, Sequence[float]]) -> list[tuple[int, float]]:
        inputs = [*self.energy, self.product]
        covered = [min(1.0, sums.get(str(s), (0.0, 0))[1] / self.calendar.length_ns) for s in inputs]
        rows = [(self.completeness, min(covered))]
        tonnes = sums.get(str(self.product), (0.0, 0))[0]
        if tonnes > 0:
            kwh = sum(sums.get(str(s), (0.0, 0))[0] for s in self.energy)
            rows.append((self.intensity, kwh / tonnes))
        return rows


def _copy(window: Mapping[str, Any]) -> dict[str, Any]:
    return {"sums": {s: list(total) for s, total in window["sums"].items()}, "quality": window["quality"]}
