"""Batches through one condition and the stage, the state through JSON after each: what the tests of kinds share."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import orjson

from pipeline.alerts.judged import Condition
from pipeline.alerts.stage import Alerts, Slot, Status
from pipeline.batch import ALERT, Batch, Header, concat, make
from tests.pipeline.tables import HEADER, SECOND, START

TICK = 90  # ids of the tick, and of an alert's series
STATE, VALUE, LIMIT, EXCESS = 91, 92, 93, 94
OUT = Header("alerts", 1, "boot", START, 0, ALERT)
CLEAR, PENDING, FIRING = Status.CLEAR, Status.PENDING, Status.FIRING


def stage(kind: str, condition: Condition, hold_s: float = 0.0) -> Alerts:
    """Return the stage of one alert, number 0 of its condition."""
    slot = Slot("a.x.alert", round(hold_s * SECOND), STATE, VALUE, LIMIT, EXCESS)
    return Alerts([slot], {kind: condition}, TICK)


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def rows(times_s: Iterable[float], series: int, values: Iterable[float], quality: int = 0) -> Batch:
    """Return readings of one series, times in seconds after START."""
    values = list(values)
    return make(HEADER, [at(t) for t in times_s], [series] * len(values), values, quality)


def ticks(*times_s: float) -> Batch:
    return rows(times_s, TICK, [0.0] * len(times_s))


def in_time(*batches: Batch) -> Batch:
    """Return all rows in the order of time; of one instant in the order given."""
    every = concat(HEADER, batches)
    return every.take(np.argsort(every.time_ns, kind="stable"))


def split(batch: Batch, cuts: Sequence[int]) -> list[Batch]:
    """Return the rows in several batches, cut before the given rows."""
    edges = [0, *sorted({c % (len(batch) + 1) for c in cuts}), len(batch)]
    return [batch.take(slice(a, b)) for a, b in itertools.pairwise(edges) if a < b]


def told(alerts: Alerts, batches: Iterable[Batch], series: int = STATE) -> list[tuple[Any, Any]]:
    """Return (seconds after START, value) of each row of one of the alert's series; the state is JSON in between."""
    state: dict[str, Any] = {}
    found = []
    for batch in batches:
        state, out = alerts.fold(state, batch, OUT)
        state = orjson.loads(orjson.dumps(state, option=orjson.OPT_SERIALIZE_NUMPY))
        out = out.take(out.series == series)
        found += list(zip(((out.time_ns - START) / SECOND).tolist(), out.value.tolist(), strict=True))
    return found
