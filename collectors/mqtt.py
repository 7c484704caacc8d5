"""Messages of one MQTT broker → batches; a message is acknowledged only after its batch is committed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

from paho.mqtt.client import MQTTMessage

from collectors.mqtt_deliveries import Deliveries, delivery, token
from collectors.mqtt_forms import Route
from collectors.mqtt_link import Link, Session
from collectors.mqtt_payload import find
from collectors.mqtt_topics import Routes
from collectors.rows import Rows
from config.bindings import BoundDevice
from config.errors import Rejected, Unavailable
from config.protocols.mqtt import MqttConnection
from pipeline.batch import Batch, Reject, Times
from pipeline.clock import SECOND_NS
from pipeline.counters import Counters
from pipeline.gaps import Gap
from pipeline.ports import Origin
from pipeline.quality import CLOCK, GOOD, STALE, UNCERTAIN

logger = logging.getLogger("tanflow.mqtt")

_KEPT: Final = 1024  # of a payload in a dead letter [bytes]
_TOLD: Final = 1_000  # topics in trouble, or not asked for, that are told one by one
_MOST_ROWS: Final = 50_000  # that wait for a commit; more wait at the broker
_REASONS: Final = 5  # what is wrong with one payload, that is told
_HEARD: Final = 4_096  # bytes of a topic's last payload that are kept for whoever commissions


class Heard(NamedTuple):
    """The last message of a topic: its payload, cut at 4 kB, and when it came [ns UTC]."""

    topic: str
    payload: bytes
    retained: bool
    at_ns: int


class MqttCollector:
    """One broker with a persistent session: what is published while we are away waits there."""

    def __init__(
        self,
        origin: Origin,
        connection: MqttConnection,
        devices: Sequence[BoundDevice],
        ids: Mapping[str, int],
        counters: Counters,
    ) -> None:
        self._origin = origin
        self._connection = connection
        self._counters = counters
        self._devices = devices
        self._rows = Rows(origin, devices, ids, counters)
        self._routes = Routes(devices, ids, connection, origin.clock.now_ns)
        self._newest_ns: Times | None = None
        self._period_ns = [int((d.device.every_s or 0) * SECOND_NS) for d in devices]
        self._deliveries = Deliveries(connection.receive_maximum, self._states_time)
        self._trouble: set[str] = set()  # topics whose last payload was refused
        self._strangers: set[str] = set()
        self._heard: dict[str, Heard] = {}
        self._wake = asyncio.Event()
        self._link: Link | None = None
        self._forget()

    def _forget(self) -> None:
        self._rows.clear()
        self._deliveries.forget()
        self._loose = 0  # messages of QoS 0 in it
        self._in_flight = 0
        self._overflow: set[int] = set()

    async def __aenter__(self) -> Self:
        self._forget()  # unacknowledged messages come again
        config = self._connection
        session = Session(config.qos, config.receive_maximum, config.session_expiry_s)
        self._link = Link(config, session, self._session, self._subscribed, self._message, self._wake.set)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def resume(self, tokens: Sequence[bytes], newest_ns: Times) -> None:
        """Remember the deliveries in the tokens as committed: sent again, they are acknowledged and passed over.

        A retained message with a time of its own is taken only where it is newer than `newest_ns`.
        """
        self._newest_ns = newest_ns
        for batch_token in tokens:
            self._deliveries.resume(batch_token)

    def heard(self, device: str) -> list[Heard]:
        """Return the last message of each topic a device is fed by."""
        mine = self._rows.index(device)
        return [h for h in self._heard.values() if any(route.device == mine for route in self._routes.of(h.topic))]

    async def batches(self) -> AsyncGenerator[Batch]:
        """Yield what has arrived since the last commit; raises Unavailable when the link must be opened again."""
        link = self._link
        assert link is not None, "enter the collector first"
        failure: Exception | None = await self._open(link)
        while True:
            if failure is None:
                await self._news()
                self._watch_silence()
                failure = link.failure
                if failure is not None:
                    self._down(Gap.DISCONNECTED, failure)
            self._record_overflow()
            deliveries, packets = self._deliveries.take()
            self._loose = 0
            if len(self._rows):
                self._in_flight = len(packets)
                yield self._rows.take(token(deliveries))
                self._in_flight = 0
            self._deliveries.committed(deliveries, packets)
            link.ack(packets)
            link.pause(False)
            if failure is not None:
                raise failure

    # ── the link ──────────────────────────────────────────────────────────────────────────────────

    async def _open(self, link: Link) -> Unavailable | None:
        try:
            await link.open(self._routes.filters)
        except Unavailable as error:
            self._down(Gap.REFUSED, error)
            return error
        return None

    def _subscribed(self, refused: Mapping[str, str]) -> None:
        for topic_filter, reason in refused.items():
            message = f"subscription '{topic_filter}' refused: {reason}; grant the user this topic"
            logger.error("%s: %s", self._connection.host, message)
            for device in self._routes.devices_of(topic_filter):
                self._rows.missed(device, Gap.EXCEPTION, self._origin.clock.now_ns(), message)
        self._wake.set()

    def _session(self, present: bool) -> None:
        if not present and self._deliveries.begin_anew():
            logger.warning("%s kept no session: messages published meanwhile are lost", self._connection.host)

    def _down(self, cause: Gap, error: Exception) -> None:
        self._rows.all_missed(cause, self._origin.clock.now_ns(), str(error))

    # ── what arrives ──────────────────────────────────────────────────────────────────────────────

    def _message(self, message: MQTTMessage) -> None:
        """Take one message; one sent again is passed over: acknowledged if it is committed, else with the first."""
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        payload = bytes(message.payload)
        if message.qos == 0:
            if self._loose >= self._connection.receive_maximum:
                self._counters.rejected += 1
                self._overflow.update(route.device for route in self._routes.of(topic))
                return
            self._loose += 1
        elif not self._is_new(message, topic, payload):
            return
        self._accept(topic, payload, bool(message.retain))
        self._wake.set()
        full = len(self._rows) > _MOST_ROWS
        if self._connection.version != "5":  # where the broker keeps no receive maximum
            full |= self._in_flight + self._deliveries.unacknowledged >= self._connection.receive_maximum
        if full and self._link is not None:
            self._link.pause(True)

    def _is_new(self, message: MQTTMessage, topic: str, payload: bytes) -> bool:
        if self._deliveries.is_new(delivery(message.mid, topic, payload), topic, dup=message.dup):
            return True
        self._wake.set()  # so that it is acknowledged
        return False

    def _states_time(self, topic: str) -> bool:
        return all(route.timed for route in self._routes.of(topic))

    def _accept(self, topic: str, payload: bytes, retained: bool) -> None:
        routes = self._routes.of(topic)
        if not routes:
            self._stranger(topic, payload)
            return
        now_ns = self._origin.clock.now_ns()
        self._note(Heard(topic, payload[:_HEARD], retained, now_ns))
        wrong: list[str] = []
        decoded: object = None
        document: Any = None
        for route in routes:
            try:
                if route.decode is not decoded:
                    document = route.decode(payload)
                    decoded = route.decode
                bad = (self._take_each if route.lists else self._take)(route, document, retained, now_ns)
            except Rejected as error:
                self._rows.missed(route.device, Gap.MALFORMED, now_ns, f"{topic}: {error}")
                bad = [str(error)]
            if bad:
                wrong += [reason for reason in bad if reason not in wrong]
        if wrong:
            self._refuse(topic, _listed(wrong), payload)
        else:
            self._trouble.discard(topic)

    def _take(self, route: Route, document: Any, retained: bool, now_ns: int) -> list[str]:
        """Append one row of each point of a route; return what is wrong with its points. Raises Rejected."""
        own_ns: int | None = None
        if route.time_path is not None:
            with contextlib.suppress(LookupError):
                own_ns = route.time_of(find(document, route.time_path))
        time_ns, quality = self._stamp(own_ns, retained, now_ns)
        wrong: list[str] = []
        for name, series, path, number in route.points:
            try:
                value = number(find(document, path))
            except LookupError:
                wrong.append(f"{name} missing in the payload")
            except Rejected as error:
                wrong.append(f"{name} {error}")
            else:
                if not retained or own_ns is None or self._is_news(series, own_ns):
                    self._rows.add(time_ns, series, value, quality)
        self._judge(route, len(wrong) < len(route.points), wrong, now_ns)
        return wrong

    def _take_each(self, route: Route, document: Any, retained: bool, now_ns: int) -> list[str]:
        """Append the rows of a route whose messages bring several of each point; return what is wrong."""
        readings, wrong = route.several(document)
        for own_ns, series, value in readings:
            if not retained or own_ns is None or self._is_news(series, own_ns):
                time_ns, quality = self._stamp(own_ns, retained, now_ns)
                self._rows.add(time_ns, series, value, quality)
        self._judge(route, bool(readings) or not wrong, wrong, now_ns)
        return wrong

    def _judge(self, route: Route, answered: bool, wrong: list[str], now_ns: int) -> None:
        if answered:
            self._rows.answered(route.device, now_ns)
        else:
            self._rows.missed(route.device, Gap.MALFORMED, now_ns, wrong[0])

    def _stamp(self, own_ns: int | None, retained: bool, now_ns: int) -> tuple[int, int]:
        """Return the payload's own time, or the gateway's where the payload has none, and the quality that follows."""
        if own_ns is not None:
            if not retained:
                self._counters.came((now_ns - own_ns) / SECOND_NS)
            return own_ns, GOOD
        quality = GOOD if self._origin.clock.trusted else UNCERTAIN | CLOCK
        return now_ns, quality | UNCERTAIN | STALE if retained else quality  # retained: of unknown age

    def _is_news(self, series: int, time_ns: int) -> bool:
        """Return whether nothing as new is known of a series; a retained message may have been taken long ago."""
        known = self._newest_ns
        return known is None or series >= len(known) or time_ns > known[series]

    def _note(self, heard: Heard) -> None:
        """Keep the last message of each topic, of no more topics than can be told."""
        if heard.topic in self._heard or len(self._heard) < _TOLD:
            self._heard[heard.topic] = heard

    def _refuse(self, topic: str, reason: str, payload: bytes) -> None:
        self._rows.reject(Reject(topic, reason, payload[:_KEPT]))
        if topic not in self._trouble and len(self._trouble) < _TOLD:
            self._trouble.add(topic)
            logger.warning("%s: %s; see the dead letters", topic, reason)

    def _stranger(self, topic: str, payload: bytes) -> None:
        # The broker keeps the subscriptions of an earlier configuration in the session.
        if topic in self._strangers or len(self._strangers) >= _TOLD:
            self._counters.rejected += 1
            return
        self._strangers.add(topic)
        reason = "no configured device takes this topic; use another client_id to leave old subscriptions behind"
        self._rows.reject(Reject(topic, reason, payload[:_KEPT]))
        logger.warning("%s: %s", topic, reason)

    # ── waiting and watching ──────────────────────────────────────────────────────────────────────

    async def _news(self) -> None:
        clock = self._origin.clock
        periods = [p for p in self._period_ns if p]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(clock.wall_seconds(min(periods) / SECOND_NS) if periods else None):
                await self._wake.wait()
        self._wake.clear()

    def _watch_silence(self) -> None:
        now_ns = self._origin.clock.now_ns()
        for device, period_ns in enumerate(self._period_ns):
            patience_ns = period_ns if self._rows.in_gap(device) else 3 * period_ns
            if period_ns and self._rows.silent_ns(device, now_ns) > patience_ns:
                reason = f"nothing published for {self._rows.silent_ns(device, now_ns) / SECOND_NS:.0f} s"
                if not self.heard(self._devices[device].key):
                    reason += ", nor ever: is the topic right, and may we read it? A broker may deny it without a word"
                if self._rows.missed(device, Gap.STALE, now_ns, reason):
                    logger.warning("%s: %s", self._devices[device].key, reason)

    def _record_overflow(self) -> None:
        for device in self._overflow:
            reason = "messages of QoS 0 came faster than they are committed, and were lost; publish with QoS 1"
            if self._rows.missed(device, Gap.OVERFLOW, self._origin.clock.now_ns(), reason):
                logger.warning("%s: %s", self._devices[device].key, reason)
        self._overflow.clear()


def _listed(wrong: Sequence[str]) -> str:
    more = f"; and {len(wrong) - _REASONS} more" if len(wrong) > _REASONS else ""
    return "; ".join(wrong[:_REASONS]) + more
