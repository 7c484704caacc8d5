"""Raw rows in; out: the same by (series, time), which of them count, and several parts as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.quality import BAD
from sinks.history_parquet import Columns


def sorted_rows(rows: Columns) -> Columns:
    """Return raw rows by (series, time); equal keys stay in log order."""
    return sort_rows(dict(rows))


def sort_rows(columns: dict[str, npt.NDArray[Any]]) -> Columns:
    """Sort raw rows in the given dictionary: a column's unsorted form goes as soon as nobody else has it."""
    order = np.lexsort((columns["time_ns"], columns["series"]))
    for name in columns:
        columns[name] = columns[name][order]
    return columns


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the rows of all parts, one after the other; at least one part."""
    return parts[0] if len(parts) == 1 else {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def is_good(rows: Columns) -> npt.NDArray[np.bool_]:
    """Return which rows count: neither flagged bad nor without a number."""
    good: npt.NDArray[np.bool_] = ((rows["quality"] & BAD) == 0) & np.isfinite(rows["value"])
    return good
