"""Window values → alert transitions: above a limit for long enough fires, below a lower one clears."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from pipeline.batch import ALERT, Batch, Header, empty, make
from pipeline.consume import State


class Status(IntEnum):
    """State of an alert, as its series carries it."""

    CLEAR = 0
    PENDING = 1
    FIRING = 2


@dataclass(frozen=True, slots=True)
class Threshold:
    """One rule. Every transition is one row at the time it became true; ticks let a hold run out without new windows.

    A window with too little completeness says nothing, neither good nor bad; nor does one told again because of late
    data when a newer one is known. State: {"status", "since", "newest": end of the newest window}.
    """

    name: str
    watched: int
    completeness: int
    tick: int
    above: float
    clear_below: float
    hold_ns: int
    min_completeness: float
    series: int
    stratum: Final = ALERT  # type: ignore[misc]

    def fold(self, state: State, batch: Batch, header: Header) -> tuple[State, Batch]:
        """Take a batch's windows and ticks in order of time and return the transitions."""
        relevant = np.isin(batch.series, [self.watched, self.tick])
        if not relevant.any():
            return state, empty(header)
        known = batch.series == self.completeness
        shares = dict(zip(batch.time_ns[known].tolist(), batch.value[known].tolist(), strict=True))
        status, since = Status(state.get("status", Status.CLEAR)), state.get("since", 0)
        newest = state.get("newest", 0)
        rows: list[tuple[int, Status]] = []
        for row in np.flatnonzero(relevant):
            at, value = int(batch.time_ns[row]), float(batch.value[row])
            wanted = status
            if batch.series[row] == self.watched and at >= newest:
                newest = at
                wanted = self._judge(status, value) if shares.get(at, 0.0) >= self.min_completeness else status
            if wanted != status:
                # A window is told after its grace, when a tick may have fired already: rows never go back in time.
                status, since = wanted, max(at, since + 1)
                rows.append((since, status))
            if status is Status.PENDING and at >= since + self.hold_ns:
                status, since = Status.FIRING, at
                rows.append((at, status))
        state = {"status": int(status), "since": since, "newest": newest}
        if not rows:
            return state, empty(header)
        return state, make(header, [t for t, _ in rows], [self.series] * len(rows), [s for _, s in rows])

    def _judge(self, status: Status, value: float) -> Status:
        if value > self.above:
            risen = Status.PENDING if self.hold_ns else Status.FIRING
            return risen if status is Status.CLEAR else status
        if value < self.clear_below or status is Status.PENDING:
            return Status.CLEAR
        return status
