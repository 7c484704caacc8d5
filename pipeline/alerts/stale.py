"""Readings of devices, and ticks → judgements of those of which nothing good has come for too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline import quality as q
from pipeline.alerts.by_device import UNKNOWN, judged_at, numbered, places_of
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.judged import AGAIN_NS, FALSE, TRUE, Ints, Judged, Places, joined
from pipeline.alerts.pulse import Pulse
from pipeline.batch import Batch
from pipeline.clock import SECOND_NS
from pipeline.consume import State

_BEAT_NS: Final = 10 * SECOND_NS  # while any device is stale, all are looked at this often


@dataclass(frozen=True)
class Stales:
    """All alerts of silent devices: age = tick − time of the newest good reading [s].

    Before the first reading, and after a time without ticks, silence counts from the first tick; what is stale stays
    so until something good comes. A device's clock that is ahead is cut to the tick that follows.
    State: {"of": digest of the alerts, "heard": newest good reading by device [ns] (the last: of all other series),
    "truth": by alert, "pulse", "due": when to look again, "told": when what lasts was last told}.
    """

    alerts: Ints
    device: Ints  # of each alert
    after_ns: Ints
    places: Places  # series → device
    tick: int
    of: str

    def fold(self, state: State, batch: Batch) -> tuple[State, Judged | None]:
        state = dict(state) if state.get("of") == self.of else self._fresh()
        heard = np.array(state["heard"], np.int64)
        pulse, begun, parts = Pulse(*state["pulse"]), 0, []
        ticks = np.flatnonzero(batch.series == self.tick)
        for row, now in zip(ticks.tolist(), batch.time_ns[ticks].tolist(), strict=True):
            pulse = pulse.after(now)
            if now >= state["due"]:
                self._hear(heard, batch.take(slice(begun, row)))
                begun = row
                np.minimum(heard, now, out=heard)
                parts.append(self._judge(state, heard, pulse, row))
        self._hear(heard, batch.take(slice(begun, None)) if begun else batch)
        state |= {"heard": heard, "pulse": [*pulse]}
        return state, joined(parts) if parts else None

    def _fresh(self) -> State:
        heard = np.zeros(int(self.device.max()) + 2, np.int64)
        truth = np.full(len(self.alerts), UNKNOWN, np.int8)
        return {"of": self.of, "heard": heard, "truth": truth, "pulse": [*Pulse()], "due": 0, "told": 0}

    def _hear(self, heard: Ints, rows: Batch) -> None:
        good = (rows.quality & q.SEVERITY) != q.BAD
        np.maximum.at(heard, self.places(rows.series), np.where(good, rows.time_ns, 0))

    def _judge(self, state: State, heard: Ints, pulse: Pulse, row: int) -> Judged:
        """Look at every device at a tick; `due` becomes the next instant at which anything can be otherwise."""
        now, last, before = pulse.tick, heard[self.device], np.asarray(state["truth"], np.int8)
        counted = np.maximum(last, pulse.since)
        truth = np.where(now - counted >= self.after_ns, TRUE, np.where(now - last < self.after_ns, FALSE, before))
        due = int((counted + self.after_ns)[truth != TRUE].min(initial=now + int(self.after_ns.max())))
        again = now >= state["told"] + AGAIN_NS
        state |= {
            "truth": truth.astype(np.int8),
            "due": min(due, now + _BEAT_NS) if (truth == TRUE).any() else due,
            "told": now if again else state["told"],
        }
        rows = np.flatnonzero((truth != before) | (again & (truth == TRUE)))
        age = (now - np.where(last > 0, last, pulse.since)) / SECOND_NS
        return judged_at(row, now, self.alerts[rows], truth[rows], age[rows], self.after_ns[rows] / SECOND_NS)


def build(alerts: Sequence[Numbered], context: Context) -> Stales:
    """Return the condition of all rules of this kind."""
    devices, columns = numbered(alerts)
    return Stales(places=places_of(devices, context, ("gauge", "counter", "state")), tick=context.tick, **columns)
