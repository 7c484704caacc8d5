"""Judgements and ticks → transitions of every alert: true for long enough fires, well again clears."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from pipeline.alerts.judged import AGAIN_NS, FALSE, TRUE, Condition, Judged, Places, joined
from pipeline.batch import ALERT, Batch, Header, empty, make
from pipeline.consume import State

STAGE: Final = "alerts"


class Status(IntEnum):
    """State of an alert, as its series carries it."""

    CLEAR = 0
    PENDING = 1
    FIRING = 2


class Slot(NamedTuple):
    """One alert: its key, how long it must be true, the ids of its four series, and of a power it wastes (−1: none).

    `fresh_ns`: how long a judgement says anything of now, 0 for ever. Of a figure that is computed at night only, a
    hold does not run by day, and an alert that goes on firing is told to cost nothing that is known then. `of`: what
    is judged; what was true of something else is over.
    """

    key: str
    hold_ns: int
    state: int
    value: int
    limit: int
    excess: int
    waste: int = -1
    fresh_ns: int = 0
    of: str = ""


class Stand(NamedTuple):
    """Where an alert stands: status, since when [ns], when its value was last told [ns], the cost told [kW], and what
    was judged ("": not known).
    """

    status: int = Status.CLEAR
    since: int = 0
    told: int = 0
    cost: float = 0.0
    of: str = ""


@dataclass(frozen=True)
class Alerts:
    """All alerts of a site. Every transition is one row at the time it became true, with value, limit and excess.

    An alert is FIRING when its condition has been true for its hold; ticks let a hold run out without new values.
    State: {"stands": {key: Stand}, "waste": {key: latest [kW]}, and of each condition under its kind}.
    """

    slots: Sequence[Slot]
    conditions: Mapping[str, Condition]
    tick: int
    name: str = STAGE
    stratum: Final = ALERT  # type: ignore[misc]

    @cached_property
    def _waste(self) -> Places:
        return Places({slot.waste: n for n, slot in enumerate(self.slots) if slot.waste >= 0})

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {slot.key: n for n, slot in enumerate(self.slots)}

    def fold(self, state: State, batch: Batch, header: Header) -> tuple[State, Batch]:
        """Take a batch and return the transitions it brings."""
        after: State = dict(state)
        parts = []
        for kind, condition in self.conditions.items():
            after[kind], judged = condition.fold(state.get(kind, {}), batch)
            parts += [judged] if judged is not None and len(judged.alert) else []
        waste = self._wasted(after, batch)
        ticks = np.flatnonzero(batch.series == self.tick)
        if not parts and not len(ticks):
            return after, empty(header)
        run = _Run(self.slots, self._numbers, after, waste)
        run.through(joined(parts) if parts else None, ticks, batch.time_ns[ticks])
        after["stands"] = run.stands
        if not run.rows:
            return after, empty(header)
        times, series, values = zip(*run.rows, strict=True)
        return after, make(header, times, series, values)

    def _wasted(self, state: State, batch: Batch) -> dict[str, float]:
        """Return the latest waste of each alert that names one, this batch included."""
        latest = dict(state.get("waste", {}))
        rows = self._waste.rows(batch)
        for number, value in zip(self._waste(batch.series[rows]).tolist(), batch.value[rows].tolist(), strict=True):
            mine = self.slots[number].waste
            latest |= {slot.key: value for slot in self.slots if slot.waste == mine}
        state["waste"] = latest
        return latest


class _Run:
    """One batch's way through the alerts; `rows` are (time_ns, series, value)."""

    def __init__(
        self, slots: Sequence[Slot], known: Mapping[str, int], state: State, waste: Mapping[str, float]
    ) -> None:
        self._slots, self._known, self._waste = slots, known, waste
        # One that was taken out of the configuration has ended: brought back, it fires anew.
        self.stands: dict[str, Sequence[Any]] = {k: s for k, s in state.get("stands", {}).items() if k in known}
        standing = ((known[key], self._stand(known[key])) for key in self.stands)
        self._waiting = {number for number, stand in standing if self._waits(number, stand)}
        self.rows: list[tuple[int, int, float]] = []

    def through(self, judged: Judged | None, ticks: np.ndarray, times: np.ndarray) -> None:
        """Take judgements and ticks in the order of their rows; at one row the judgement comes first."""
        begun = 0
        order = judged.row.tolist() if judged else []
        told = list(zip(*(c.tolist() for c in judged), strict=True)) if judged else []
        self._end_others(int(times[0]) if len(times) else told[0][2])
        for row, at in zip(ticks.tolist(), times.tolist(), strict=True):
            while begun < len(told) and order[begun] <= row:
                self._judge(*told[begun])
                begun += 1
            for number in sorted(self._waiting):
                self._ripen(number, at)
        for one in told[begun:]:
            self._judge(*one)

    def _end_others(self, at: int) -> None:
        """End what was true of something the rule of that name judges no more."""
        for number in [self._known[key] for key, stand in self.stands.items() if stand[0] != Status.CLEAR]:
            stand = self._stand(number)
            if stand.of and stand.of != self._slots[number].of:
                self._put(number, self._moves(number, Status.CLEAR, max(at, stand.since + 1)))

    def _stand(self, number: int) -> Stand:
        status, since, told, *cost = self.stands.get(self._slots[number].key, Stand())
        return Stand(int(status), int(since), int(told), *cost)

    def _waits(self, number: int, stand: Stand) -> bool:
        """Return whether a tick may change it: a hold may run out, or what it costs be no longer known."""
        costs = stand.status == Status.FIRING and stand.cost > 0 and self._slots[number].fresh_ns > 0
        return stand.status == Status.PENDING or costs

    def _put(self, number: int, stand: Stand) -> None:
        self.stands[self._slots[number].key] = [*stand._replace(of=self._slots[number].of)]
        (self._waiting.add if self._waits(number, stand) else self._waiting.discard)(number)

    def _judge(self, number: int, row: int, at: int, truth: int, value: float, limit: float, excess: float) -> None:
        slot, stand = self._slots[number], self._stand(number)
        status = Status(stand.status)
        if status is Status.PENDING and slot.fresh_ns:  # its hold stood still while nobody judged
            stand = stand._replace(since=stand.since + max(0, at - stand.told - slot.fresh_ns))
        if status is Status.CLEAR and truth == TRUE:
            # A window is told after its grace, when a tick may have fired already: rows never go back in time.
            stand = self._moves(number, Status.PENDING if slot.hold_ns else Status.FIRING, max(at, stand.since + 1))
        elif status is not Status.CLEAR and (truth == FALSE or (truth != TRUE and status is Status.PENDING)):
            stand = self._moves(number, Status.CLEAR, max(at, stand.since + 1))
        elif status is Status.CLEAR or at < stand.told + AGAIN_NS:
            self._ripen(number, at)
            return
        if np.isnan(excess):
            excess = self._waste.get(slot.key, np.nan)
        self._tell(number, max(at, stand.since), value, limit, excess)
        cost = excess if np.isfinite(excess) else 0.0
        self._put(number, stand._replace(told=max(at, stand.since), cost=cost))
        self._ripen(number, at)

    def _tell(self, number: int, at: int, value: float, limit: float, excess: float) -> None:
        slot = self._slots[number]
        for series, what in ((slot.value, value), (slot.limit, limit), (slot.excess, excess)):
            if np.isfinite(what):
                self.rows.append((at, series, what))

    def _ripen(self, number: int, at: int) -> None:
        slot, stand = self._slots[number], self._stand(number)
        unknown = slot.fresh_ns > 0 and at > stand.told + slot.fresh_ns
        if stand.status == Status.PENDING and not unknown and at >= stand.since + slot.hold_ns:
            firing = self._moves(number, Status.FIRING, at)
            self._put(number, firing._replace(told=stand.told, cost=stand.cost))
        elif stand.status == Status.FIRING and unknown and stand.cost > 0:
            self.rows.append((at, slot.excess, 0.0))
            self._put(number, stand._replace(cost=0.0))

    def _moves(self, number: int, status: Status, at: int) -> Stand:
        """Append the row of a transition and return where the alert stands then."""
        self.rows.append((at, self._slots[number].state, float(status)))
        return Stand(status, at)
