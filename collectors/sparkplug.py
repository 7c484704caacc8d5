"""Messages of Sparkplug B edge nodes on one broker → batches; it publishes nothing that the user does not allow.

What can be trusted is decided in `sparkplug_nodes`, rows come of it in `sparkplug_rows`; here is the way to the broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final, NamedTuple, Self

from paho.mqtt.client import MQTTMessage

from collectors.mqtt_link import Link, Outgoing, Session
from collectors.rows import Rows
from collectors.sparkplug_nodes import KINDS, EdgeNode, Known, Message
from collectors.sparkplug_payload import decode
from collectors.sparkplug_points import Wants
from collectors.sparkplug_publish import parse_state, rebirth, state, state_topic
from collectors.sparkplug_rows import Told
from collectors.sparkplug_types import name_of, shown
from config.bindings import BoundDevice
from config.errors import Rejected, Unavailable
from config.protocols.sparkplug import SparkplugConnection
from pipeline.batch import Batch, Times
from pipeline.clock import SECOND_NS
from pipeline.counters import Counters
from pipeline.gaps import Gap
from pipeline.ports import Origin

logger = logging.getLogger("tanflow.sparkplug")

_LOOK_S: Final = 0.25  # between looks at what is missing, silent or to be asked for
_ASK_NS: Final = 2 * SECOND_NS  # before a node is asked for its birth, doubling from there
_ASK_MOST_NS: Final = 60 * SECOND_NS
_MOST_ROWS: Final = 50_000  # that wait for a commit; more wait at the broker
_KEPT: Final = 1_024  # of a payload in a dead letter [bytes]


class Heard(NamedTuple):
    """A metric of a device as its birth certificate and its last message have it; times [ns UTC]."""

    metric: str
    alias: int | None
    type: str
    value: str | None
    unit: str
    quality: int
    born_ns: int
    at_ns: int


class _Ask(NamedTuple):
    """When a node is to be asked for its birth, and how long is waited from then on [ns]."""

    due_ns: int
    pause_ns: int


class SparkplugCollector:
    """A host application on one broker: edge nodes with their births, data and deaths."""

    def __init__(
        self,
        origin: Origin,
        connection: SparkplugConnection,
        devices: Sequence[BoundDevice],
        ids: Mapping[str, int],
        counters: Counters,
    ) -> None:
        self._clock = origin.clock
        self._connection = connection
        self._host = (connection.host_id or "") if connection.publish_state else ""
        self._state_topic = state_topic(self._host, connection.state_version)
        self._rows = Rows(origin, devices, ids, counters)
        self._wants = Wants(devices, ids)
        hint = (
            "a birth certificate is asked for"
            if connection.request_rebirth
            else "nothing is taken until its next birth certificate: restart the node or set request_rebirth: true"
        )
        self._told = Told(origin, devices, self._wants, self._rows, counters, hint)
        patience_ns = int(connection.reorder_s * SECOND_NS)
        self._nodes = {
            name: EdgeNode(name, sources, self._told, patience_ns) for name, sources in self._wants.nodes.items()
        }
        self._wake = asyncio.Event()
        self._link: Link | None = None
        self._begin()

    def _begin(self) -> None:
        self._since_ms = self._clock.now_ns() // 1_000_000
        self._asks: dict[str, _Ask] = {}
        self._unacked: list[int] = []
        self._told.begin()
        for node in self._nodes.values():
            node.forget()

    async def __aenter__(self) -> Self:
        self._begin()
        will = self._state(False) if self._host else None
        # A host keeps no session: births tell all that counts.
        self._link = Link(
            self._connection, Session(will=will), lambda _: None, self._subscribed, self._message, self._wake.set
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._link is not None:
            if self._host and self._link.is_open:
                self._link.publish(self._state(False))
            self._link.close()
            self._link = None

    def resume(self, tokens: Sequence[bytes], newest_ns: Times) -> None:
        """Remember what is committed of each series: a birth that tells it again brings nothing new."""
        self._told.resume(newest_ns)

    def heard(self, device: str) -> list[Heard]:
        """Return the metrics of the node or device that feeds a device, as last told, and the wanted parts of them."""
        index = self._rows.index(device)
        group, node, name = self._wants.addresses[index]
        source = self._nodes[f"{group}/{node}"].sources[name]
        wants = [w for w in self._wants.nodes[source.node][name] if w.device == index]
        parts = [w for w in wants if w.path not in source.metrics and w.series in self._told.last]
        last = self._told.last
        return [
            *map(_heard, source.metrics.values()),
            *(Heard(w.path, None, "part", f"{last[w.series][0]!r}", "", 0, 0, last[w.series][1]) for w in parts),
        ]

    async def batches(self) -> AsyncGenerator[Batch]:
        """Yield what has arrived since the last commit; raises Unavailable when the link must be opened again."""
        link = self._link
        assert link is not None, "enter the collector first"
        failure: Exception | None = await self._open(link)
        while True:
            if failure is None:
                await self._news()
                failure = link.failure
                if failure is None:
                    self._watch(link)
                else:
                    self._down(Gap.DISCONNECTED, failure)
            packets, self._unacked = self._unacked, []
            if len(self._rows):
                yield self._rows.take()
            link.ack(packets)
            link.pause(False)
            if failure is not None:
                raise failure

    # ── the link ──────────────────────────────────────────────────────────────────────────────────

    async def _open(self, link: Link) -> Unavailable | None:
        try:
            await link.open([*self._wants.filters, *([self._state_topic] if self._host else [])])
        except Unavailable as error:
            self._down(Gap.REFUSED, error)
            return error
        return None

    def _subscribed(self, refused: Mapping[str, str]) -> None:
        if self._host and self._link is not None:
            self._link.publish(self._state(True))
        for topic, node in zip(self._wants.filters, self._nodes.values(), strict=True):
            if topic in refused:
                reason = f"subscription '{topic}' refused: {refused[topic]}; grant the user this topic"
                node.lose(reason, Gap.EXCEPTION)
        self._wake.set()

    def _down(self, cause: Gap, error: Exception) -> None:
        self._told.down(cause, str(error))
        for node in self._nodes.values():
            node.forget()

    async def _news(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._clock.wall_seconds(_LOOK_S)):
                await self._wake.wait()
        self._wake.clear()

    # ── what arrives ──────────────────────────────────────────────────────────────────────────────

    def _message(self, message: MQTTMessage) -> None:
        """Take one message; what cannot be read is a dead letter."""
        if message.qos:
            self._unacked.append(message.mid)
        payload = bytes(message.payload)
        topic = ""
        try:
            topic = message.topic
            if self._host and topic == self._state_topic:
                self._other_state(payload)
            else:
                self._take(topic.split("/"), payload, bool(message.retain))
        except UnicodeDecodeError:
            self._told.refuse("a topic that is not UTF-8", "nothing publishes on it", payload[:_KEPT])
        except Rejected as error:
            self._told.refuse(topic, str(error), payload[:_KEPT])
        self._wake.set()
        if len(self._rows) > _MOST_ROWS and self._link is not None:
            self._link.pause(True)

    def _take(self, levels: Sequence[str], payload: bytes, retained: bool) -> None:
        node = self._nodes.get(f"{levels[1]}/{levels[3]}") if len(levels) in (4, 5) else None
        kind = next((k for k in KINDS if k == levels[2]), None) if node else None
        if node is None or kind is None or kind.startswith("D") != (len(levels) == 5):
            return  # commands of others, and what is no topic of Sparkplug
        device = levels[4] if len(levels) == 5 else ""
        if retained:
            raise Rejected("retained, so of unknown age; edge nodes must not retain what they publish")
        try:
            message = Message(kind, device, decode(payload))
        except Rejected as error:
            node.lose(f"a {kind} cannot be read: {error}", Gap.MALFORMED)
            raise
        node.take(message, self._clock.now_ns())
        self._told.spoke(tuple(node.sources.values()), device)

    def _state(self, online: bool) -> Outgoing:
        return state(self._host, online, self._since_ms, self._connection.state_version)

    def _other_state(self, payload: bytes) -> None:
        """Answer a will of our own that an earlier connection left behind: nodes would take us to be offline."""
        online, at_ms = parse_state(payload, self._connection.state_version)
        if at_ms > self._since_ms:
            raise Rejected(f"another host application publishes STATE of '{self._host}'; choose another host_id")
        if not online and self._link is not None and self._link.is_open:
            self._link.publish(self._state(True))

    # ── watching ──────────────────────────────────────────────────────────────────────────────────

    def _watch(self, link: Link) -> None:
        now_ns = self._clock.now_ns()
        for name, node in self._nodes.items():
            node.watch(now_ns)
            for source in node.sources.values():
                self._told.watch(source, node.trusted)
            if node.waiting and self._connection.request_rebirth and link.is_open:
                self._ask(link, name, now_ns)
            elif not node.waiting:
                self._asks.pop(name, None)

    def _ask(self, link: Link, name: str, now_ns: int) -> None:
        """Ask a node for its birth, with longer and longer pauses."""
        ask = self._asks.setdefault(name, _Ask(now_ns + _ASK_NS, _ASK_NS))
        if now_ns >= ask.due_ns:
            group, node = name.split("/")
            link.publish(rebirth(group, node, now_ns // 1_000_000))
            logger.info("%s: asked for its birth certificate", name)
            pause_ns = min(2 * ask.pause_ns, _ASK_MOST_NS)
            self._asks[name] = _Ask(now_ns + pause_ns, pause_ns)


def _heard(known: Known) -> Heard:
    return Heard(
        known.name,
        known.alias if known.alias >= 0 else None,
        name_of(known.kind),
        None if known.last is None else shown(known.last),
        known.unit,
        known.quality,
        known.born_ns,
        known.at_ns,
    )
