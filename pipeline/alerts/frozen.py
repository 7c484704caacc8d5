"""Readings of devices, and ticks → judgements of those that answer while none of their values changes any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from config.alerting import stale_after_s
from pipeline import quality as q
from pipeline.alerts.by_device import UNKNOWN, judged_at, numbered, places_of
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.judged import AGAIN_NS, FALSE, TRUE, Floats, Ints, Judged, Places, joined
from pipeline.alerts.pulse import Pulse
from pipeline.batch import Batch
from pipeline.clock import SECOND_NS
from pipeline.consume import State

_ROUNDS: Final = 15  # looks at a device while it must stand still
_TURNS: Final = 12  # in which the devices are looked at, one part of them after another
Ids = npt.NDArray[np.int32]
_MOVED: Final = -1  # it has changed since it was last looked at
_ASKED: Final = 0  # what comes next is remembered, to be compared with what follows
_TYPES: Final = (np.int64, np.int64, np.int32, np.float64)


class Still(NamedTuple):
    """What is known of n devices; the last of each column stands for all other series.

    since: time of the reading nothing has differed from [ns], or _MOVED, _ASKED · heard: newest good reading [ns] ·
    series, value: the readings compared with, only of devices that are looked at.
    """

    since: Ints
    heard: Ints
    series: Ids
    value: Floats


@dataclass(frozen=True)
class Frozens:
    """All alerts of frozen devices: how long no gauge and no counter of it has changed [s].

    To remember every value of every device would make the state as large as the plant. So each is looked at now and
    then: its values are kept until one differs, which with most is the next reading, and forgotten until the next
    look. The time still is told from the first reading compared with, at most a fifteenth of `after_s` too short. A
    silent device is not frozen, nor one whose readings are bad. Late readings say nothing.
    State: {"of": digest of the alerts, "still": columns of Still, "truth": by alert, "pulse",
    "looked": the latest look, "due": the next, "told": when what lasts was last told}.
    """

    alerts: Ints
    device: Ints  # of each alert
    after_ns: Ints
    silent_ns: Ints  # by device
    places: Places  # series of gauges and counters → device
    tick: int
    of: str

    @property
    def _look_ns(self) -> int:
        return max(SECOND_NS, int(self.after_ns.min()) // _ROUNDS)

    @cached_property
    def _rests(self) -> Ints:
        """When within a look's time each device has its turn."""
        return np.arange(len(self.silent_ns)) % _TURNS * (self._look_ns // _TURNS)

    def fold(self, state: State, batch: Batch) -> tuple[State, Judged | None]:
        state = dict(state) if state.get("of") == self.of else self._fresh()
        still = Still(*(np.asarray(c, t) for c, t in zip(state["still"], _TYPES, strict=True)))
        pulse, begun, parts = Pulse(*state["pulse"]), 0, []
        ticks = np.flatnonzero(batch.series == self.tick)
        for row, now in zip(ticks.tolist(), batch.time_ns[ticks].tolist(), strict=True):
            pulse = pulse.after(now)
            if now >= state["due"]:
                still = self._compare(still, batch.take(slice(begun, row)))
                begun = row
                still, judged = self._judge(state, still, pulse, row)
                parts.append(judged)
                still = self._ask(still, state["looked"] or now, now)
                state |= {"looked": now, "due": now + self._look_ns // _TURNS}
        still = self._compare(still, batch.take(slice(begun, None)) if begun else batch)
        state |= {"still": [*still], "pulse": [*pulse]}
        return state, joined(parts) if parts else None

    def _fresh(self) -> State:
        n = len(self.silent_ns)
        still = [np.full(n + 1, _MOVED, np.int64), np.zeros(n + 1, np.int64), np.empty(0, np.int32), np.empty(0)]
        truth = np.full(len(self.alerts), UNKNOWN, np.int8)
        return {"of": self.of, "still": still, "truth": truth, "pulse": [*Pulse()], "looked": 0, "due": 0, "told": 0}

    def _compare(self, still: Still, batch: Batch) -> Still:
        """Take readings of the devices that are looked at: the first of a series is kept, another one ends it."""
        rows = np.flatnonzero((still.since != _MOVED)[self.places(batch.series)])
        usable = ((batch.quality[rows] & q.SEVERITY) != q.BAD) & ((batch.quality[rows] & np.uint16(q.LATE)) == 0)
        rows = rows[usable]
        if not len(rows):
            return still
        device, time_ns = self.places(batch.series[rows]), batch.time_ns[rows]
        since, heard = still.since.copy(), still.heard.copy()
        begins = since[device] == _ASKED
        since[device[begins][::-1]] = time_ns[begins][::-1]  # of several the first
        np.maximum.at(heard, device, time_ns)
        rows = rows[np.argsort(batch.series[rows], kind="stable")]
        every, value = batch.series[rows], batch.value[rows]
        first = np.flatnonzero(np.diff(every, prepend=-1))
        series = every[first]
        kept = np.append(still.value, np.nan)[_found(still.series, series)]
        new = np.isnan(kept)
        against = np.repeat(np.where(new, value[first], kept), np.diff(np.append(first, len(every))))
        moved = np.zeros(len(still.since), bool)
        moved[self.places(every[value != against])] = True
        since[moved] = _MOVED
        if not new.any() and not moved.any():
            return still._replace(since=since, heard=heard)
        series, value = np.append(still.series, series[new]), np.append(still.value, value[first][new])
        return Still(since, heard, *self._remembered(since, series, value))

    def _remembered(self, since: Ints, series: Ids, value: Floats) -> tuple[Ids, Floats]:
        """Return the readings that are still compared with, by id."""
        rows = np.flatnonzero((since > _ASKED)[self.places(series)])
        rows = rows[np.argsort(series[rows], kind="stable")]
        return series[rows], value[rows]

    def _judge(self, state: State, still: Still, pulse: Pulse, row: int) -> tuple[Still, Judged]:
        """Look at every device at a tick; a silent one has to show its values anew."""
        now, before = pulse.tick, np.asarray(state["truth"], np.int8)
        heard = np.minimum(still.heard, now)
        silent = np.append(now - np.maximum(heard, pulse.since)[:-1] >= self.silent_ns, False) & (still.since > _ASKED)
        still_ns = np.where(still.since > _ASKED, heard - still.since, 0)[self.device]
        over = (silent | (still.since == _MOVED))[self.device]
        truth = np.where(over, FALSE, np.where(still_ns >= self.after_ns, TRUE, before))
        again = now >= state["told"] + AGAIN_NS
        state |= {"truth": truth.astype(np.int8), "told": now if again else state["told"]}
        rows = np.flatnonzero((truth != before) | (again & (truth == TRUE)))
        judged = judged_at(
            row, now, self.alerts[rows], truth[rows], still_ns[rows] / SECOND_NS, self.after_ns[rows] / SECOND_NS
        )
        since = np.where(silent, _ASKED, still.since)
        return Still(since, heard, *self._remembered(since, still.series, still.value)), judged

    def _ask(self, still: Still, looked_ns: int, now_ns: int) -> Still:
        """Return what is known with those to be looked at whose turn has come since the last look."""
        turn = (now_ns + self._rests) // self._look_ns != (looked_ns + self._rests) // self._look_ns
        since = still.since.copy()
        since[:-1][turn & (since[:-1] == _MOVED)] = _ASKED
        return still._replace(since=since)


def _found(known: Ids, series: Ids) -> Ints:
    """Return where each series stands among those known in order; past their end where it does not."""
    at = np.searchsorted(known, series)
    return np.where(np.append(known, -1)[at] == series, at, len(known))


def build(alerts: Sequence[Numbered], context: Context) -> Frozens:
    """Return the condition of all rules of this kind."""
    devices, columns = numbered(alerts)
    silent = {d.key: stale_after_s(context.config, d) * SECOND_NS for d in context.devices if d.key in devices}
    return Frozens(
        silent_ns=np.array([silent[key] for key in devices], np.int64),
        places=places_of(devices, context, ("gauge", "counter")),
        tick=context.tick,
        **columns,
    )
