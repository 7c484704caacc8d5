"""Replies and gap rows as they arrive in; one decoded batch of everything held out."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from collectors.modbus_decode import Block
from pipeline.batch import Batch, concat, make
from pipeline.gaps import Gap
from pipeline.ports import Origin
from pipeline.quality import BAD, COMM, GOOD

# What may wait while nothing is taken (raw bytes and their bookkeeping), and the most one batch carries.
HELD_BYTES: Final = 32_000_000
BATCH_ROWS: Final = 200_000
_OVERHEAD: Final = 200  # bytes a held reply or gap row costs besides its data


class Tray:
    """Replies to one block of all units that share a plan, waiting to be decoded in one pass."""

    def __init__(self, block: Block) -> None:
        self.block = block
        # One reply is three of these in a row: its data, when it came [ns], its row of `_series`. One plain list rather
        # than one of tuples: nothing here for the garbage collector to walk.
        self.held: list[Any] = []
        self.cost = _OVERHEAD + block.read(0).size  # of one reply held [bytes]
        self._ids = array("i")  # of one unit after the other
        self._series: npt.NDArray[np.int32] | None = None

    def enrol(self, ids: list[int]) -> int:
        """Add a unit by the series ids of the block's points; return its row."""
        self._ids.extend(ids[i] for i in self.block.points)
        self._series = None
        return len(self._ids) // len(self.block.points) - 1

    def take(self, origin: Origin, most: int) -> Batch:
        """Decode and remove the oldest replies, at most `most` rows but at least one reply."""
        end = 3 * max(1, most // len(self.block.points))
        data, times, rows = self.held[0:end:3], self.held[1:end:3], self.held[2:end:3]
        del self.held[:end]
        if self._series is None:
            self._series = np.array(self._ids, np.int32).reshape(-1, len(self.block.points))
        raw = np.frombuffer(b"".join(data), np.uint8).reshape(len(data), -1)
        at_ns = np.array(times, np.int64)
        with np.errstate(invalid="ignore"):  # of NaN that signal; they are no value like any other
            value, quality = self.block.decode(raw, at_ns)
        time_ns = np.repeat(at_ns, value.shape[1])
        series = self._series.take(rows, axis=0)
        return make(origin.header(), time_ns, series.ravel(), value.ravel(), quality.ravel())


class Inbox:
    """Everything a connection has received since its last batch; bounded by `full`. The first of it is announced."""

    def __init__(self, origin: Origin, announce: Callable[[], None]) -> None:
        self._origin = origin
        self._announce = announce
        self._trays: list[Tray] = []
        self._gaps: list[tuple[int, int, int, int, int]] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        return self._bytes > 0

    @property
    def full(self) -> bool:
        return self._bytes >= HELD_BYTES

    def tray(self, block: Block) -> Tray:
        """Return a new tray that is emptied with this inbox."""
        tray = Tray(block)
        self._trays.append(tray)
        return tray

    def reply(self, tray: Tray, data: bytes, time_ns: int, row: int) -> None:
        """Hold the data of one block of one unit."""
        tray.held += (data, time_ns, row)
        if not self._bytes:
            self._announce()
        self._bytes += tray.cost

    def gap(self, series: int, cause: Gap, time_ns: int, span_ns: int) -> None:
        """Hold a gap row; Gap.NONE says that the device answers again."""
        quality = GOOD if cause is Gap.NONE else BAD | COMM
        self._gaps.append((time_ns, span_ns, series, cause, quality))
        if not self._bytes:
            self._announce()
        self._bytes += _OVERHEAD

    def take(self) -> Batch:
        """Return what is held, oldest first for each series, at most about BATCH_ROWS rows; the rest stays held."""
        parts: list[Batch] = []
        room = BATCH_ROWS
        for tray in self._trays:
            if tray.held and room > 0:
                parts.append(tray.take(self._origin, room))
                room -= len(parts[-1])
        if self._gaps and room > 0:
            times, spans, series, causes, qualities = zip(*self._gaps[:room], strict=True)
            del self._gaps[:room]
            parts.append(make(self._origin.header(), times, series, causes, qualities, spans))
        self._bytes = _OVERHEAD * len(self._gaps) + sum(len(t.held) // 3 * t.cost for t in self._trays)
        if len(parts) == 1:
            return parts[0]
        return concat(self._origin.header(), parts)
