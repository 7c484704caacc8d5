"""A broker that sends again on the same connection, and owes its answer to SUBSCRIBE until all is acknowledged."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from collectors.mqtt import MqttCollector
from config.protocols.mqtt import MqttConnection
from pipeline.counters import Counters
from pipeline.gaps import Gap
from tests.collectors.driving import Driven, bound, ids_of, origin
from tests.waiting import until

DEVICE = bound("meter", {"sequence": {"quantity": "count", "unit": "1", "mqtt": {"path": "n"}}}, address="a")
CONNACK_SESSION_PRESENT = b"\x20\x02\x01\x00"
PUBACK, SUBSCRIBE = 0x40, 0x82


def publish(packet: int, n: int, *, dup: bool = False) -> bytes:
    """Return a PUBLISH of QoS 1 on topic `a` (MQTT 3.1.1, 3.3)."""
    body = b"\x00\x01a" + struct.pack(">H", packet) + b'{"n": %d}' % n
    return bytes((0x3A if dup else 0x32, len(body))) + body


class Broker:
    """Speaks as much of MQTT 3.1.1 as this takes; `acknowledged` are the packet ids of the PUBACKs, in order.

    Answers to SUBSCRIBE when `awaited` messages are acknowledged; then each waits `pause_s` for the one before.
    """

    def __init__(self, stored: list[bytes], awaited: int, pause_s: float = 0.0) -> None:
        self.stored = stored
        self.awaited = awaited
        self.pause_s = pause_s
        self.acknowledged: list[int] = []
        self.subscribed = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subscribe = b""
        while not reader.at_eof():
            try:
                kind, length = await reader.readexactly(2)
                body = await reader.readexactly(length)
            except asyncio.IncompleteReadError:
                break
            if kind == 0x10:
                writer.write(CONNACK_SESSION_PRESENT + b"".join(self.stored[:1] if self.pause_s else self.stored))
            elif kind == SUBSCRIBE:
                subscribe = body[:2]
            elif kind == PUBACK:
                self.acknowledged.append(int.from_bytes(body, "big"))
                if self.pause_s:
                    await asyncio.sleep(self.pause_s)  # slowness is what is tested
                    writer.write(b"".join(self.stored[len(self.acknowledged) :][:1]))
            if subscribe and len(self.acknowledged) >= self.awaited:
                writer.write(b"\x90\x03" + subscribe + b"\x01")
                subscribe, self.subscribed = b"", True
        writer.close()


@asynccontextmanager
async def against(broker: Broker, **settings: Any) -> AsyncIterator[tuple[Driven, Counters]]:
    """Run a collector against the broker."""
    async with await asyncio.start_server(broker.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = MqttConnection(protocol="mqtt", host="127.0.0.1", port=port, version="3.1.1", **settings)
        counters, ids = Counters(), ids_of([DEVICE])
        collector = MqttCollector(origin(), connection, [DEVICE], ids, counters)
        async with Driven(collector, ids) as driven:
            yield driven, counters


def numbers(driven: Driven) -> list[float]:
    return driven.values("furnace.sequence.count")


async def test_what_comes_twice_before_it_is_committed_is_taken_and_acknowledged_once() -> None:
    broker = Broker([publish(1, 1), publish(1, 1, dup=True), publish(2, 2), publish(2, 2)], awaited=2)
    async with against(broker) as (driven, _):
        await until(lambda: broker.subscribed)
    assert numbers(driven) == [1.0, 2.0]
    assert broker.acknowledged == [1, 2]


async def test_what_the_broker_kept_is_committed_before_it_answers_to_subscribe() -> None:
    """More than may be unacknowledged: reading pauses, and only acknowledgements bring the answer."""
    broker = Broker([publish(n, n) for n in range(1, 8)], awaited=7)
    async with against(broker, receive_maximum=2) as (driven, counters):
        await until(lambda: broker.subscribed)
    assert numbers(driven) == [float(n) for n in range(1, 8)]
    assert Gap.REFUSED not in driven.gaps(DEVICE)
    assert counters.links == {"furnace.meter": ""}


async def test_a_broker_that_is_busy_sending_what_it_kept_may_answer_to_subscribe_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its answer stands behind thousands; who hangs up on it has all of them sent again."""
    monkeypatch.setattr("collectors.mqtt_link._OPEN_S", 3.0)
    broker = Broker([publish(n, n) for n in range(1, 21)], awaited=20, pause_s=0.25)
    async with against(broker) as (driven, _):
        await until(lambda: broker.subscribed)
    assert numbers(driven) == [float(n) for n in range(1, 21)]
    assert not driven.failures
