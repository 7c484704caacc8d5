"""Readings one by one → columns: what has arrived since the last batch, and the gap rows of silent devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from config.bindings import BoundDevice
from pipeline.batch import Batch, Qualities, Reject, Series, Times, Values, concat, make
from pipeline.counters import Counters
from pipeline.gaps import Gap, gap_key
from pipeline.ports import Origin
from pipeline.quality import BAD, COMM, GOOD


class Rows:
    """Rows waiting for the next batch, of one connection; devices are named by their index."""

    def __init__(
        self, origin: Origin, devices: Sequence[BoundDevice], ids: Mapping[str, int], counters: Counters
    ) -> None:
        self._origin = origin
        self._counters = counters
        self._gap_series = [ids[gap_key(d.asset_name, d.name)] for d in devices]
        self._names = [d.key for d in devices]
        for name in self._names:
            counters.links.setdefault(name, "")
        # Up to when each device is accounted for, by a reading or a gap row [ns], and why it is silent since.
        now = origin.clock.now_ns()
        self._known_ns = [now] * len(devices)
        self._cause = [Gap.NONE] * len(devices)
        self.clear()

    def clear(self) -> None:
        """Forget what waits: its input is not acknowledged and comes again, or its loss is already a gap row."""
        self._time: list[int] = []
        self._span: list[int] = []
        self._series: list[int] = []
        self._value: list[float] = []
        self._quality: list[int] = []
        self._rejects: list[Reject] = []
        self._before: list[Batch] = []  # rows that came in columns, and those one by one before them
        self._length = 0

    def __len__(self) -> int:
        return self._length + len(self._rejects)

    def add(self, time_ns: int, series: int, value: float, quality: int, span_ns: int = 0) -> None:
        """Append one row."""
        self._length += 1
        self._time.append(time_ns)
        self._span.append(span_ns)
        self._series.append(series)
        self._value.append(value)
        self._quality.append(quality)

    def extend(self, time_ns: Times, series: Series, value: Values, quality: Qualities) -> None:
        """Append rows in columns; span 0."""
        self._close()
        self._length += len(series)
        self._before.append(make(self._origin.header(), time_ns, series, value, quality))

    def _close(self) -> None:
        """Put the rows that came one by one into columns, so that others may follow them."""
        if self._time:
            columns = (self._time, self._series, self._value, self._quality, self._span)
            self._before.append(make(self._origin.header(), *columns))
            self._time, self._span, self._series, self._value, self._quality = [], [], [], [], []

    def reject(self, reject: Reject) -> None:
        """Append an input that could not become a row; ingest counts it with the bad rows, once it is committed."""
        self._rejects.append(reject)

    def silent_ns(self, device: int, now_ns: int) -> int:
        """Return for how long nothing is known of the device [ns]."""
        return now_ns - self._known_ns[device]

    def name(self, device: int) -> str:
        """Return the key of a device, for a person."""
        return self._names[device]

    def index(self, name: str) -> int:
        """Return the number of a device by its key; raises ValueError for one that is not of this connection."""
        return self._names.index(name)

    def in_gap(self, device: int) -> bool:
        """Return whether the device's last gap row is still open."""
        return self._cause[device] is not Gap.NONE

    def heard(self, device: int, now_ns: int) -> None:
        """Note that something of the device is heard, though its trouble goes on."""
        self._known_ns[device] = now_ns

    def answered(self, device: int, now_ns: int) -> None:
        """Note that the device is heard; ends its gap, if it had one, with a row of value 0."""
        self._known_ns[device] = now_ns
        if self._cause[device] is not Gap.NONE:
            self._cause[device] = Gap.NONE
            self._counters.links[self._names[device]] = ""
            self.add(now_ns, self._gap_series[device], Gap.NONE, GOOD)

    def recovered(self, device: int, now_ns: int, span_ns: int) -> None:
        """Note that the device is heard and what was missed of it is here: a row of value 0 over the time it covers."""
        self._known_ns[device] = now_ns
        self._cause[device] = Gap.NONE
        self._counters.links[self._names[device]] = ""
        self.add(now_ns, self._gap_series[device], Gap.NONE, GOOD, span_ns)

    def missed(self, device: int, cause: Gap, now_ns: int, reason: str) -> bool:
        """Append a gap row over the time since the device was last known; True when the cause is a new one."""
        span_ns = max(0, now_ns - self._known_ns[device])
        self._known_ns[device] = now_ns
        self.add(now_ns, self._gap_series[device], cause, BAD | COMM, span_ns)
        new = self._cause[device] is not cause
        self._cause[device] = cause
        self._counters.miss(self._names[device])
        self._counters.links[self._names[device]] = reason
        return new

    def all_missed(self, cause: Gap, now_ns: int, reason: str) -> bool:
        """Append a gap row for every device; True when the cause is new to any."""
        return any([self.missed(device, cause, now_ns, reason) for device in range(len(self._names))])

    def take(self, token: bytes = b"") -> Batch:
        """Return all that waits as one batch and begin anew."""
        self._close()
        batch = replace(concat(self._origin.header(), self._before), rejects=tuple(self._rejects), token=token)
        self._counters.received += len(batch)
        self.clear()
        return batch
