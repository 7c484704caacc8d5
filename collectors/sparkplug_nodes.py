"""Messages of one edge node, in any order → births, data and deaths that can be trusted; all else is said to be lost.

The rules are those of a host application, Eclipse Sparkplug 3.0.0, chapters 5 and 6: sequence numbers run 0–255 over
all messages of a node; a birth certificate says what names and aliases mean until the next one; a death belongs to the
birth with the same bdSeq. No clock of its own, no I/O: times [ns] are given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

from collectors.sparkplug_payload import Metric, Payload
from collectors.sparkplug_types import DATASET, TEMPLATE, Typed
from config.errors import Rejected
from pipeline.gaps import Gap

Kind = Literal["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH"]
KINDS: Final = ("NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH")
_AROUND: Final = 256
_SHOWN: Final = 200  # characters of a name that is not known
_MOST_HELD: Final = 16 << 20  # bytes of messages that wait for a missing one


class Message(NamedTuple):
    """One message of the node itself (`device` empty) or of a device of it."""

    kind: Kind
    device: str
    payload: Payload


@dataclass(slots=True)
class Known:
    """What a birth certificate says of a metric, and what came of it last."""

    name: str
    alias: int
    kind: int
    born_ns: int
    unit: str = ""
    quality: int = 192
    last: Typed | None = None
    at_ns: int = 0  # received
    kinds: dict[str, int] = field(default_factory=dict)  # sought member of a template or data set → data type


@dataclass(slots=True)
class Source:
    """A node or device whose metrics are wanted; `metrics` and `aliases` are those of its last birth."""

    node: str
    device: str
    born: bool = False
    missed: bool = False  # its birth must have passed unheard, for there is more of it
    metrics: dict[str, Known] = field(default_factory=dict)
    aliases: dict[int, Known] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return `group/node` or `group/node/device`."""
        return f"{self.node}/{self.device}" if self.device else self.node

    def forget(self, *, missed: bool = False) -> None:
        """Know nothing of it until its next birth."""
        self.born, self.missed, self.metrics, self.aliases = False, missed, {}, {}


class Listener(Protocol):
    """Whom an edge node tells what can be trusted of it, in order."""

    def on_birth(self, source: Source, payload: Payload) -> None:
        """The source is born: its metrics are known; their values follow one by one."""

    def on_value(self, source: Source, known: Known, metric: Metric, payload: Payload) -> None:
        """A metric has a value; `known` says what it is."""

    def on_lost(self, source: Source, cause: Gap, reason: str) -> None:
        """Nothing of the source is known from now on, until its next birth."""

    def on_refused(self, source: Source, reason: str) -> None:
        """Something of the source could not be decoded; it is trusted all the same."""


class Sequence:
    """Puts a node's messages in order: one whose turn is not yet is held for the missing one, but not for long."""

    def __init__(self, patience_ns: int) -> None:
        self._patience_ns = patience_ns
        self.begin(-1)

    def begin(self, seq: int) -> None:
        """Begin after the message numbered `seq`; what is held is of an earlier birth and is dropped."""
        self.expected = (seq + 1) % _AROUND
        self._held: dict[int, Message] = {}
        self._bytes = 0
        self._since_ns = 0

    def take(self, message: Message, now_ns: int) -> Iterator[Message]:
        """Yield the messages whose turn it is; raises Rejected when one must be lost."""
        seq = message.payload.seq
        if seq != self.expected:
            self._hold(seq, message, now_ns)
            return
        while True:
            self.expected = (self.expected + 1) % _AROUND
            yield message
            if self.expected not in self._held:
                break
            message = self._held.pop(self.expected)
        self._since_ns = now_ns  # of another one that is missing

    def overdue(self, now_ns: int) -> bool:
        """Return whether the missing message has been waited for long enough."""
        return bool(self._held) and now_ns - self._since_ns >= self._patience_ns

    @property
    def gap(self) -> str:
        """Return what is missing, for a person."""
        return f"sequence number {self.expected} is missing, {next(iter(self._held))} came" if self._held else ""

    def _hold(self, seq: int, message: Message, now_ns: int) -> None:
        if not self._held:
            self._since_ns, self._bytes = now_ns, 0
        self._bytes += sum(map(len, message.payload.raw))
        if seq in self._held or self._bytes > _MOST_HELD:
            raise Rejected(f"sequence number {self.expected} is missing, {seq} came")
        self._held[seq] = message


class EdgeNode:
    """One edge node with those of its devices that are wanted.

    A value is told only between a birth and the first sign that something is lost: an alias of an older birth never
    names a metric of a newer one.
    """

    def __init__(self, name: str, devices: Collection[str], listener: Listener, patience_ns: int) -> None:
        self.name = name  # group/node
        self.sources = {device: Source(name, device) for device in devices}
        self.trusted = self.dead = False
        self.bd_seq = -1
        self._listener = listener
        self._patience_ns = patience_ns
        self._order = Sequence(patience_ns)
        self._birth_ms = self._born_ns = 0  # of the node's last birth: its own time, and when it was heard

    @property
    def waiting(self) -> bool:
        """Return whether there is a birth that was not heard; the dead, and devices not there, have none."""
        return any(s.missed for s in self.sources.values()) if self.trusted else not self.dead

    def forget(self, *, dead: bool = False) -> None:
        """Trust nothing until the next birth: messages may have passed unheard, or the node is dead."""
        self.trusted, self.dead = False, dead
        self._order.begin(-1)
        for source in self.sources.values():
            source.forget()

    def take(self, message: Message, now_ns: int) -> None:
        """Take the next message heard of the node, and tell the listener what comes of it."""
        if message.kind == "NBIRTH":
            self._node_birth(message, now_ns)
        elif message.kind == "NDEATH":
            self._node_death(message.payload)
        elif not self.trusted:
            self._unborn(message)
        elif self._is_of_earlier_birth(message.payload, now_ns):
            self._listener.on_refused(
                next(iter(self.sources.values())), f"{message.kind} was sent before the last birth"
            )
        elif message.payload.seq < 0:
            self.lose(f"a {message.kind} without a sequence number: nothing tells whether one is missing")
        else:
            self._in_turn(message, now_ns)

    def watch(self, now_ns: int) -> None:
        """Give up on a message that is missing for too long."""
        if self.trusted and self._order.overdue(now_ns):
            self.lose(self._order.gap)

    # ── the node ──────────────────────────────────────────────────────────────────────────────────

    def _node_birth(self, message: Message, now_ns: int) -> None:
        payload = message.payload
        self.forget()
        try:
            metrics = list(payload.metrics())
        except Rejected as error:
            self.lose(f"its birth certificate cannot be read: {error}", Gap.MALFORMED)
            return
        self.bd_seq = _bd_seq(metrics)
        self.trusted = True
        self._birth_ms, self._born_ns = payload.time_ms, now_ns
        self._order.begin(max(payload.seq, 0))
        if "" in self.sources:
            self._birth(self.sources[""], payload, metrics, now_ns)

    def _is_of_earlier_birth(self, payload: Payload, now_ns: int) -> bool:
        """Return whether a birth has overtaken this message, whose number could be taken for the next one.

        Only soon after the birth: later, an older time means that the node's clock was set back.
        """
        soon = now_ns - self._born_ns < self._patience_ns
        return soon and 0 < payload.time_ms < self._birth_ms

    def _node_death(self, payload: Payload) -> None:
        try:
            bd_seq = _bd_seq(list(payload.metrics()))
        except Rejected:
            bd_seq = -1
        if self.trusted and -1 not in (bd_seq, self.bd_seq) and bd_seq != self.bd_seq:
            # The will of an earlier connection, which the broker found dead only now.
            reason = f"NDEATH with bdSeq {bd_seq} is passed over: the birth certificate has {self.bd_seq}"
            self._listener.on_refused(next(iter(self.sources.values())), reason)
            return
        self.forget(dead=True)
        for source in self.sources.values():
            self._listener.on_lost(source, Gap.STALE, f"edge node {self.name} is dead (NDEATH)")

    def _unborn(self, message: Message) -> None:
        self.dead = False
        source = self.sources.get(message.device)
        if source is not None and message.kind != "DDEATH":
            self._listener.on_lost(source, Gap.SEQUENCE, f"{message.kind} came before the birth of {self.name}")

    def _in_turn(self, message: Message, now_ns: int) -> None:
        try:
            for due in self._order.take(message, now_ns):
                self._handle(due, now_ns)
                if not self.trusted:
                    return
        except Rejected as error:
            self.lose(str(error))

    def lose(self, reason: str, cause: Gap = Gap.SEQUENCE) -> None:
        """Take note that something of the node is lost: nothing is trusted until its next birth."""
        self.forget()
        for source in self.sources.values():
            self._listener.on_lost(source, cause, reason)

    # ── its metrics ───────────────────────────────────────────────────────────────────────────────

    def _handle(self, message: Message, now_ns: int) -> None:
        source = self.sources.get(message.device)
        if source is None:
            return  # not wanted, but its number counts
        if message.kind == "DDEATH":
            source.forget()
            self._listener.on_lost(source, Gap.STALE, f"device {message.device} is dead (DDEATH)")
        elif message.kind == "DBIRTH":
            self._device_birth(source, message.payload, now_ns)
        elif not source.born:
            source.missed = True
            self._listener.on_lost(source, Gap.SEQUENCE, f"{message.kind} came before its birth certificate")
        else:
            self._data(source, message.payload, now_ns)

    def _device_birth(self, source: Source, payload: Payload, now_ns: int) -> None:
        source.forget()
        try:
            metrics = list(payload.metrics())
        except Rejected as error:
            source.forget(missed=True)
            self._listener.on_lost(source, Gap.MALFORMED, f"its birth certificate cannot be read: {error}")
        else:
            self._birth(source, payload, metrics, now_ns)

    def _birth(self, source: Source, payload: Payload, metrics: list[Metric], now_ns: int) -> None:
        for metric in metrics:
            known = Known(metric.name, metric.alias, metric.typed.kind, now_ns)
            if metric.alias >= 0 and source.aliases.setdefault(metric.alias, known) is not known:
                source.forget(missed=True)
                reason = f"its birth certificate gives alias {metric.alias} to two metrics"
                self._listener.on_lost(source, Gap.MALFORMED, reason)
                return
            source.metrics[metric.name] = known
        source.born = True
        self._listener.on_birth(source, payload)
        for metric in metrics:
            self._tell(source, source.metrics[metric.name], metric, payload, now_ns)

    def _data(self, source: Source, payload: Payload, now_ns: int) -> None:
        try:
            metrics = list(payload.metrics())
        except Rejected as error:
            self._listener.on_refused(source, str(error))
            return
        named = [source.metrics.get(m.name) if m.name else source.aliases.get(m.alias) for m in metrics]
        for metric, known in zip(metrics, named, strict=True):
            if known is None and not metric.name:
                self.lose(f"alias {metric.alias} is not in the birth certificate")
                return
        strange = [metric.name for metric, known in zip(metrics, named, strict=True) if known is None]
        if strange:
            more = f" (nor are {len(strange) - 1} others)" if len(strange) > 1 else ""
            self._listener.on_refused(source, f"metric '{strange[0][:_SHOWN]}' is not in the birth certificate{more}")
        for metric, known in zip(metrics, named, strict=True):
            if known is not None:
                self._tell(source, known, metric, payload, now_ns)

    def _tell(self, source: Source, known: Known, metric: Metric, payload: Payload, now_ns: int) -> None:
        if not metric.null:
            if metric.typed.kind == 0:
                metric = metric._replace(typed=metric.typed._replace(kind=known.kind))
            if metric.name != known.name and metric.typed.kind in (TEMPLATE, DATASET):
                metric = metric._replace(name=known.name)  # members are named after it
            known.last, known.at_ns = metric.typed, now_ns
        self._listener.on_value(source, known, metric, payload)


def _bd_seq(metrics: list[Metric]) -> int:
    found = next((m.typed.value for m in metrics if m.name == "bdSeq"), -1)
    return found if isinstance(found, int) else -1
