"""Amounts of intervals → quarter hours of streams: what the account collects until an interval is over."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import zstandard

from carbon.entries import MICRO, Activity, Integers
from pipeline import quality as q
from pipeline.batch import Batch, Qualities, Series, Times

QUARTER_NS: Final = 900 * 1_000_000_000
_LONGEST: Final = 400 * 96  # quarters one interval may lie across: a clock decades off must not open them all
_MOST: Final = 1e9  # of one interval [kWh, m³, t], what a country takes in weeks; sums of far more would not fit


@dataclass(frozen=True, slots=True)
class Cells:
    """k cells, each the sums of one stream in one quarter hour; ordered by (quarter, stream), each pair once.

    quarter_ns int64[k], its beginning · stream int32[k] · amount, estimated int64[k] [1e-6 unit] ·
    covered_ns int64[k] · quality uint16[k].
    """

    quarter_ns: Times
    stream: Series
    amount: Integers
    estimated: Integers
    covered_ns: Times
    quality: Qualities

    def __len__(self) -> int:
        return len(self.quarter_ns)

    def take(self, rows: npt.NDArray[Any]) -> Cells:
        """Return the cells asked for."""
        return Cells(*(getattr(self, f.name)[rows] for f in fields(self)))

    def pack(self, names: Sequence[str]) -> bytes:
        """Return the cells with the names of their streams as bytes: what a restart begins with."""
        file = io.BytesIO()
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        np.savez(file, names=np.array(names, np.str_), **columns)
        return zstandard.ZstdCompressor(level=1).compress(file.getvalue())

    @classmethod
    def unpack(cls, data: bytes, names: Sequence[str]) -> tuple[Self, tuple[str, ...]]:
        """Return (cells, names of streams that are gone) under today's names, whose order may be another."""
        with np.load(io.BytesIO(zstandard.ZstdDecompressor().decompress(data))) as file:
            now = {name: i for i, name in enumerate(names)}
            renumber = np.array([now.get(str(name), -1) for name in file["names"]], np.int32)
            columns = {f.name: file[f.name] for f in fields(cls)}
            then = file["names"]
        stream = renumber[columns["stream"]] if len(columns["stream"]) else columns["stream"]
        gone = tuple(str(then[i]) for i in np.unique(columns["stream"][stream < 0]))
        kept = stream >= 0
        return cls(**{name: c[kept] for name, c in (columns | {"stream": stream}).items()}), gone


def none() -> Cells:
    """Return no cells."""
    nothing = np.empty(0, np.int64)
    return Cells(nothing, nothing.astype(np.int32), nothing, nothing, nothing, nothing.astype(np.uint16))


def merge(parts: Sequence[Cells]) -> Cells:
    """Return the sums of cells of the same quarter and stream."""
    quarter, stream = (np.concatenate([getattr(p, n) for p in parts]) for n in ("quarter_ns", "stream"))
    order, starts = _groups(quarter, stream)
    quarter, stream = quarter[order], stream[order]
    if not len(starts):
        return none()

    def total(name: str) -> Integers:
        sums: Integers = np.add.reduceat(np.concatenate([getattr(p, name) for p in parts])[order], starts)
        return sums

    quality = np.concatenate([p.quality for p in parts])[order]
    reasons = np.bitwise_or.reduceat(quality & np.uint16(0xFFFF ^ q.SEVERITY), starts)
    severity = np.maximum.reduceat(quality & np.uint16(q.SEVERITY), starts)
    merged = q.merge(reasons, severity)
    return Cells(quarter[starts], stream[starts], total("amount"), total("estimated"), total("covered_ns"), merged)


def _groups(time_ns: Times, stream: Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (order by time and stream, where in it each pair begins)."""
    order = np.lexsort((stream, time_ns))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(time_ns[order]) != 0) | (np.diff(stream[order]) != 0)
    return order, np.flatnonzero(new)


def cut(batch: Batch, stream_of: Series) -> tuple[Cells, int]:
    """Return (cells of a batch's amounts, rows left out as impossible ones); `stream_of` int32 by series id, −1: none.

    Each amount is rounded once, to 1e-6 of its unit; what lies in each quarter is the difference of the rounded sums up
    to its edges, so that the parts add up to the whole.
    """
    rows = _booked(batch, stream_of)
    if not len(rows):
        return none(), 0
    end, span, stream = batch.time_ns[rows], batch.span_ns[rows], stream_of[batch.series[rows]]
    value, quality = batch.value[rows], batch.quality[rows]
    first, last = (end - np.maximum(span, 1)) // QUARTER_NS, (end - 1) // QUARTER_NS
    sane = (last - first < _LONGEST) & (np.abs(value) < _MOST)
    counts = np.where(sane, last - first + 1, 0)
    row = np.repeat(np.arange(len(end)), counts)
    step = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    quarter = (first[row] + step) * QUARTER_NS
    begin = np.maximum(quarter, end[row] - span[row])
    upto = np.minimum(quarter + QUARTER_NS, end[row])
    whole = np.rint(np.where(sane, value, 0.0) * MICRO).astype(np.int64)
    amount = _share(whole[row], upto - end[row] + span[row], span[row])
    amount -= _share(whole[row], begin - end[row] + span[row], span[row])
    amount = np.where(span[row] > 0, amount, whole[row])
    estimated = np.where(quality[row] & np.uint16(q.QUANTITY_ESTIMATED), amount, 0)
    cells = Cells(quarter, stream[row].astype(np.int32), amount, estimated, upto - begin, quality[row])
    return merge([cells]), int((~sane).sum())


def _booked(batch: Batch, stream_of: Series) -> npt.NDArray[np.intp]:
    """Return the rows that are good amounts of a stream: few of most batches, so the rest is looked at only once."""
    if not len(stream_of):
        return np.empty(0, np.intp)
    rows = np.flatnonzero(stream_of.take(batch.series, mode="clip") >= 0)
    known = batch.series[rows] < len(stream_of)
    good = known & ((batch.quality[rows] & q.SEVERITY) != q.BAD) & np.isfinite(batch.value[rows])
    booked: npt.NDArray[np.intp] = rows[good]
    return booked


def _share(whole: Integers, part_ns: Times, span_ns: Times) -> Integers:
    """Return the whole amount's share of a part of its span, rounded; all of it exactly at the end."""
    share: Integers = np.rint(whole * (part_ns / np.maximum(span_ns, 1))).astype(np.int64)
    return np.where(part_ns >= span_ns, whole, share)


def close(cells: Cells, interval_ns: int, phase_ns: int) -> Activity:
    """Return the activity of each interval and stream the cells lie in; `phase_ns`: where intervals begin."""
    start = (cells.quarter_ns - phase_ns) // interval_ns * interval_ns + phase_ns
    return gather(cells, start, np.full(len(cells), interval_ns))


def gather(cells: Cells, start_ns: Times, span_ns: Times) -> Activity:
    """Return the activity of the intervals that are given for each cell; those of one stream and start are one.

    The peak is the highest mean of its quarter hours [unit per hour; kW for kWh].
    """
    hours = merge([replace(cells, quarter_ns=start_ns)])
    order, first = _groups(start_ns, cells.stream)
    peak = np.maximum.reduceat(cells.amount[order], first) / (MICRO * 0.25) if len(first) else np.empty(0)
    span = span_ns[order][first]
    return Activity.make(
        hours.quarter_ns,
        span,
        hours.stream,
        hours.amount,
        estimated=hours.estimated,
        covered_ns=np.minimum(hours.covered_ns, span),
        quality=hours.quality,
        peak=peak,
    )
