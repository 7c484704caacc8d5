"""The gateway's own counters against limits → judgements: a part is down, behind, or refused what it was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from config.alerting import DISK
from config.alerts import Health
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.judged import FALSE, TRUE, Judged, Watchers
from pipeline.batch import Batch
from pipeline.clock import SECOND_NS
from pipeline.consume import State
from pipeline.heartbeat import FREE_KEY, health_key

NAN: Final = float("nan")
_GROWING: Final = ("rejected", "restarts")


class Watch(NamedTuple):
    """One alert: the counter it watches, its limit, +1 above or −1 below it; over_ns > 0: how much it grew in that."""

    alert: int
    key: str
    series: int
    limit: float
    sign: float
    over_ns: int


@dataclass(frozen=True)
class Healths:
    """All alerts of the gateway itself. A counter that begins anew after a restart has not grown by that.

    State: {key of an alert: {"last": value, "grown": [[time, by how much], …]}}, of those that ask for growth.
    """

    watches: Sequence[Watch]

    @cached_property
    def _watched(self) -> Watchers[Watch]:
        return Watchers((watch.series, watch) for watch in self.watches)

    def fold(self, state: State, batch: Batch) -> tuple[State, Judged | None]:
        rows = self._watched.good(batch)
        if not len(rows):
            return state, None
        after, told = dict(state), []
        for row in rows.tolist():
            at, value = int(batch.time_ns[row]), float(batch.value[row])
            for watch in self._watched[int(batch.series[row])]:
                found = self._growth(after, watch, at, value) if watch.over_ns else value
                truth = TRUE if watch.sign * found > watch.sign * watch.limit else FALSE
                told.append((watch.alert, row, at, truth, found, watch.limit, NAN))
        return after, Judged.of(told)

    def _growth(self, state: State, watch: Watch, at: int, value: float) -> float:
        """Return by how much a counter has grown within the time that is asked for."""
        known = state.get(watch.key, {"last": value, "grown": []})
        by = value - known["last"]
        grown = [g for g in known["grown"] if g[0] > at - watch.over_ns] + ([[at, by]] if by > 0 else [])
        state[watch.key] = {"last": value, "grown": grown}
        return float(sum(more for _, more in grown))


def build(alerts: Sequence[Numbered], context: Context) -> Healths:
    """Return the condition of all rules of this kind."""
    watches = []
    for number, alert in alerts:
        rule: Health = alert.rule
        key = FREE_KEY if rule.component == DISK else health_key(rule.component, rule.counter)
        sign, limit = (-1.0, rule.below) if rule.below is not None else (1.0, rule.above or 0.0)
        over_ns = round(rule.over_s * SECOND_NS) if rule.counter in _GROWING else 0
        watches.append(Watch(number, alert.key, context.ids[key], limit, sign, over_ns))
    return Healths(watches)
