"""Figures and points against limits → judgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from config.alerts import Threshold
from pipeline import quality as q
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.judged import BETWEEN, FALSE, TRUE, Judged, Places, Watchers
from pipeline.batch import Batch
from pipeline.consume import State

NONE: Final = -1


class Limit(NamedTuple):
    """One alert: the series it watches, the one of its completeness (−1: a point), and when it is true and over.

    `sign` −1 turns a lower limit into an upper one. `is_power`: what is beyond the limit is what it costs.
    """

    alert: int
    key: str
    watched: int
    completeness: int
    sign: float
    limit: float
    clear: float
    min_completeness: float
    is_power: bool


@dataclass(frozen=True)
class Thresholds:
    """All thresholds. A window with too little completeness says nothing, nor does a bad reading, nor one stamped by a
    clock nobody trusts, nor a window told again because of late data when a newer one is known. State: {key of an
    alert: end of the newest row judged}.
    """

    limits: Sequence[Limit]

    @cached_property
    def _watched(self) -> Watchers[Limit]:
        return Watchers((limit.watched, limit) for limit in self.limits)

    @cached_property
    def _shares(self) -> Places:
        return Places({limit.completeness: limit.completeness for limit in self.limits if limit.completeness != NONE})

    def fold(self, state: State, batch: Batch) -> tuple[State, Judged | None]:
        rows = self._watched.good(batch)
        if not len(rows):
            return state, None
        shares = _shares_of(batch, self._shares)
        newest, told = dict(state), []
        for row in rows.tolist():
            series, at, value = int(batch.series[row]), int(batch.time_ns[row]), float(batch.value[row])
            untimed = bool(int(batch.quality[row]) & q.CLOCK)  # from the future, it would hide all that follow
            for limit in self._watched[series]:
                if at < newest.get(limit.key, 0) or (untimed and limit.completeness == NONE):
                    continue
                newest[limit.key] = at
                if limit.completeness == NONE or shares.get((limit.completeness, at), 0.0) >= limit.min_completeness:
                    told.append((limit.alert, row, at, *_judge(limit, value)))
        return newest, Judged.of(told)


def _shares_of(batch: Batch, completeness: Places) -> dict[tuple[int, int], float]:
    """Return the completeness a batch tells, by its series and the end of the window."""
    rows = completeness.rows(batch)
    ends = zip(batch.series[rows].tolist(), batch.time_ns[rows].tolist(), strict=True)
    return dict(zip(ends, batch.value[rows].tolist(), strict=True))


def _judge(limit: Limit, value: float) -> tuple[int, float, float, float]:
    mine, high, clear = limit.sign * value, limit.sign * limit.limit, limit.sign * limit.clear
    over = mine < clear or mine <= clear == high  # without hysteresis the limit itself is no longer beyond it
    truth = TRUE if mine > high else FALSE if over else BETWEEN
    excess = max(0.0, limit.sign * (value - limit.limit)) if limit.is_power else float("nan")
    return truth, value, limit.limit, excess


def build(alerts: Sequence[Numbered], context: Context) -> Thresholds:
    """Return the condition of all rules of this kind."""
    limits = []
    for number, alert in alerts:
        rule: Threshold = alert.rule
        watched, completeness = context.watched(rule.window, rule.point)
        sign = 1.0 if rule.above is not None else -1.0
        power = rule.point is not None and context.points[rule.point].quantity == "power"
        limit = Limit(
            number, alert.key, watched, completeness, sign, rule.limit, rule.clear, rule.min_completeness, power
        )
        limits.append(limit)
    return Thresholds(limits)
