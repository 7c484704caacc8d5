"""The MQTT collector against the real Mosquitto: nothing lost, nothing doubled, whoever dies when."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from collectors.mqtt import MqttCollector
from config.bindings import BoundDevice
from config.protocols.mqtt import MqttConnection, Tls
from config.strict import Secret
from pipeline.counters import Counters
from pipeline.gaps import Gap
from pipeline.quality import GOOD, STALE, UNCERTAIN
from tests.collectors.driving import NOTHING, Driven, bound, ids_of, origin
from tests.services.mosquitto import Mosquitto
from tests.waiting import until

SEQUENCE = "furnace.sequence.count"
POWER = "furnace.power.power"


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


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [0, 1])
async def test_numbers_by_path_at_the_payloads_time(mosquitto: Mosquitto, version: str, qos: int) -> None:
    plant = Plant(mosquitto, version=version, qos=qos, time_path="t", time_format="ms")
    async with plant.run() as driven:
        with publisher(mosquitto) as client:
            await subscribe(driven, client)
            await asyncio.to_thread(publish_numbers, client, 1, 11)
            await until(lambda: numbers(driven) == list(range(1, 11)))
    assert driven.rows(POWER)[-1] == (1_700_000_000_010 * 1_000_000, 5.0, GOOD, 0)
    assert plant.counters.received == sum(map(len, driven.batches))
    assert plant.counters.latency_s is None  # a payload's time years ago is no way here


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_what_is_not_committed_comes_again(mosquitto: Mosquitto, version: str) -> None:
    plant = Plant(mosquitto, version=version)
    with publisher(mosquitto) as client:
        async with plant.run() as first:
            await subscribe(first, client)
            first.hang = "before"
            await asyncio.to_thread(publish_numbers, client, 1, 101)
            await until(lambda: first.hangs)
        await asyncio.to_thread(publish_numbers, client, 101, 151)  # published while nobody listens
        async with plant.run() as second:
            await until(lambda: len(set(numbers(second))) == 150)
    assert numbers(first, second) == list(range(1, 151))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_what_is_committed_but_not_acknowledged_is_not_taken_twice(mosquitto: Mosquitto, version: str) -> None:
    plant = Plant(mosquitto, version=version)
    with publisher(mosquitto) as client:
        async with plant.run() as first:
            await subscribe(first, client)
            first.hang = "after"
            await asyncio.to_thread(publish_numbers, client, 1, 101)
            await until(lambda: first.hangs)
        assert numbers(first)
        plant.collector = plant.make()  # another process, which knows only what is on disk
        plant.collector.resume([batch.token for batch in first.batches], NOTHING)
        await asyncio.to_thread(publish_numbers, client, 101, 151)
        async with plant.run() as second:
            await until(lambda: len(numbers(first, second)) >= 150)
            await asyncio.to_thread(publish_numbers, client, 151, 152)  # nothing older is under way any more
            await until(lambda: 151 in numbers(second))
    assert numbers(first, second) == list(range(1, 152))


async def test_without_resume_the_same_messages_would_come_twice(mosquitto: Mosquitto) -> None:
    plant = Plant(mosquitto)
    with publisher(mosquitto) as client:
        async with plant.run() as first:
            await subscribe(first, client)
            first.hang = "after"
            await asyncio.to_thread(publish_numbers, client, 1, 11)
            await until(lambda: first.hangs)
        plant.collector = plant.make()
        async with plant.run() as second:
            await until(lambda: set(numbers(second)) == set(range(1, 11)))
    assert len(numbers(first)) > 0


@pytest.mark.parametrize("how", ["restart", "kill"])
async def test_over_a_restart_of_the_broker_nothing_is_lost_or_doubled(mosquitto: Mosquitto, how: str) -> None:
    device = meter()
    plant = Plant(mosquitto, device)
    async with plant.run(commit_s=0.05) as driven:
        with publisher(mosquitto) as client:
            await subscribe(driven, client)
            await asyncio.to_thread(publish_numbers, client, 1, 201)
            if how == "kill":  # a broker killed forgets what it has not stored yet
                await until(lambda: len(numbers(driven)) >= 200)
        await asyncio.to_thread(mosquitto.stop if how == "restart" else mosquitto.kill)
        await until(lambda: Gap.DISCONNECTED in driven.gaps(device))
        await asyncio.to_thread(mosquitto.start)
        with publisher(mosquitto) as client:
            if how == "kill":
                await until(lambda: plant.collector._link is not None and plant.collector._link.is_open)
            await asyncio.to_thread(publish_numbers, client, 201, 301)
            await until(lambda: set(numbers(driven)) >= set(range(1, 301)))
    assert numbers(driven) == list(range(1, 301))
    assert driven.gaps(device)[-1] == Gap.NONE
    assert plant.counters.links["furnace.meter"] == ""


async def test_wildcards_and_topics_of_points(mosquitto: Mosquitto) -> None:
    wide = meter("site/+/meter/#")
    plain = bound(
        "gas",
        {
            "gas": {"quantity": "volume_flow", "unit": "m3/h", "mqtt": {"topic": "gas/flow"}},
            "valve": {"quantity": "state", "unit": "1", "mqtt": {"topic": "gas/valve", "path": "open"}},
            "near": {"quantity": "count", "unit": "1", "mqtt": {"topic": "site/a/meter/x", "path": "n"}},
        },
    )
    plant = Plant(mosquitto, wide, plain)
    assert plant.collector._routes.filters == ["gas/flow", "gas/valve", "site/+/meter/#"]
    async with plant.run() as driven:
        with publisher(mosquitto) as client:
            while not driven.values(SEQUENCE):
                await asyncio.to_thread(publish_numbers, client, 0, 1, "site/a/meter/x")
            await asyncio.to_thread(publish_numbers, client, 1, 2, "site/a/meter/x")
            await asyncio.to_thread(publish_numbers, client, 2, 3, "site/b/meter")
            await asyncio.to_thread(publish_numbers, client, 9, 10, "site/b/other")
            gas = (("gas/flow", b" 012.50 "), ("gas/valve", b'{"open": true}'))
            await asyncio.to_thread(publish, client, *gas)
            await until(lambda: driven.values("furnace.gas.volume_flow") and driven.values("furnace.valve.state"))
    assert numbers(driven) == [1, 2]  # and each once, though two filters take the first topic
    assert [v for v in driven.values("furnace.near.count") if v] == [1.0]
    assert driven.values("furnace.gas.volume_flow") == [12.5]
    assert driven.values("furnace.valve.state") == [1.0]


async def test_what_cannot_be_read_becomes_a_dead_letter(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    device = meter()
    plant = Plant(mosquitto, device, time_path="t")
    bad = {
        b"\x00\x01garbage": "neither JSON nor a number",
        b'{"n": "1", "values": [{"kw": null}]}': "sequence is a text, not a number",
        b'{"n": 1, "t": "yesterday", "values": [{"kw": 1}]}': "not an ISO 8601",
        b'{"n": 3}': "power missing in the payload",
        b"[" * 2000: "neither JSON nor a number",
        b" " * (1 << 20) + b"1": "1048577 bytes",
    }
    async with plant.run() as driven:
        with publisher(mosquitto) as client:
            await until(lambda: plant.collector._link is not None and plant.collector._link.is_open)
            await asyncio.to_thread(publish, client, *(("plant/meter1", data) for data in bad))
            good = b'{"n": 4, "t": "2024-05-01T12:00:00+02:00", "values": [{"kw": 1}]}'
            await asyncio.to_thread(publish, client, ("plant/meter1", good))
            await until(lambda: 4 in numbers(driven))
    assert len(driven.rejects) == len(bad)
    for reject, (raw, reason) in zip(driven.rejects, bad.items(), strict=True):
        assert reject.source == "plant/meter1"
        assert reject.raw == raw[:1024]
        assert reason in reject.reason
    assert numbers(driven) == [3, 4]  # what a payload does hold is taken
    assert driven.rows(SEQUENCE)[-1][0] == 1_714_557_600 * 1_000_000_000
    assert Gap.MALFORMED in driven.gaps(device)
    assert driven.gaps(device)[-1] == Gap.NONE
    assert len([r for r in caplog.records if r.name == "tanflow.mqtt"]) == 1


async def test_a_retained_message_is_old(mosquitto: Mosquitto) -> None:
    plant = Plant(mosquitto)
    with publisher(mosquitto) as client:
        await asyncio.to_thread(publish, client, ("plant/meter1", payload(1)), retain=True)
        async with plant.run() as driven:
            await until(lambda: numbers(driven) == [1])
            await asyncio.to_thread(publish, client, ("plant/meter1", payload(2)), retain=True)
            await until(lambda: numbers(driven) == [1, 2])
    assert [quality for _, _, quality, _ in driven.rows(SEQUENCE)] == [UNCERTAIN | STALE, GOOD]


async def test_a_device_with_a_period_is_missed_when_silent(mosquitto: Mosquitto) -> None:
    quick = meter("plant/quick", every_s=0.2)
    counted = {"quantity": "count", "unit": "1", "mqtt": {"path": "n"}}
    calm = bound("calm", {"sequence": counted}, asset="pump", address="plant/calm")
    plant = Plant(mosquitto, quick, calm)
    async with plant.run() as driven:
        with publisher(mosquitto) as client:
            await until(lambda: len(driven.gaps(quick)) >= 3)
            await asyncio.to_thread(publish_numbers, client, 1, 2, "plant/quick")
            await until(lambda: Gap.NONE in driven.gaps(quick))
    spans = [span for _, _, _, span in driven.rows("furnace.meter-gap.gap")]
    assert driven.gaps(quick)[:3] == [Gap.STALE] * 3
    assert spans[0] >= 600_000_000 > spans[1] >= 200_000_000
    assert driven.gaps(calm) == []


async def test_tls_with_client_certificate_and_password(
    start_mosquitto: Callable[..., Mosquitto], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = start_mosquitto(password="s3cret", tls=True)
    tls = Tls(ca=broker.folder / "ca.pem", certificate=broker.folder / "client.pem", key=broker.folder / "client.key")
    monkeypatch.setenv("MQTT_PASSWORD", "s3cret")
    secret = Secret(env="MQTT_PASSWORD")
    plant = Plant(broker, username="reader", password=secret, tls=tls)
    async with plant.run() as driven:
        with publisher(broker, tls=True, password="s3cret") as client:
            await subscribe(driven, client)
            await asyncio.to_thread(publish_numbers, client, 1, 501)
            await until(lambda: numbers(driven) == list(range(1, 501)))
    monkeypatch.setenv("MQTT_PASSWORD", "guess")
    device = meter()
    plant = Plant(broker, device, username="reader", password=secret, tls=tls)
    async with plant.run() as driven:
        await until(lambda: driven.failures)
    assert "refuses the connection" in str(driven.failures[0])
    assert "guess" not in str(driven.failures[0])
    plant = Plant(broker, device, tls=Tls())
    async with plant.run() as driven:
        await until(lambda: driven.failures and driven.gaps(device) == [Gap.REFUSED])
    assert "certificate" in str(driven.failures[0])


async def test_messages_of_qos_0_beyond_the_bound_are_counted_as_lost(mosquitto: Mosquitto) -> None:
    device = meter()
    plant = Plant(mosquitto, device, receive_maximum=10)
    async with plant.run(commit_s=0.3) as driven:
        with publisher(mosquitto) as client:
            await subscribe(driven, client)
            messages = [("plant/meter1", payload(n)) for n in range(1, 1001)]
            await asyncio.to_thread(lambda: publish(client, *messages, qos=0))
            await until(lambda: Gap.OVERFLOW in driven.gaps(device))
            await until(lambda: len(numbers(driven)) + plant.counters.rejected == 1000)


async def test_messages_of_an_old_subscription_are_told_once(mosquitto: Mosquitto) -> None:
    before = Plant(mosquitto, meter("plant/old"))
    with publisher(mosquitto) as client:
        async with before.run() as driven:
            await until(lambda: before.collector._link is not None and before.collector._link.is_open)
        after = Plant(mosquitto, meter())
        async with after.run() as driven:
            await subscribe(driven, client)
            await asyncio.to_thread(publish_numbers, client, 1, 4, "plant/old")
            await until(lambda: after.counters.rejected == 2 and driven.rejects)  # the first is a dead letter
    assert [reject.source for reject in driven.rejects] == ["plant/old"]


async def test_a_link_cut_during_the_commit_doubles_nothing(mosquitto: Mosquitto) -> None:
    plant = Plant(mosquitto)
    with publisher(mosquitto) as client:
        async with plant.run(commit_s=0.2) as driven:
            await subscribe(driven, client)
            for first in (1, 101, 201):
                await asyncio.to_thread(publish_numbers, client, first, first + 100)
                link = plant.collector._link
                assert link is not None
                assert isinstance(link._socket, socket.socket)
                link._socket.shutdown(
                    socket.SHUT_RDWR
                )  # the batch under way is committed, its acknowledgements are lost
                await until(lambda n=first: len(numbers(driven)) >= n)
                await until(lambda old=link: (new := plant.collector._link) is not old and new and new.is_open)
            await until(lambda: len(numbers(driven)) >= 300)
            await asyncio.to_thread(publish_numbers, client, 301, 302)
            await until(lambda: 301 in numbers(driven))
    assert numbers(driven) == list(range(1, 302))


async def test_dying_at_20_random_moments_loses_and_doubles_nothing(mosquitto: Mosquitto) -> None:
    plant, chance = Plant(mosquitto, receive_maximum=200), random.Random(7)
    runs: list[Driven] = []
    async with plant.run() as driven:
        await until(lambda: plant.collector._link is not None and plant.collector._link.is_open)

    with publisher(mosquitto) as client:
        for life in range(20):
            first = 1 + 200 * life
            plant.collector = plant.make()
            plant.collector.resume([batch.token for driven in runs for batch in driven.batches], NOTHING)
            async with plant.run(commit_s=chance.uniform(0.0, 0.05)) as driven:
                runs.append(driven)
                publishing = asyncio.create_task(asyncio.to_thread(publish_numbers, client, first, first + 190))
                await asyncio.sleep(chance.uniform(0.02, 0.15))
                driven.hang = chance.choice(["", "before", "after"])
                await asyncio.sleep(chance.uniform(0.0, 0.05))
                await publishing
                await asyncio.to_thread(publish_numbers, client, first + 190, first + 200)
                if driven.hang and life % 2:  # however slow the machine, some are met at the very point
                    await until(lambda d=driven: d.hangs)
    plant.collector = plant.make()
    plant.collector.resume([batch.token for driven in runs for batch in driven.batches], NOTHING)
    async with plant.run() as last:
        await until(lambda: len(set(numbers(*runs, last))) == 4000)
        with publisher(mosquitto) as client:
            await asyncio.to_thread(publish_numbers, client, 4001, 4002)
        await until(lambda: 4001 in numbers(last))
    assert sorted(numbers(*runs, last)) == list(range(1, 4002))
    assert sum(run.hangs for run in runs) > 3


async def test_a_broker_without_receive_maximum_is_held_back(mosquitto: Mosquitto) -> None:
    plant = Plant(mosquitto, version="3.1.1", receive_maximum=50)
    async with plant.run(commit_s=0.01) as driven:
        with publisher(mosquitto) as client:
            await subscribe(driven, client)
            await asyncio.to_thread(publish_numbers, client, 1, 2001)
            await until(lambda: len(numbers(driven)) >= 2000)
    assert numbers(driven) == list(range(1, 2001))
    assert max(map(len, driven.batches)) <= 2 * 50


def test_under_uvloop_with_tls(start_mosquitto: Callable[..., Mosquitto]) -> None:
    broker = start_mosquitto(tls=True)
    tls = Tls(ca=broker.folder / "ca.pem", certificate=broker.folder / "client.pem", key=broker.folder / "client.key")

    async def read() -> list[int]:
        plant = Plant(broker, tls=tls)
        async with plant.run(commit_s=0.02) as driven:
            with publisher(broker, tls=True) as client:
                await subscribe(driven, client)
                await asyncio.to_thread(publish_numbers, client, 1, 3001)
                await until(lambda: len(numbers(driven)) >= 3000)
        return numbers(driven)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(read()) == list(range(1, 3001))


async def test_throughput_of_qos_1_with_commits_of_250_ms(mosquitto: Mosquitto) -> None:
    plant, count = Plant(mosquitto), 10_000
    async with plant.run(commit_s=0.25) as driven:
        with publisher(mosquitto) as client:
            await subscribe(driven, client)
        driven.hang = "before"  # the broker's queue is filled first, so that the publisher is not measured
    with publisher(mosquitto) as client:
        await asyncio.to_thread(publish_numbers, client, 1, count + 1)
    started, cpu = time.perf_counter(), time.process_time()
    async with plant.run(commit_s=0.25) as driven:
        # Rows of messages by which the subscription was found to stand may be among them.
        await until(lambda: sum(map(len, driven.batches)) >= 2 * count and len(numbers(driven)) >= count)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"QoS 1: {count / took:.0f} messages/s at 250 ms commits, {cpu / count * 1e6:.0f} µs CPU a message")
    assert set(numbers(driven)) == set(range(1, count + 1))
