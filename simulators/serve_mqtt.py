"""Readings of devices enter, messages of QoS 1 to a broker leave, one per device, topic and period, in their form."""

from __future__ import annotations

import asyncio
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

import orjson
from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from config.bindings import BoundDevice
from config.protocols.mqtt import EACH, Form, MqttConnection, filter_of, form_of, key_of
from simulators.faults import Shown
from simulators.registers import number

_DIVISOR: Final = {"s": 1e9, "ms": 10**6, "us": 10**3, "ns": 1}


def stamp(time_ns: int, form: str) -> str | int | float:
    """Return a time as payloads carry it: ISO 8601 in UTC with milliseconds, or a number since 1970."""
    if form == "iso":
        moment = datetime.fromtimestamp(time_ns // 1_000_000 / 1_000, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    divisor = _DIVISOR[form]
    return time_ns / divisor if form == "s" else time_ns // int(divisor)


def topic_of(address: str, device: str) -> str:
    """Return the topic to publish on for a topic filter: each wildcard is replaced by the device's name."""
    return "/".join(device if level in ("+", "#") else level for level in address.split("/"))


def put(node: Any, keys: list[str], value: Any) -> Any:
    """Return `node` (None: a new one) with `value` at the path of `keys`; a number is an index of a list."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if key.isdigit():
        items = [] if node is None else node
        items.extend([None] * (int(key) + 1 - len(items)))
        items[int(key)] = put(items[int(key)], rest, value)
        return items
    fields = {} if node is None else node
    fields[key] = put(fields.get(key), rest, value)
    return fields


def encode(values: Sequence[tuple[Form, float]], time_ns: int, sequence: int) -> bytes:
    """Return a payload of values in the form of the first; where a list is expected it has one element."""
    form = values[0][0] if values else None
    if form is not None and form.payload == "csv":
        return _csv(form, values, time_ns)
    if form is not None and not form.path:  # the payload is the bare number
        return orjson.dumps(values[0][1])
    payload: Any = None
    at = form.time_path if form is not None else None
    if at is not None or not (form and form.each):
        payload = put(payload, _keys(at or "ts"), stamp(time_ns, form.time_format if form else "iso"))
    for each, value in values:
        payload = put(payload, _keys(each.path), value)
    if isinstance(payload, dict):
        payload["seq"] = sequence
    return orjson.dumps(payload)


def _keys(path: str) -> list[str]:
    return path.replace(EACH, ".0").removeprefix(".").split(".")


def _cell(form: Form, value: float) -> str:
    text = "" if value != value else str(value)
    return text.replace(".", ",") if form.text == "decimal_comma" else text


def _csv(form: Form, values: Sequence[tuple[Form, float]], time_ns: int) -> bytes:
    """Return one line of CSV, by a header where columns have names."""
    cells = {each.path: _cell(each, value) for each, value in values}
    if form.time_path is not None:
        cells[form.time_path] = str(stamp(time_ns, form.time_format))
    if all(column.isdigit() for column in cells):
        line = [cells.get(str(number), "") for number in range(max(map(int, cells)) + 1)]
        return form.separator.join(line).encode()
    return "\n".join((form.separator.join(cells), form.separator.join(cells.values()))).encode()


@dataclass(slots=True)
class Messages:
    """What one device publishes; `published` and `acked` are its sequence numbers, in order."""

    publisher: Publisher
    topics: dict[str, list[tuple[str, Form, Callable[[float], float]]]]  # topic → (point, its form, conversion)
    published: array[int] = field(default_factory=lambda: array("q"))
    acked: array[int] = field(default_factory=lambda: array("q"))

    async def show(self, shown: Shown) -> None:
        """Publish the values of one step; a reading that is not a number becomes null."""
        if shown.link is not None and shown.link.drop:
            return
        sequence = int(shown.readings.get("sequence", -1))
        mids = set()
        for topic, points in self.topics.items():
            values = [(form, convert(shown.readings[n])) for n, form, convert in points if n in shown.readings]
            mids.add(self.publisher.publish(topic, encode(values, shown.time_ns, sequence)))
        self.published.append(sequence)
        self.publisher.pending.append((self, sequence, mids))


class Publisher:
    """The one MQTT client of a connection's devices: QoS 1, queues while the broker is away, reconnects by itself."""

    def __init__(self, connection: MqttConnection, port: int, password: str | None = None) -> None:
        self.connection = connection
        self.port = port
        self.pending: deque[tuple[Messages, int, set[int]]] = deque()
        self._arrived: deque[int] = deque()  # filled by the client's thread
        self._acked: set[int] = set()
        protocol = MQTTv5 if connection.version == "5" else MQTTv311
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="simulated-plant", protocol=protocol)
        self._client.reconnect_delay_set(1, 5)
        self._client.on_publish = lambda _client, _data, mid, _reason, _properties: self._arrived.append(mid)
        self._client.max_inflight_messages_set(1_000)
        if connection.username:
            self._client.username_pw_set(connection.username, password)
        if tls := connection.tls:
            ca, certificate, key = (str(f) if f else None for f in (tls.ca, tls.certificate, tls.key))
            self._client.tls_set(ca, certificate, key)

    async def __aenter__(self) -> Self:
        # A publisher that is there before its broker connects once it comes.
        self._client.connect_async(self.connection.host, self.port, keepalive=30)
        self._client.loop_start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def add(self, device: BoundDevice) -> Messages:
        """Return the messages of a device on the topics its points are read from."""
        topics = defaultdict(list)
        for name, point in device.points.items():
            if point.mqtt is not None:
                topic = topic_of(filter_of(device, name)[1], device.asset_name)
                form = form_of(point.mqtt, self.connection, key_of(device, name))
                topics[topic].append((name, form, number(point)))
        return Messages(self, dict(topics))

    def publish(self, topic: str, payload: bytes) -> int:
        """Hand one message to the client and return its id; without a connection it waits there."""
        return self._client.publish(topic, payload, qos=1).mid

    def settle(self) -> None:
        """Note which sequence numbers the broker has acknowledged by now."""
        while self._arrived:
            self._acked.add(self._arrived.popleft())
        while self.pending and self.pending[0][2] <= self._acked:
            messages, sequence, mids = self.pending.popleft()
            self._acked -= mids
            messages.acked.append(sequence)
