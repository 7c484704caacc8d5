"""Points that rise or fall too fast → judgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from config.alerts import RateOfChange
from pipeline import quality as q
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.judged import BETWEEN, FALSE, TRUE, Judged, Watchers
from pipeline.batch import Batch
from pipeline.clock import SECOND_NS
from pipeline.consume import State

NAN: Final = float("nan")
_BINS: Final = 20  # of the time a rate is told over: noise is averaged, and the state stays small
_OVER: Final = 0.8  # of the limit: below this it is over
_LEAST: Final = 0.8  # of the time must lie between the first and the last bin
_HOUR_S: Final = 3_600.0


class Slope(NamedTuple):
    """One alert: its point, over how long, and the limits [unit/h]; infinite where there is none."""

    alert: int
    key: str
    watched: int
    over_ns: int
    rising: float
    falling: float


@dataclass(frozen=True)
class Slopes:
    """All alerts of rates: the slope of the line through the means of the bins, by least squares.

    Judged with the first reading after each bin. Where readings are rarer than `over_s`, the last one before it
    counts too. Bad and late readings say nothing, nor do those stamped by a clock nobody trusts. State: {key: [[bin,
    readings, Σ t, Σ v], …]}, t [s] from the bin's start.
    """

    slopes: Sequence[Slope]

    @cached_property
    def _watched(self) -> Watchers[Slope]:
        return Watchers((slope.watched, slope) for slope in self.slopes)

    def fold(self, state: State, batch: Batch) -> tuple[State, Judged | None]:
        rows = self._watched.good(batch, but=q.LATE)
        if not len(rows):
            return state, None
        after, told = dict(state), []
        untimed = (batch.quality[rows] & np.uint16(q.LATE | q.CLOCK)) != 0
        for row in rows[~untimed].tolist():
            at, value = int(batch.time_ns[row]), float(batch.value[row])
            for slope in self._watched[int(batch.series[row])]:
                bins, rate = _add(slope, after.get(slope.key, []), at, value)
                after[slope.key] = bins
                told += [(slope.alert, row, at, *_judge(slope, rate), NAN)] if rate is not None else []
        return after, Judged.of(told) if told else None


def _add(slope: Slope, bins: list[Any], at: int, value: float) -> tuple[list[Any], float | None]:
    """Return the bins with one reading more, and the rate [unit/h] where that begins a new one."""
    width = max(1, slope.over_ns // _BINS)
    number, within_s = at // width, at % width / SECOND_NS
    if bins and number <= bins[-1][0]:
        if number < bins[-1][0]:  # from before the last bin: its clock went back
            return bins, None
        _, count, times, values = bins[-1]
        return [*bins[:-1], [number, count + 1, times + within_s, values + value]], None
    rate = _rate(slope, bins, width / SECOND_NS)
    kept = [b for b in bins if b[0] > number - _BINS]
    before = bins[len(bins) - len(kept) - 1 : len(bins) - len(kept)]
    return [*before, *kept, [number, 1, within_s, value]], rate


def _rate(slope: Slope, bins: list[Any], width_s: float) -> float | None:
    """Return Σ (t − t̄)(v − v̄) / Σ (t − t̄)² of the bins' means [unit/h]; None where they span too little."""
    if len(bins) < 2:
        return None
    number, count, times, values = np.array(bins).T
    t, v = (number - number[0]) * width_s + times / count, values / count
    if t[-1] - t[0] < _LEAST * slope.over_ns / SECOND_NS:
        return None
    t -= t.mean()
    return float((t * (v - v.mean())).sum() / (t * t).sum() * _HOUR_S)


def _judge(slope: Slope, rate: float) -> tuple[int, float, float]:
    limit = slope.rising if (rate >= 0 and np.isfinite(slope.rising)) or np.isinf(slope.falling) else -slope.falling
    share = rate / limit
    return TRUE if share > 1 else FALSE if share <= _OVER else BETWEEN, rate, limit


def build(alerts: Sequence[Numbered], context: Context) -> Slopes:
    """Return the condition of all rules of this kind."""
    slopes = []
    for number, alert in alerts:
        rule: RateOfChange = alert.rule
        rising, falling = rule.rising_per_h or float("inf"), rule.falling_per_h or float("inf")
        over_ns = round(rule.over_s * SECOND_NS)
        slopes.append(Slope(number, alert.key, context.point(rule.point), over_ns, rising, falling))
    return Slopes(slopes)
