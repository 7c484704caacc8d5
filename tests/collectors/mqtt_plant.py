"""A collector on a real broker, with numbered messages published to it: what arrives tells which are missing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from collectors.mqtt import MqttCollector
from config.bindings import BoundDevice
from config.protocols.mqtt import MqttConnection
from pipeline.counters import Counters
from tests.collectors.driving import Driven, bound, ids_of, origin
from tests.services.mosquitto import Mosquitto

SEQUENCE = "furnace.sequence.count"


def meter(address: str = "plant/meter1", **device: Any) -> BoundDevice:
    points = {
        "sequence": {"quantity": "count", "unit": "1", "mqtt": {"path": "n"}},
        "power": {"quantity": "power", "unit": "kW", "mqtt": {"path": "values.0.kw"}},
    }
    return bound("meter", points, address=address, **device)


def payload(n: int) -> bytes:
    return json.dumps({"n": n, "t": 1_700_000_000_000 + n, "values": [{"kw": n / 2}]}).encode()


class Plant:
    """A collector on a broker, with what it counts."""

    def __init__(self, broker: Mosquitto, *devices: BoundDevice, **settings: Any) -> None:
        self.counters = Counters()
        self.devices = devices or (meter(),)
        self.ids = ids_of(self.devices)
        self.connection = MqttConnection(protocol="mqtt", host=broker.host, port=broker.port, **settings)
        self.collector = self.make()

    def make(self) -> MqttCollector:
        return MqttCollector(origin(), self.connection, self.devices, self.ids, self.counters)

    def run(self, commit_s: float = 0.0) -> Driven:
        return Driven(self.collector, self.ids, commit_s=commit_s)


@contextmanager
def publisher(broker: Mosquitto, *, tls: bool = False, password: str | None = None) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2, "publisher", protocol=MQTTv5)
    client.max_inflight_messages_set(1000)
    if password:
        client.username_pw_set("reader", password)
    if tls:
        ca, certificate, key = (str(broker.folder / name) for name in ("ca.pem", "client.pem", "client.key"))
        client.tls_set(ca, certificate, key)
    client.connect(broker.host, broker.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def publish(client: Client, *messages: tuple[str, bytes], qos: int = 1, retain: bool = False) -> None:
    """Publish and wait until the broker has taken all of it."""
    for info in [client.publish(topic, data, qos, retain) for topic, data in messages]:
        info.wait_for_publish(60)


def publish_numbers(client: Client, first: int, last: int, topic: str = "plant/meter1") -> None:
    publish(client, *((topic, payload(n)) for n in range(first, last)))


async def subscribe(driven: Driven, client: Client) -> None:
    """Return when messages arrive, i.e. the subscription stands."""
    while not driven.values(SEQUENCE):
        await asyncio.to_thread(publish_numbers, client, 0, 1)
        await asyncio.sleep(0.05)


def numbers(*runs: Driven) -> list[int]:
    return [int(v) for run in runs for v in run.values(SEQUENCE) if v]
