"""A plain MQTT client in place of an edge node: its births, and all that it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.collectors.sparkplug_parts import Host, payload
from tests.services.mosquitto import Mosquitto
from tests.waiting import until

T0 = 1_700_000_000_000
NODE = "spBv1.0/Hall1/{}/press"


class Plain:
    """A plain MQTT client: publishes what a test makes up, and hears everything on the broker."""

    def __init__(self, broker: Mosquitto) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.is_ready = False
        self._client = Client(CallbackAPIVersion.VERSION2, "plain")
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: setattr(self, "is_ready", True)
        self._client.on_connect = self._on_connect
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()

    def _on_connect(self, client: Client, *_: Any) -> None:
        client.subscribe("#", qos=1)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload), message.retain))

    async def say(self, kind: str, data: bytes, *, device: str = "", qos: int = 0, retain: bool = False) -> None:
        topic = NODE.format(kind) + (f"/{device}" if device else "")
        info = self._client.publish(topic, data, qos, retain)
        await asyncio.to_thread(info.wait_for_publish, 60)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def plain(broker: Mosquitto) -> Iterator[Plain]:
    client = Plain(broker)
    yield client
    client.close()


def power(value: float, **more: Any) -> dict[str, Any]:
    return {"alias": 7, "datatype": 10, "double_value": value, **more}


def birth(value: float = 0.5, at: int = T0, *more: dict[str, Any], bd_seq: int = 1) -> bytes:
    return payload(
        0,
        {"name": "bdSeq", "datatype": 8, "long_value": bd_seq},
        power(value, name="Power"),
        {"name": "Energy/Total", "alias": 8, "datatype": 8, "long_value": 100},
        *more,
        timestamp=at,
    )


async def ready(host: Host, client: Plain) -> None:
    await until(lambda: host.is_open and client.is_ready)
