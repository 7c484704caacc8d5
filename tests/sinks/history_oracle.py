"""Rows in, what a roll-up must say out: the definitions spelt row by row, with exact fractions."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from config import model
from pipeline.batch import Batch, Header, make
from pipeline.quality import BAD
from sinks.history import History
from sinks.history_query import Answer

S = 1_000_000_000
MIN = 60 * S
HOUR = 60 * MIN
DAY = 24 * HOUR
DAY_0 = 20_000 * DAY
HEADER = Header("floor", 1, "boot", 0, 0)
ALL = dict(limit=1_000_000)


@dataclass(frozen=True, slots=True)
class Row:
    series: int
    time_ns: int
    value: float
    span_ns: int = 0
    quality: int = 0

    @property
    def good(self) -> bool:
        return not self.quality & BAD and math.isfinite(self.value)

    def bucket(self, step_ns: int) -> int:
        return (self.time_ns - (1 if self.span_ns else 0)) // step_ns * step_ns


def minutes(series: int, day: int, n: int = 1_440) -> list[Row]:
    """Return an instant a minute of a day counted from DAY_0, its value the number of the minute."""
    return [Row(series, DAY_0 + day * DAY + i * MIN, float(i)) for i in range(n)]


def batch(rows: Sequence[Row]) -> Batch:
    return make(
        HEADER,
        [r.time_ns for r in rows],
        [r.series for r in rows],
        [r.value for r in rows],
        [r.quality for r in rows],
        [r.span_ns for r in rows],
    )


async def opened(folder: Path, **config: int) -> History:
    history = History(folder, model.History(**config))
    await history.open()
    return history


def multiset(rows: Sequence[Row]) -> Counter[tuple[object, ...]]:
    """NaN is made equal to itself; an infinity stays one."""
    return Counter((r.series, r.time_ns, r.span_ns, repr(r.value), r.quality) for r in rows)


def stored(answer: Answer) -> list[Row]:
    columns = (answer.series, answer.time_ns, answer.value, answer.span_ns, answer.quality)
    return [Row(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]


Expected = dict[tuple[int, int], tuple[float, int]]


def expected(rows: Sequence[Row], step_ns: int, aggregate: str) -> Expected:
    """Return (series, bucket) → (value, bad) as `History.query` must answer, from rows in log order."""
    groups: dict[tuple[int, int], list[Row]] = defaultdict(list)
    amounts: dict[tuple[int, int], Fraction] = defaultdict(Fraction)
    for row in sorted(rows, key=lambda r: r.time_ns):
        groups[row.series, row.bucket(step_ns)].append(row)
        if not row.good:
            continue
        begin = row.time_ns - row.span_ns
        if not row.span_ns:
            amounts[row.series, row.bucket(step_ns)] += Fraction(row.value)
            continue
        for bucket in range(begin // step_ns * step_ns, row.time_ns, step_ns):
            inside = min(bucket + step_ns, row.time_ns) - max(bucket, begin)
            amounts[row.series, bucket] += Fraction(row.value) * inside / row.span_ns
    answer: Expected = {}
    for key in groups.keys() | amounts.keys():
        good = [r for r in groups[key] if r.good]
        bad = len(groups[key]) - len(good)
        if aggregate == "sum":
            known = good or not bad or amounts[key]
            answer[key] = (float(amounts[key]) if known else math.nan, bad)
        elif aggregate == "mean" and good:
            answer[key] = (float(amounts[key] / len(good)), bad)
        elif good or bad:
            answer[key] = (_of(good, aggregate), bad)
    return answer


def _of(good: Sequence[Row], aggregate: str) -> float:
    if aggregate == "count":
        return len(good)
    if not good:
        return math.nan
    values = [r.value for r in good]
    if aggregate == "integral":
        pairs = itertools.pairwise(good)
        return float(sum(Fraction(b.time_ns - a.time_ns, S) * Fraction(a.value + b.value) / 2 for a, b in pairs))
    return {"min": min(values), "max": max(values), "first": values[0], "last": values[-1]}.get(aggregate, math.nan)


def agree(answer: Answer, wanted: Expected) -> None:
    got = dict(
        zip(
            zip(answer.series.tolist(), answer.time_ns.tolist(), strict=True),
            zip(answer.value.tolist(), answer.bad.tolist(), strict=True),
            strict=True,
        )
    )
    assert got.keys() == wanted.keys()
    for key, (value, bad) in wanted.items():
        assert got[key][1] == bad, key
        np.testing.assert_allclose(got[key][0], value, rtol=1e-9, atol=1e-6, err_msg=str(key))
