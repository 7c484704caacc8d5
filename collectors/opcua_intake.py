"""Columns of a server's values → rows; a value already seen is passed over, what is no number becomes a dead letter."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from asyncua import ua

from collectors.opcua_columns import Columns
from collectors.opcua_shown import Shown
from collectors.opcua_values import Heard, number_of, overflowed, quality_of
from collectors.rows import Rows
from config.bindings import BoundDevice, series_key
from config.errors import Rejected
from config.protocols.opcua import OpcuaPoint
from pipeline.batch import Qualities, Reject, Times
from pipeline.counters import Counters
from pipeline.gaps import Gap
from pipeline.meter import NEVER
from pipeline.ports import Origin
from pipeline.quality import CLOCK, UNCERTAIN

logger = logging.getLogger("tanflow.opcua")

_MAX_ROWS: Final = 100_000  # that may wait for one commit; what comes on top is counted and recorded as lost
_MAX_HELD: Final = 500_000  # values that may wait until what was missed is read back

Element = Callable[[OpcuaPoint, ua.DataValue], ua.DataValue]
_Arrived = tuple[
    int, Columns, npt.NDArray[np.bool_]
]  # when [ns], values, which are the first since they are asked anew


@dataclass(slots=True)
class Item:
    """One point on its node."""

    node: OpcuaPoint
    point: str
    name: str  # device, point and node, for a person
    series: int
    device: int
    trouble: str = ""


def items_of(devices: Sequence[BoundDevice], ids: Mapping[str, int]) -> list[Item]:
    """Return the items of the devices' OPC UA points."""
    return [
        Item(p.opcua, name, f"{d.key}.{name} ({p.opcua})", ids[series_key(d.asset_name, name, p.quantity)], index)
        for index, d in enumerate(devices)
        for name, p in d.points.items()
        if p.opcua is not None
    ]


class Intake:
    """What was last seen of each item of a connection, and its way into rows."""

    def __init__(self, origin: Origin, items: Sequence[Item], devices: int, rows: Rows, counters: Counters) -> None:
        self.items = items
        self.series = np.array([item.series for item in items], np.int32)
        self.device = np.array([item.device for item in items], np.int64)
        self.missing: set[int] = set()  # items whose node the server does not have
        self.element: Element = _whole
        self._whole = np.array([not (i.node.index or i.node.field) for i in items], np.bool_)
        self._devices = devices
        self._origin = origin
        self._rows = rows
        self._counters = counters
        self._overflow: set[int] = set()  # devices with rows lost since the last batch
        self._overflowed: set[int] = set()  # devices the log has named for it
        # Of each item: time and status of the last value; nothing heard since it is monitored, so that the next value
        # may be one already seen; up to when its values are accepted [ns], -1 for no status.
        self._last_ns = np.zeros(len(items), np.int64)
        self._status = np.full(len(items), -1, np.int64)
        self._fresh = np.ones(len(items), np.bool_)
        self._accepted_ns = np.full(len(items), NEVER)
        # The last value as it came, for whoever commissions: plain ones in columns, others as they are.
        self._shown = Shown(len(items))
        # The stretch of each item that was read back: of the values that wait, those within it are here already.
        self._back_ns = np.zeros((2, len(items)), np.int64)
        # While what was missed is read back, values wait, and the time of the first of each item is where that ends.
        self.first_ns = np.zeros(len(items), np.int64)
        self._held: deque[_Arrived] | None = None
        self._waiting = 0

    def resume(self, newest_ns: Times) -> None:
        """Take back up to when values of each item were accepted."""
        self._accepted_ns = newest_ns[self.series]
        unseen = (self._last_ns == 0) & (self._accepted_ns != NEVER)
        self._last_ns[unseen] = self._accepted_ns[unseen]

    def accepted_ns(self) -> npt.NDArray[np.int64]:
        """Return up to when values of each item are here, committed or on their way [ns]; NEVER where none is."""
        return np.where(self._last_ns > 0, np.maximum(self._last_ns, self._accepted_ns), self._accepted_ns)

    def awaited(self, known_ns: Times) -> bool:
        """Return whether an item that had a value before has none again yet."""
        awaited = (known_ns != NEVER) & (self.first_ns == 0)
        awaited[list(self.missing)] = False
        return bool(awaited.any())

    def renew(self) -> None:
        """Expect values already seen: the server is asked anew."""
        self._fresh[:] = True

    def heard(self, device: int) -> list[Heard]:
        """Return the last value of each node of a device as it came."""
        return [self._shown.of(i, item.point, item.node) for i, item in enumerate(self.items) if item.device == device]

    # ── values ────────────────────────────────────────────────────────────────────────────────────

    @property
    def holds(self) -> bool:
        """Whether values wait."""
        return self._held is not None

    def hold(self) -> None:
        """Let values wait until `release` is through; those that wait already stay."""
        self.first_ns[:] = 0
        if self._held is None:
            self._held, self._waiting = deque(), 0

    def take(self, columns: Columns, now_ns: int) -> None:
        """Take values that have arrived, in their order; those of items nobody knows are passed over."""
        known = (columns.index >= 0) & (columns.index < len(self.items))
        if not known.all():
            columns = columns.take(known)
        self._shown.take(columns, now_ns)
        fresh = self._fresh[columns.index]
        self._fresh[columns.index] = False
        if self._held is None:
            self._accept((now_ns, columns, fresh))
        elif self._waiting + len(columns) > _MAX_HELD:
            self._lose(columns)
        else:
            self._waiting += len(columns)
            self._held.append((now_ns, columns, fresh))
            first = self.first_ns[columns.index] == 0
            # Written from the last to the first, so that of several values of an item the first stays.
            self.first_ns[columns.index[first][::-1]] = columns.time_ns[first][::-1]

    def take_back(self, columns: Columns) -> None:
        """Take values of the past, read back; they are newer than all accepted and older than all that wait."""
        self._append(columns, self._origin.clock.now_ns())

    def covered(self, item: int, after_ns: int, upto_ns: int) -> None:
        """Note from when to when the values of an item were read back, the beginning excluded."""
        self._back_ns[:, item] = after_ns, upto_ns

    def release(self) -> bool:
        """Accept the oldest values that wait; False when none is left and all that come are accepted again."""
        if self._held:
            self._accept(self._held.popleft())
            return True
        self._held = None
        # What comes from now on was not read back, however old: a clock may be set back. Only an item that showed
        # nothing yet may still begin with the last value that was.
        self._fresh |= (self._back_ns[1] > 0) & (self.first_ns == 0)
        self._back_ns[:] = 0
        return False

    def _accept(self, arrived: _Arrived) -> None:
        now_ns, columns, fresh = arrived
        self._answered(columns.index, now_ns)
        after_ns, upto_ns = self._back_ns[:, columns.index]
        seen = (columns.time_ns > after_ns) & (columns.time_ns <= upto_ns)
        if fresh.any():
            seen |= self._repeated(columns, fresh)
        if seen.any():
            columns = columns.take(~seen)
        if len(self._rows) + len(columns) > _MAX_ROWS and len(self._rows):
            self._lose(columns)
        else:
            self._append(columns, now_ns)

    def _answered(self, index: npt.NDArray[np.int64], now_ns: int) -> None:
        there = np.zeros(self._devices, np.bool_)
        there[self.device[index]] = True
        incomplete = {int(self.device[i]) for i in self.missing}
        for device in np.flatnonzero(there).tolist():
            (self._rows.heard if device in incomplete else self._rows.answered)(device, now_ns)

    def _repeated(self, columns: Columns, fresh: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return which values are the very same as the last of their item before it was asked anew.

        Only the very same instant: a source whose clock is set back must not fall silent. What was committed before
        this process has no status: then a good value of that instant is the one that was committed.
        """
        index = columns.index
        first = np.zeros(len(index), np.bool_)
        first[np.unique(index, return_index=True)[1]] = True
        last = self._status[index]
        same = (columns.status == last) | ((last < 0) & (columns.status >> 30 == 0))
        known = (columns.time_ns > 0) & (columns.time_ns == self._last_ns[index])
        repeated: npt.NDArray[np.bool_] = fresh & first & known & same
        self._status[index[repeated]] = columns.status[repeated]
        return repeated

    def _append(self, columns: Columns, now_ns: int) -> None:
        if not len(columns):
            return
        quality = self._quality(columns)
        untimed = columns.time_ns == 0
        time_ns = np.where(untimed, now_ns, columns.time_ns)
        if untimed.any() and not self._origin.clock.trusted:
            quality[untimed] |= np.uint16(UNCERTAIN | CLOCK)
        self._last_ns[columns.index], self._status[columns.index] = time_ns, columns.status
        value, number = self._numbers(columns, quality)
        if number is not None:
            time_ns, value, quality = time_ns[number], value[number], quality[number]
        series = self.series[columns.index if number is None else columns.index[number]]
        self._rows.extend(time_ns, series, value, quality)

    def _quality(self, columns: Columns) -> Qualities:
        if not columns.status.any():
            return np.zeros(len(columns), np.uint16)
        statuses, which = np.unique(columns.status, return_inverse=True)
        return np.array([quality_of(status) for status in statuses.tolist()], np.uint16)[which]

    def _numbers(
        self, columns: Columns, quality: Qualities
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_] | None]:
        """Return the values with those found that stand in arrays or structures, and which rows have one; None: all."""
        odd = list(columns.odd)
        apart = ~self._whole[columns.index]
        if apart.any():  # a plain number where an element was meant: told like any other that does not fit
            known = {row for row, _ in odd}
            plain = [row for row in np.flatnonzero(apart).tolist() if row not in known]
            odd += [(row, ua.DataValue(ua.Variant(float(columns.value[row])))) for row in plain]
        if not odd:
            return columns.value, None
        value, number = columns.value.copy(), np.ones(len(columns), np.bool_)
        for row, data in odd:
            item = self.items[columns.index[row]]
            try:
                value[row] = number_of(self.element(item.node, data), int(quality[row]))
                item.trouble = ""
            except Rejected as error:
                number[row] = False
                raw = repr(data.Value.Value if data.Value is not None else None).encode()[:1024]
                self._rows.reject(Reject(item.name, str(error), raw))
                self._tell(item, str(error))
        return value, number

    # ── what goes wrong ───────────────────────────────────────────────────────────────────────────

    def exists(self, index: int, status: int, words: str = "") -> bool:
        """Note whether an item's node can be had (status 0) or not, and why; return which."""
        if (status != 0) == (index in self.missing):
            return status == 0
        item = self.items[index]
        self.missing ^= {index}
        if status:
            reason = words or f"{ua.StatusCode(status).name}; correct the node id, or the rights of the user"
            self._rows.missed(item.device, Gap.EXCEPTION, self._origin.clock.now_ns(), f"{item.name}: {reason}")
            self._tell(item, reason)
        else:
            item.trouble = ""
        return status == 0

    def overflow(self, columns: Columns) -> bool:
        """Note the devices of which the server dropped values, by the overflow bit; return whether there are any."""
        if not columns.status.any():
            return False
        lost = [status for status in np.unique(columns.status).tolist() if overflowed(status)]
        index = columns.index[np.isin(columns.status, lost)]
        self._overflow |= set(self.device[index[(index >= 0) & (index < len(self.items))]].tolist())
        return bool(lost)

    def record_overflow(self) -> None:
        """Write the gap rows of devices that lost values; the log says it once of each."""
        for device in self._overflow:
            reason = "values were lost: raise 'queue', or lower 'every_s' or the sampling rate"
            self._rows.missed(device, Gap.OVERFLOW, self._origin.clock.now_ns(), reason)
            if device not in self._overflowed:
                logger.warning("%s: %s", self._rows.name(device), reason)
        self._overflowed |= self._overflow
        self._overflow.clear()

    def _lose(self, columns: Columns) -> None:
        self._counters.rejected += len(columns)
        self._overflow |= set(self.device[columns.index].tolist())

    def _tell(self, item: Item, trouble: str) -> None:
        if item.trouble != trouble:
            item.trouble = trouble
            logger.warning("%s: %s", item.name, trouble)


def _whole(point: OpcuaPoint, data: ua.DataValue) -> ua.DataValue:
    return data
