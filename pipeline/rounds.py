"""The series of a batch's rows in; out: rounds in which each series stands once at most, in the order of its rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.batch import Series

Rows = npt.NDArray[np.int64] | slice  # row numbers; a slice stands for all of them


def rounds(series: Series, size: int) -> list[Rows]:
    """Split row numbers so that each round has a series, an id below `size`, at most once; mostly one round does."""
    seen = np.zeros(size, bool)
    seen[series.astype(np.intp)] = True
    if np.count_nonzero(seen) == len(series):
        return [slice(None)] if len(series) else []
    rows = np.arange(len(series))
    order = np.argsort(series, kind="stable")
    sorted_series = series[order]
    starts = np.flatnonzero(np.diff(sorted_series, prepend=-1))
    counts = np.diff(np.append(starts, len(series)))
    rank = np.empty(len(series), np.int64)
    rank[order] = rows - np.repeat(starts, counts)
    return [np.flatnonzero(rank == k) for k in range(int(counts.max()))]


def those(rows: Rows, mask: npt.NDArray[np.bool_]) -> Rows:
    """Return the rows of a round that fit: mostly all of them."""
    return rows if mask.all() else placed(rows, np.flatnonzero(mask))


def placed(rows: Rows, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the numbers of rows by their places in a round."""
    return places if isinstance(rows, slice) else rows[places]
