"""What can be trusted of edge nodes → rows, gap rows and dead letters of the configured points."""

from __future__ import annotations

import logging
import math
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from collectors.rows import Rows
from collectors.sparkplug_nodes import Known, Source
from collectors.sparkplug_payload import Metric, Payload
from collectors.sparkplug_points import Feed, Want, Wants, feeds, learn, numbers, unit_mistake
from config.bindings import BoundDevice
from config.errors import Rejected
from pipeline.batch import Reject, Times
from pipeline.clock import SECOND_NS
from pipeline.counters import Counters
from pipeline.gaps import Gap
from pipeline.ports import Origin
from pipeline.quality import BAD, CLOCK, GOOD, RANGE, UNCERTAIN

logger = logging.getLogger("tanflow.sparkplug")

_BIRTH_NS: Final = 10 * SECOND_NS  # a birth certificate is waited for before its absence is a gap
_AGAIN_NS: Final = 60 * SECOND_NS  # between gap rows while nothing changes
_RECENT: Final = 128  # times of a series by which what is sent again is known
_LATEST_MS: Final = 9_223_372_036_854  # in the year 2262: what nanoseconds can hold
_MOST_TOLD: Final = 1_000
_SAID: Final = 400  # characters of what is said once
_MOST_VALUES: Final = 100_000  # of one message
_MOST_WRONG: Final = 1_000  # of them, that become dead letters
_LINK: Final = (Gap.DISCONNECTED, Gap.REFUSED)


class _Fed(NamedTuple):
    """The feeds of a source since its birth, by metric; `birth` is the message they came with."""

    by_metric: Mapping[str, Sequence[Feed]]
    birth: Payload


class Told:
    """Listens to edge nodes, and keeps the rows that come of it until they are taken."""

    def __init__(
        self, origin: Origin, devices: Sequence[BoundDevice], wants: Wants, rows: Rows, counters: Counters, hint: str
    ) -> None:
        """Take what a person is told to do about a missing birth as `hint`."""
        self._clock = origin.clock
        self._devices = devices
        self._wants = wants
        self._rows = rows
        self._counters = counters
        self._hint = hint
        self._fed: dict[str, _Fed] = {}  # by source
        self._period_ns = [int((d.device.every_s or 0) * SECOND_NS) for d in devices]
        self._recent: dict[int, array[int]] = defaultdict(lambda: array("q"))
        self._trouble: dict[int, tuple[Gap, str]] = {}  # device → why nothing of it is known
        self.last: dict[int, tuple[float, int]] = {}  # series → number and when it came [ns]
        self._telling: Payload | None = None
        self._values = self._wrong = 0  # of the message that is told
        self._once: set[tuple[str, str]] = set()  # what was said, and of what
        self.begin()

    def begin(self) -> None:
        """Begin anew: nothing is heard yet, and no birth certificate can have come."""
        self._since_ns = now_ns = self._clock.now_ns()
        self._spoke_ns = [now_ns] * len(self._devices)

    def resume(self, newest_ns: Times) -> None:
        """Take the time of each series' newest accepted row: told again, it is passed over."""
        for wants in (w for sources in self._wants.nodes.values() for w in sources.values()):
            for want in wants:
                self._recent[want.series].append(int(newest_ns[want.series]))

    def spoke(self, sources: Sequence[Source], speaker: str) -> None:
        """Note a message of `speaker`, after which nothing is missing of those sources of its node that are born."""
        now_ns = self._clock.now_ns()
        for source in sources:
            for index in self._fed_by(source):
                if source.born:
                    self._rows.heard(index, now_ns)
                if source.device == speaker:
                    self._spoke_ns[index] = now_ns

    def down(self, cause: Gap, reason: str) -> None:
        """Append a gap row for every device: the link is gone."""
        self._rows.all_missed(cause, self._clock.now_ns(), reason)
        self._trouble = dict.fromkeys(range(len(self._devices)), (cause, reason))

    def watch(self, source: Source, node_born: bool) -> None:
        """Append the gap rows of a source that is silent, or not born yet, for too long."""
        now_ns = self._clock.now_ns()
        for index in self._fed_by(source):
            trouble = self._trouble.get(index)
            if not source.born and (trouble is None or trouble[0] in _LINK):
                if self._rows.silent_ns(index, now_ns) >= _BIRTH_NS <= now_ns - self._since_ns:
                    if node_born:
                        self.on_lost(source, Gap.STALE, f"edge node {source.node} is born, {source.name} is not")
                    else:
                        self.on_lost(source, Gap.SEQUENCE, f"no birth certificate of {source.name} is heard yet")
            elif trouble is not None:
                if self._rows.silent_ns(index, now_ns) >= _AGAIN_NS:
                    self._rows.missed(index, trouble[0], now_ns, trouble[1])
            elif self._period_ns[index]:
                self._watch_silence(index, now_ns)

    def _watch_silence(self, index: int, now_ns: int) -> None:
        silent_ns, period_ns = now_ns - self._spoke_ns[index], self._period_ns[index]
        if silent_ns > 3 * period_ns and self._rows.silent_ns(index, now_ns) > period_ns:
            reason = f"nothing published for {silent_ns / SECOND_NS:.0f} s"
            if self._rows.missed(index, Gap.STALE, now_ns, reason):
                logger.warning("%s: %s", self._devices[index].key, reason)

    # ── what a node tells ─────────────────────────────────────────────────────────────────────────

    def on_birth(self, source: Source, payload: Payload) -> None:
        fed, unfed = feeds(source, self._wants.nodes[source.node][source.device])
        self._fed[source.name] = _Fed(fed, payload)
        for want in unfed:
            self._refuse(want, f"metric '{want.path}' is not in the birth certificate of {source.name}")
        now_ns = self._clock.now_ns()
        for index in self._fed_by(source):
            trouble = self._trouble.pop(index, None)
            if trouble is not None:
                self._rows.missed(index, trouble[0], now_ns, trouble[1])  # up to here
            self._rows.answered(index, now_ns)

    def on_value(self, source: Source, known: Known, metric: Metric, payload: Payload) -> None:
        fed = self._fed[source.name]
        wanted = fed.by_metric.get(known.name, ())
        if payload is not self._telling:
            self._telling, self._values, self._wrong = payload, 0, 0
        try:
            quality = learn(known, metric)
            if not wanted:
                return
            time_ns, doubt = self._time(metric, payload)
        except Rejected as error:
            for feed in wanted:
                self._refuse_value(feed.want, f"metric '{known.name}' {error}")
            return
        if metric.null or not self._may_tell(source, len(wanted)):
            return
        for want, value in numbers(wanted, known, metric):
            if isinstance(value, str):
                self._refuse_value(want, f"metric '{want.path}' {value}")
                continue
            if metric.properties and want.path == known.name:
                self._say_once(self._key(want), unit_mistake(want.point, known.unit))
            self._add(want, time_ns, value, quality | doubt, again=metric.historical or payload is fed.birth)

    def _may_tell(self, source: Source, values: int) -> bool:
        """Count the values of a message: of metrics that come again and again, each may feed many points."""
        before, self._values = self._values, self._values + values
        if before <= _MOST_VALUES < self._values:
            self.on_refused(source, f"more than {_MOST_VALUES} values in one message; the rest of it is not read")
        return self._values <= _MOST_VALUES

    def _refuse_value(self, want: Want, reason: str) -> None:
        """Refuse one value of a message; after the first thousand its dead letters tell nothing new."""
        self._wrong += 1
        if self._wrong < _MOST_WRONG:
            self._refuse(want, reason)
        elif self._wrong == _MOST_WRONG:
            self._refuse(want, f"{reason}; so are more values of this message")

    def on_lost(self, source: Source, cause: Gap, reason: str) -> None:
        if cause is Gap.SEQUENCE:
            reason = f"{reason}; {self._hint}"
        now_ns = self._clock.now_ns()
        for index in self._fed_by(source):
            before = self._trouble.get(index)
            self._trouble[index] = cause, reason
            if before is None or before[0] is not cause:
                self._rows.missed(index, cause, now_ns, reason)
                logger.warning("%s: %s", self._devices[index].key, reason)

    def on_refused(self, source: Source, reason: str) -> None:
        self.refuse(source.name, reason, b"")

    def refuse(self, origin: str, reason: str, raw: bytes) -> None:
        """Append a dead letter, and say so once."""
        self._rows.reject(Reject(origin, reason, raw))
        self._say_once(origin, f"{reason}; see the dead letters")

    def _refuse(self, want: Want, reason: str) -> None:
        self.refuse(self._key(want), reason, b"")

    def _say_once(self, about: str, what: str) -> None:
        about, what = about[:_SAID], what[:_SAID]  # both are kept
        if what and (about, what) not in self._once and len(self._once) < _MOST_TOLD:
            self._once.add((about, what))
            logger.warning("%s: %s", about, what)

    def _key(self, want: Want) -> str:
        return f"{self._devices[want.device].key}.{want.name}"

    def _fed_by(self, source: Source) -> Sequence[int]:
        return self._wants.devices[source.node, source.device]

    def _add(self, want: Want, time_ns: int, value: float, quality: int, *, again: bool) -> None:
        """Append a row; births and stored values may tell once more what is known already."""
        recent = self._recent[want.series]
        if again and time_ns in recent:
            return
        recent.append(time_ns)
        if len(recent) > 2 * _RECENT:
            del recent[:_RECENT]
        if not math.isfinite(value):
            value, quality = math.nan, quality | BAD | RANGE
        now_ns = self._clock.now_ns()
        self.last[want.series] = value, now_ns
        self._rows.add(time_ns, want.series, value, quality)
        self._rows.answered(want.device, now_ns)

    def _time(self, metric: Metric, payload: Payload) -> tuple[int, int]:
        """Return the metric's own time, else the message's, else the gateway's, and what is doubtful of it."""
        time_ms = metric.time_ms or payload.time_ms
        now_ns = self._clock.now_ns()
        if time_ms > _LATEST_MS:
            raise Rejected(f"is stamped {time_ms} ms since 1970, which is no time")
        if time_ms:
            if not metric.historical:
                self._counters.came((now_ns - time_ms * 1_000_000) / SECOND_NS)
            return time_ms * 1_000_000, GOOD
        return now_ns, GOOD if self._clock.trusted else UNCERTAIN | CLOCK
