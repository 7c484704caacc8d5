"""The one shape of data: a header and five columns; what a collector yields, the log keeps and a sink writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

FORMAT: Final = 1

# Strata keep consumers free of loops: one appends only above everything it reads.
INPUT, DERIVED, WINDOW, ALERT = range(4)
LEDGER: Final = "ledger"  # the connection of what the account publishes; the ledger itself keeps it for good

Times = npt.NDArray[np.int64]
Series = npt.NDArray[np.int32]
Values = npt.NDArray[np.float64]
Qualities = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Header:
    """Where a batch came from and when; `received_ns` is gateway time (UTC), `monotonic_ns` that boot's own."""

    connection: str
    revision: int
    boot: str
    received_ns: int
    monotonic_ns: int
    stratum: int = INPUT
    # What is not a number but influences a stage: a config revision, a clock offset, an operator's command.
    note: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """An input that could not become a reading: kept as a dead letter with the reason."""

    source: str
    reason: str
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Batch:
    """n rows in columns; arrays are read-only once the batch is made.

    time_ns int64[n] UTC, the end of the interval · span_ns int64[n], 0 = instant · series int32[n] ·
    value float64[n] · quality uint16[n].
    """

    header: Header
    time_ns: Times
    span_ns: Times
    series: Series
    value: Values
    quality: Qualities
    rejects: tuple[Reject, ...] = ()
    # Opaque to everyone but the collector that made it; given back to it after a restart (see Collector.resume).
    token: bytes = b""

    def __post_init__(self) -> None:
        for name in COLUMNS:
            getattr(self, name).setflags(write=False)

    def __len__(self) -> int:
        return len(self.time_ns)

    def take(self, rows: npt.NDArray[Any] | slice) -> Batch:
        """Return the batch of the given rows (mask, indices or slice); header, token and rejects stay."""
        if isinstance(rows, np.ndarray) and rows.dtype != np.bool_:
            columns = {name: getattr(self, name).take(rows) for name in COLUMNS}  # quicker than by brackets
        else:
            columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        return replace(self, **columns)


COLUMNS: Final = ("time_ns", "span_ns", "series", "value", "quality")
DTYPES: Final = {
    "time_ns": np.int64,
    "span_ns": np.int64,
    "series": np.int32,
    "value": np.float64,
    "quality": np.uint16,
}


def make(
    header: Header,
    time_ns: npt.ArrayLike,
    series: npt.ArrayLike,
    value: npt.ArrayLike,
    quality: npt.ArrayLike = 0,
    span_ns: npt.ArrayLike = 0,
    *,
    rejects: Iterable[Reject] = (),
    token: bytes = b"",
) -> Batch:
    """Return a batch; scalars are repeated to the length of `series`, dtypes are coerced once here."""
    ids = np.atleast_1d(np.asarray(series, np.int32))

    def column(values: npt.ArrayLike, dtype: type) -> npt.NDArray[Any]:
        array: npt.NDArray[Any] = np.asarray(values, dtype)
        return array if array.shape == ids.shape else np.broadcast_to(array, ids.shape).copy()

    return Batch(
        header,
        column(time_ns, np.int64),
        column(span_ns, np.int64),
        ids,
        column(value, np.float64),
        column(quality, np.uint16),
        tuple(rejects),
        token,
    )


def empty(header: Header) -> Batch:
    """Return a batch of no rows; with a note it still says something."""
    return make(header, [], [], [], [], [])


def concat(header: Header, batches: Sequence[Batch]) -> Batch:
    """Return one batch of all rows in order, under `header`; rejects are joined, tokens are not."""
    if not batches:
        return empty(header)
    return Batch(
        header,
        np.concatenate([b.time_ns for b in batches]),
        np.concatenate([b.span_ns for b in batches]),
        np.concatenate([b.series for b in batches]),
        np.concatenate([b.value for b in batches]),
        np.concatenate([b.quality for b in batches]),
        tuple(reject for b in batches for reject in b.rejects),
    )


@dataclass(frozen=True, slots=True)
class Window:
    """One commit of the log: its position and the batches it holds, in the order they were accepted."""

    position: int
    batches: tuple[Batch, ...] = field(default=())

    @property
    def rows(self) -> int:
        return sum(map(len, self.batches))
