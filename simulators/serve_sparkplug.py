"""Readings of devices enter, Sparkplug B births, data and deaths of edge nodes leave; commands are heard, never more.

Written from Eclipse Sparkplug 3.0.0 on its own, without what the collectors read it with.
"""

from __future__ import annotations

import asyncio
import math
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from config.points import Point
from config.protocols.sparkplug import SparkplugConnection, sparkplug_address
from simulators.faults import Shown
from simulators.registers import number

_UINT64, _DOUBLE, _BOOLEAN, _STRING, _INT32 = 8, 10, 11, 12, 3
_GOOD, _BAD = 192, 0
_REBIRTH: Final = "Node Control/Rebirth"


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _number(at: int, value: int) -> bytes:
    return _varint(at << 3) + _varint(value)


def _bytes(at: int, data: bytes) -> bytes:
    return _varint(at << 3 | 2) + _varint(len(data)) + data


def _double(at: int, value: float) -> bytes:
    return _varint(at << 3 | 1) + struct.pack("<d", value)


def _properties(unit: str, quality: int) -> bytes:
    """Return the property set of a metric: Quality, and engUnit where it has a unit."""
    said = [("Quality", _number(1, _INT32) + _number(3, quality))]
    if unit:
        said.append(("engUnit", _number(1, _STRING) + _bytes(8, unit.encode())))
    return b"".join(_bytes(1, key.encode()) for key, _ in said) + b"".join(_bytes(2, value) for _, value in said)


def message(time_ms: int, seq: int | None, metrics: list[bytes]) -> bytes:
    """Return a payload."""
    end = b"" if seq is None else _number(3, seq)
    return _number(1, time_ms) + b"".join(_bytes(2, metric) for metric in metrics) + end


@dataclass(slots=True)
class SparkplugDevice:
    """One device of an edge node, or the node itself (`name` empty); metrics are told when they change."""

    node: EdgeNode
    name: str
    points: dict[str, tuple[str, int, str, Callable[[float], float]]]  # point → metric, alias, unit, conversion
    shown: Shown | None = None
    alive: bool = False
    fresh: bool = False  # `shown` is not published yet
    told: dict[str, tuple[float, int]] = field(default_factory=dict)  # point → value and quality

    async def show(self, shown: Shown) -> None:
        """Take the values of one step; they are published when all devices have theirs."""
        self.shown, self.fresh = shown, True

    def metrics(self, *, birth: bool) -> Iterator[bytes]:
        """Yield the metrics of a birth, or those that changed since they were told."""
        assert self.shown is not None
        for point, (name, alias, unit, convert) in self.points.items():
            if point not in self.shown.readings:
                continue
            value = convert(self.shown.readings[point])
            quality = _BAD if point in self.shown.status else _GOOD
            before = self.told.get(point)
            if not birth and (before == (value, quality) or (before and math.isnan(before[0]) and math.isnan(value))):
                continue
            self.told[point] = value, quality
            head = _bytes(1, name.encode()) + _number(2, alias) if birth else _number(2, alias)
            said = birth or before is None or before[1] != quality
            yield (
                head
                + _number(3, self.shown.time_ns // 1_000_000)
                + _number(4, _DOUBLE)
                + (_bytes(9, _properties(unit, quality)) if said else b"")
                + (_number(7, 1) if math.isnan(value) else _double(13, value))
            )


class EdgeNode:
    """One edge node: a client with its will; everything is published from `settle`, after each step of the plant."""

    def __init__(self, connection: SparkplugConnection, port: int, name: str, password: str | None = None) -> None:
        self._at = connection.host, port
        self.group, self.name = name.split("/")
        self.devices: dict[str, SparkplugDevice] = {"": SparkplugDevice(self, "", {})}
        self.rebirths = 0  # asked for
        self.bd_seq = -1
        self._seq = 0
        self._aliases = 0
        self._to_be_born = threading.Event()  # set by the client's thread
        protocol = MQTTv5 if connection.version == "5" else MQTTv311
        kept: dict[str, Any] = {} if connection.version == "5" else {"clean_session": True}
        client = f"simulated-{self.group}-{self.name}"
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=client, protocol=protocol, **kept)
        self._client.reconnect_delay_set(1, 5)
        self._client.on_pre_connect = self._before_connect
        self._client.on_connect = self._connected
        self._client.on_message = self._commanded
        if connection.username:
            self._client.username_pw_set(connection.username, password)
        if tls := connection.tls:
            ca, certificate, key = (str(f) if f else None for f in (tls.ca, tls.certificate, tls.key))
            self._client.tls_set(ca, certificate, key)

    async def __aenter__(self) -> Self:
        self._client.connect_async(*self._at, keepalive=30)
        self._client.loop_start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client.is_connected():
            self._client.publish(self._topic("NDEATH"), self._death(), qos=1)
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def add(self, address: str, points: Mapping[str, Point]) -> SparkplugDevice:
        """Return the device at an address; several may share it, each with metrics of its own."""
        name = sparkplug_address(address).device
        device = self.devices.setdefault(name, SparkplugDevice(self, name, {}))
        for point, described in points.items():
            if described.sparkplug is not None:
                self._aliases += 1
                unit = described.unit if described.scale == 1.0 and described.unit != "1" else ""
                device.points[point] = described.sparkplug.metric, self._aliases, unit, number(described)
        return device

    def settle(self) -> None:
        """Publish what the last step brought: births after a connect or when asked for, else what has changed."""
        if not self._client.is_connected() or not any(d.shown for d in self.devices.values()):
            return
        if self._to_be_born.is_set():
            self._to_be_born.clear()
            self._node_birth()
        for device in self.devices.values():
            if device.shown is not None and (device.fresh or not device.alive):
                self._settle(device, device.shown)
                device.fresh = False

    def _settle(self, device: SparkplugDevice, shown: Shown) -> None:
        dropped = shown.link.drop if shown.link else ""
        kind = "D" if device.name else "N"
        if dropped == "close" and device.name and device.alive:
            device.alive = False
            self._publish("DDEATH", device, [], shown.time_ns)
        elif not dropped and not device.alive:
            device.alive = True
            self._publish(f"{kind}BIRTH", device, list(device.metrics(birth=True)), shown.time_ns)
        elif not dropped and (metrics := list(device.metrics(birth=False))):
            self._publish(f"{kind}DATA", device, metrics, shown.time_ns)

    def _node_birth(self) -> None:
        for device in self.devices.values():
            device.alive = False
        node = self.devices[""]
        node.alive, node.fresh = True, False
        self._seq = 0
        time_ns = next(d.shown.time_ns for d in self.devices.values() if d.shown)
        metrics = [self._bd_seq(), _bytes(1, _REBIRTH.encode()) + _number(4, _BOOLEAN) + _number(14, 0)]
        self._publish("NBIRTH", node, metrics + (list(node.metrics(birth=True)) if node.shown else []), time_ns)

    def _publish(self, kind: str, device: SparkplugDevice, metrics: list[bytes], time_ns: int) -> None:
        payload = message(time_ns // 1_000_000, self._seq, metrics)
        self._client.publish(self._topic(kind, device.name), payload, qos=0)
        self._seq = (self._seq + 1) % 256

    def _topic(self, kind: str, device: str = "") -> str:
        return f"spBv1.0/{self.group}/{kind}/{self.name}" + (f"/{device}" if device else "")

    def _bd_seq(self) -> bytes:
        return _bytes(1, b"bdSeq") + _number(4, _UINT64) + _number(11, self.bd_seq)

    def _death(self) -> bytes:
        return _bytes(2, self._bd_seq())

    # ── on the client's thread ────────────────────────────────────────────────────────────────────

    def _before_connect(self, client: Client, _data: Any) -> None:
        self.bd_seq = (self.bd_seq + 1) % 256
        client.will_set(self._topic("NDEATH"), self._death(), qos=1)

    def _connected(self, client: Client, *_: Any) -> None:
        client.subscribe(self._topic("NCMD"), qos=1)
        self._to_be_born.set()

    def _commanded(self, _client: Client, _data: Any, heard: MQTTMessage) -> None:
        if _REBIRTH.encode() in heard.payload:
            self.rebirths += 1
            self._to_be_born.set()
