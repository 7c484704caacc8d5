"""Rows in, partials out: what can be said of a series within a bucket, such that two partials make one.

A partial is one row of columns per (series, bucket):
`count` good and uncertain rows · `sum`, `min`, `max` of their values · `first`, `last` value and time ·
`integral` [unit·s] trapezoids between successive values · `bad` rows · `quality` all bits of the counted rows.
`first_ns` = `last_ns` = bucket where count is 0; `min`, `max`, `first`, `last` are NaN there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sinks.history_files import DAY_NS, HOUR_NS
from sinks.history_parquet import Columns
from sinks.history_rows import is_good, joined

PARTIAL: Final = {
    "series": np.int32,
    "bucket_ns": np.int64,
    "count": np.int64,
    "sum": np.float64,
    "min": np.float64,
    "max": np.float64,
    "bad": np.int64,
    "quality": np.uint16,
    "first": np.float64,
    "first_ns": np.int64,
    "last": np.float64,
    "last_ns": np.int64,
    "integral": np.float64,
}
IN_TIME: Final = ("first", "first_ns", "last", "last_ns", "integral")  # these are merged together or not at all
_REDUCED: Final = {
    "count": np.add,
    "sum": np.add,
    "min": np.fmin,
    "max": np.fmax,
    "bad": np.add,
    "quality": np.bitwise_or,
}
# An amount over more buckets than this is spread over hours, then days: one row must not become a million.
MOST_PIECES: Final = 1_440
SECONDS_PER_NS: Final = 1e-9
STRETCH: Final = 32_768  # rows summarised at a time

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def summarise(rows: Columns, step_ns: int) -> Columns:
    """Return the partials of raw rows (sorted by series and time) in buckets of `step_ns`.

    An instant t belongs to bucket ⌊t / step⌋; an interval (t − span, t] is counted where it ends, and its amount
    goes to the buckets it covers in proportion to the time it spends in each: Σ sum = Σ amounts.
    """
    parts = [_summarised(part, step_ns) for part in _by_series(rows)]
    return joined(parts) if parts else {name: np.empty(0, dtype) for name, dtype in PARTIAL.items()}


def widened(partials: Columns, step_ns: int) -> Columns:
    """Return partials (sorted by series) in wider buckets."""
    return joined([merge([part], step_ns) for part in _by_series(partials)])


def _by_series(rows: Columns) -> Iterator[Columns]:
    """Yield stretches of whole series: what is computed on the way stays small, in memory and for the cache."""
    series = rows["series"]
    begin = 0
    while begin < len(series):
        last = series[min(begin + STRETCH, len(series)) - 1]
        end = int(np.searchsorted(series, last, "right"))
        yield {name: column[begin:end] for name, column in rows.items()}
        begin = end


def _summarised(rows: Columns, step_ns: int) -> Columns:
    bucket = _bucket(rows["time_ns"] - (rows["span_ns"] > 0), step_ns)
    rows, bucket = _grouped(rows, bucket)
    good = is_good(rows)
    share, pieces = _spread(rows, bucket, good, step_ns)
    starts = _starts(rows["series"], bucket)
    here = {
        "series": rows["series"][starts],
        "bucket_ns": bucket[starts],
        **(_of_all(rows, share, starts) if good.all() else _of_good(rows, share, good, bucket[starts], starts)),
    }
    return here if pieces is None else merge([here, pieces])


def _of_all(rows: Columns, share: Floats, starts: npt.NDArray[np.intp]) -> Columns:
    """Return what groups of rows that all count amount to: as mostly."""
    value, time = rows["value"], rows["time_ns"]
    last = np.append(starts[1:], len(value)) - 1
    count = last - starts + 1
    return {
        "count": count,
        "sum": np.add.reduceat(share, starts),
        "min": np.minimum.reduceat(value, starts),
        "max": np.maximum.reduceat(value, starts),
        "bad": np.zeros(len(starts), np.int64),
        "quality": np.bitwise_or.reduceat(rows["quality"], starts),
        "first": value[starts],
        "first_ns": time[starts],
        "last": value[last],
        "last_ns": time[last],
        "integral": _trapezoids(time, value, count),
    }


def _of_good(
    rows: Columns, share: Floats, good: npt.NDArray[np.bool_], bucket: Ints, starts: npt.NDArray[np.intp]
) -> Columns:
    """Return what the good rows of groups amount to."""
    time = rows["time_ns"]
    count = np.add.reduceat(good, starts, dtype=np.int64)
    some = count > 0
    at = np.arange(len(good))
    first = np.where(some, np.minimum.reduceat(np.where(good, at, len(at)), starts), starts)
    last = np.where(some, np.maximum.reduceat(np.where(good, at, -1), starts), starts)
    known = np.where(good, rows["value"], np.nan)
    return {
        "count": count,
        "sum": np.add.reduceat(np.where(good, share, 0.0), starts),
        "min": np.fmin.reduceat(known, starts),
        "max": np.fmax.reduceat(known, starts),
        "bad": np.add.reduceat(~good, starts, dtype=np.int64),
        "quality": np.bitwise_or.reduceat(np.where(good, rows["quality"], 0).astype(np.uint16), starts),
        "first": known[first],
        "first_ns": np.where(some, time[first], bucket),
        "last": known[last],
        "last_ns": np.where(some, time[last], bucket),
        "integral": _trapezoids(time[good], rows["value"][good], count),
    }


def merge(parts: Sequence[Columns], step_ns: int = 0) -> Columns:
    """Return one partial per (series, bucket) out of parts in log order, in wider buckets if `step_ns` is given.

    Columns may be missing (all of IN_TIME or none). Between one partial's last value and the next one's first lies
    one more trapezoid. Partials that interleave in time (late rows) cannot tell their common integral: it is NaN,
    and only the raw rows know it.
    """
    all_ = dict(joined(parts))
    if not len(all_["series"]):
        return all_
    if step_ns:
        all_["bucket_ns"] = _bucket(all_["bucket_ns"], step_ns)
    in_time = (all_["first_ns"], all_["count"] == 0) if "first_ns" in all_ else ()
    keys = (*in_time, all_["bucket_ns"], all_["series"])
    ordered = is_ordered(keys)  # as those of one cut mostly are
    order = np.arange(len(all_["series"])) if ordered else np.lexsort(keys)
    p = all_ if ordered else {name: column[order] for name, column in all_.items()}
    starts = _starts(p["series"], p["bucket_ns"])
    merged = {name: p[name][starts] for name in ("series", "bucket_ns")}
    merged |= {name: how.reduceat(p[name], starts) for name, how in _REDUCED.items() if name in p}
    return {**merged, **_in_time(all_, p, order, starts, merged["count"] > 0)} if in_time else merged


def is_ordered(keys: Sequence[npt.NDArray[Any]]) -> bool:
    """Return whether rows stand in the order that `lexsort` would bring them into; its last key comes first."""
    risen, even = np.False_, np.True_
    for key in reversed(keys):
        risen = risen | (even & (key[1:] > key[:-1]))
        even = even & (key[1:] == key[:-1])
    return bool(np.all(risen | even))


def _bucket(time_ns: Ints, step_ns: int) -> Ints:
    bucket: Ints = time_ns // step_ns * step_ns
    return bucket


def _grouped(rows: Columns, bucket: Ints) -> tuple[Columns, Ints]:
    """Instants and intervals on the same border fall into neighbouring buckets: put those in order again."""
    series = rows["series"]
    if not np.any((series[1:] == series[:-1]) & (bucket[1:] < bucket[:-1])):
        return rows, bucket
    order = np.lexsort((bucket, series))
    return {name: column[order] for name, column in rows.items()}, bucket[order]


def _starts(series: npt.NDArray[np.int32], bucket: Ints) -> npt.NDArray[np.intp]:
    change = np.empty(len(series), np.bool_)
    change[0] = True
    np.not_equal(series[1:], series[:-1], out=change[1:])
    change[1:] |= bucket[1:] != bucket[:-1]
    return np.flatnonzero(change)


def _group_of(starts: npt.NDArray[np.intp], n: int) -> npt.NDArray[np.intp]:
    return np.repeat(np.arange(len(starts)), np.diff(starts, append=n))


def _trapezoids(time: Ints, value: Floats, count: Ints) -> Floats:
    """Return per group Σ (tᵢ₊₁ − tᵢ)(vᵢ + vᵢ₊₁)/2 [unit·s]; the rows that count, so many of each group, follow on."""
    total = np.zeros(len(count))
    some = np.flatnonzero(count)
    if len(some):
        area = np.zeros(len(time))
        np.multiply(np.diff(time) * (SECONDS_PER_NS / 2), value[1:] + value[:-1], out=area[1:])
        starts = (np.cumsum(count) - count)[some]
        area[starts] = 0.0  # from one group to the next lies none
        total[some] = np.add.reduceat(area, starts)
    return total


def _joint_integral(p: Columns, order: npt.NDArray[np.intp], starts: npt.NDArray[np.intp]) -> Floats:
    group = _group_of(starts, len(order))
    pair = (group[1:] == group[:-1]) & (p["count"][1:] > 0)
    dt = p["first_ns"][1:] - p["last_ns"][:-1]
    between = dt * SECONDS_PER_NS * (p["first"][1:] + p["last"][:-1]) / 2
    between[(dt < 0) | ((dt == 0) & (order[1:] < order[:-1]))] = np.nan
    joints = np.bincount(group[1:][pair], between[pair], minlength=len(starts))
    total: Floats = np.add.reduceat(p["integral"], starts) + joints
    return total


def _in_time(
    all_: Columns,
    p: Columns,
    order: npt.NDArray[np.intp],
    starts: npt.NDArray[np.intp],
    some: npt.NDArray[np.bool_],
) -> Columns:
    """Return what depends on time per group; of equal times the first in the log is first, the last is last."""
    bucket = p["bucket_ns"][starts]
    counted = p["count"] > 0
    time = np.where(counted, p["last_ns"], np.iinfo(np.int64).min)
    latest = np.maximum.reduceat(time, starts)
    candidate = counted & (time == latest[_group_of(starts, len(order))])
    at = np.maximum.reduceat(np.where(candidate, order, -1), starts)
    return {
        "first": p["first"][starts],  # groups begin with a partial that counts rows, if they have one
        "first_ns": np.where(some, p["first_ns"][starts], bucket),
        "last": np.where(some, all_["last"][at], np.nan),
        "last_ns": np.where(some, all_["last_ns"][at], bucket),
        "integral": _joint_integral(p, order, starts),
    }


def _spread(rows: Columns, bucket: Ints, good: npt.NDArray[np.bool_], step_ns: int) -> tuple[Floats, Columns | None]:
    """Return (amount of each row within its own bucket, partials of what lies in earlier buckets)."""
    value: Floats = rows["value"]
    crossing = np.flatnonzero(good & (rows["span_ns"] > 0) & (rows["time_ns"] - rows["span_ns"] < bucket))
    if not len(crossing):
        return value, None
    end, span = rows["time_ns"][crossing], rows["span_ns"][crossing]
    begin = end - span
    width = np.full(len(crossing), step_ns, np.int64)
    for wider in (HOUR_NS, DAY_NS):
        width = np.where((span > MOST_PIECES * width) & (width < wider), wider, width)
    lowest = begin // width
    pieces = (end - 1) // width - lowest + 1
    row = np.repeat(np.arange(len(crossing)), pieces)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    left = np.maximum((lowest[row] + nth) * width[row], begin[row])
    right = np.minimum((lowest[row] + nth + 1) * width[row], end[row])
    part = value[crossing][row] * ((right - left) / span[row])
    share = value.copy()
    at_end = nth == pieces[row] - 1
    share[crossing] = part[at_end]
    source = crossing[row[~at_end]]
    earlier = _bucket(right[~at_end] - 1, step_ns)
    return share, _amounts(rows["series"][source], earlier, part[~at_end], rows["quality"][source])


def _amounts(series: npt.NDArray[np.int32], bucket: Ints, amount: Floats, quality: npt.NDArray[np.uint16]) -> Columns:
    """Return partials that count no row, only carry an amount."""
    blank: dict[str, npt.NDArray[Any]] = {
        name: np.full(len(series), np.nan if name in ("min", "max", "first", "last") else 0, dtype)
        for name, dtype in PARTIAL.items()
    }
    blank |= {"series": series, "bucket_ns": bucket, "first_ns": bucket, "last_ns": bucket}
    return blank | {"sum": amount, "quality": quality}
