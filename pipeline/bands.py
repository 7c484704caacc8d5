"""Batches in, the same rows band by band of rising series out; between, each column in the fewest bytes that hold it.

A cut of the log thus decodes it once, and has all of its rows in memory in a third of their room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch import COLUMNS, DTYPES, INPUT, Batch, Header, concat

_MOST: Final = 1 << 8  # bands: their numbers are one byte each
NOBODY: Final = Header("", 0, "", 0, 0)  # rows of many batches have no head of their own


class _Narrow(NamedTuple):
    """A column in few bytes: each of its numbers is `low` plus what stands in `values`."""

    values: npt.NDArray[Any]
    low: int


class _Part(NamedTuple):
    """Rows by rising band; those of band i are [ends[i], ends[i + 1])."""

    columns: dict[str, _Narrow]
    ends: npt.NDArray[np.intp]


class Bands:
    """Rows of many batches apart by bands of series; the rows of a series keep their order."""

    def __init__(self, counts: npt.NDArray[np.intp], bands: int) -> None:
        """Make about so many bands, equal if `counts` tells how many rows of each series there are beside others."""
        self._bands = min(max(bands, 1), _MOST)
        reach = np.cumsum(counts) - counts // 2
        total = int(counts.sum())
        # The last place stands for all higher ids.
        self._band = np.append(reach * self._bands // (total + 1), self._bands - 1).astype(np.uint8)
        self._first = np.searchsorted(self._band, np.arange(self._bands)).astype(np.int32)
        self._parts: list[_Part] = []

    def add(self, batches: Sequence[Batch]) -> None:
        """Take rows that follow in the log."""
        # What is read has mostly come as float32, what is derived never: apart the former stays short.
        for derived in (False, True):
            some = [b for b in batches if len(b) and (b.header.stratum > INPUT) is derived]
            if some:
                self._parts.append(self._part(concat(NOBODY, some)))

    def _part(self, rows: Batch) -> _Part:
        band = self._band[np.minimum(rows.series, len(self._band) - 1)]
        order = np.argsort(band, kind="stable")
        columns = {name: narrow(getattr(rows, name)) for name in COLUMNS if name != "series"}
        columns["series"] = narrow(rows.series - self._first[band])
        ends = np.append(0, np.cumsum(np.bincount(band, minlength=self._bands)))
        return _Part({name: _Narrow(_ordered(c.values, order), c.low) for name, c in columns.items()}, ends)

    def batches(self) -> Iterator[Batch]:
        """Yield the rows of each band that has some."""
        for band in range(self._bands):
            spans = [(p, slice(p.ends[band], p.ends[band + 1])) for p in self._parts]
            places = [0, *accumulate(int(s.stop - s.start) for _, s in spans)]
            if places[-1]:
                time_ns, span_ns, series, value, quality = (_wide(name, spans, places) for name in COLUMNS)
                series += self._first[band]
                yield Batch(NOBODY, time_ns, span_ns, series, value, quality)


def narrow(column: npt.NDArray[Any]) -> _Narrow:
    """Return a column of numbers, one at least, in the fewest bytes that hold each of them to the bit."""
    if column.dtype.kind == "f":
        with np.errstate(all="ignore"):  # what does not fit is seen by comparing
            short = column.astype(np.float32)
        same = short.astype(np.float64).view(np.int64) == column.view(np.int64)
        return _Narrow(short if same.all() else column, 0)
    low, high = int(column.min()), int(column.max())
    if low == high:
        return _Narrow(np.broadcast_to(np.uint8(0), len(column)), low)
    for dtype in (np.uint8, np.uint16, np.uint32):
        if high - low <= np.iinfo(dtype).max:
            return _Narrow((column - column.dtype.type(low)).astype(dtype), low)
    return _Narrow(column, 0)


def _ordered(values: npt.NDArray[Any], order: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    return values[order] if values.strides[0] else values  # where all are one, any order is theirs


def _wide(name: str, spans: Sequence[tuple[_Part, slice]], places: Sequence[int]) -> npt.NDArray[Any]:
    """Return the rows of one column that stand in slices of parts, one after the other."""
    column: npt.NDArray[Any] = np.empty(places[-1], DTYPES[name])
    for (part, span), (start, end) in zip(spans, pairwise(places), strict=True):
        values, low = part.columns[name]
        column[start:end] = values[span]
        if low:
            column[start:end] += column.dtype.type(low)
    return column
