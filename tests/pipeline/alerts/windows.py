"""Windows of figures as batches, and what a condition says of them: what the tests of kinds over windows share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from pipeline.alerts.by_window import ByWindow, Rule
from pipeline.batch import WINDOW, Batch, Header, concat, make
from tests.pipeline.tables import HOUR, START

FROM = Header("windows", 1, "boot", START, 0, WINDOW)


class Said(NamedTuple):
    """A judgement: hours after START of the window's end, truth, value, limit, excess."""

    hours: float
    truth: int
    value: float
    limit: float
    excess: float


def window(end_h: float, parts: dict[int, float], span_h: float = 1.0, quality: int = 0) -> Batch:
    """Return what the end of a window tells: a value of each series."""
    end, span = START + round(end_h * HOUR), round(span_h * HOUR)
    return make(FROM, end, list(parts), list(parts.values()), quality, span)


def together(*batches: Batch) -> Batch:
    return concat(FROM, batches)


def judged(rule: Rule, batches: Iterable[Batch], state: dict[str, Any] | None = None) -> list[Said]:
    """Return what a rule says, its state going through JSON after every batch as a restart would have it."""
    condition, state, said = ByWindow([rule]), state if state is not None else {}, []
    for batch in batches:
        after, found = condition.fold(state, batch)
        state.clear()
        state.update(orjson.loads(orjson.dumps(after, option=orjson.OPT_SERIALIZE_NUMPY)))
        if found is not None:
            columns = (found.time_ns, found.truth, found.value, found.limit, found.excess)
            for at, *rest in zip(*(c.tolist() for c in columns), strict=True):
                said.append(Said((at - START) / HOUR, *rest))
    return said
