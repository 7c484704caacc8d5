"""The MQTT collector on brokers written by others, with sign-in, TLS, denied topics and restarts: sent is accepted."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from collectors.mqtt import MqttCollector
from config.bindings import BoundDevice
from config.protocols.mqtt import MqttConnection, Tls
from config.strict import Secret
from pipeline.counters import Counters
from pipeline.gaps import Gap
from tests.collectors.driving import NOTHING, Driven, bound, ids_of, origin
from tests.interop import saw
from tests.services.mosquitto import Mosquitto
from tests.services.nats import Nats
from tests.waiting import until

AREA = "MQTT"


def meter(address: str, name: str = "meter", **device: Any) -> BoundDevice:
    counted = {"quantity": "count", "unit": "1", "mqtt": {"path": "n"}}
    return bound(name, {"sequence": counted}, asset=f"of-{name}", address=address, **device)


class Plant:
    """A collector of some devices, and what it has committed in all its lives."""

    def __init__(self, connection: MqttConnection, *devices: BoundDevice) -> None:
        self.connection = connection
        self.devices = devices
        self.ids = ids_of(devices)
        self.counters = Counters()
        self.runs: list[Driven] = []
        self.again()

    def again(self) -> None:
        """Begin a new life that knows only what is committed."""
        self.collector = MqttCollector(origin(), self.connection, self.devices, self.ids, self.counters)
        self.collector.resume([b.token for run in self.runs for b in run.batches], NOTHING)

    def run(self) -> Driven:
        self.runs.append(Driven(self.collector, self.ids, commit_s=0.02))
        return self.runs[-1]

    @property
    def is_open(self) -> bool:
        link = self.collector._link
        return link is not None and link.is_open

    def numbers(self, name: str = "meter") -> list[int]:
        return [int(v) for run in self.runs for v in run.values(f"of-{name}.sequence.count")]


@contextmanager
def devices(host: str, port: int, tls: Tls | None = None) -> Iterator[Callable[..., None]]:
    """Yield what publishes numbers `first … last` to a topic with QoS 1 and waits until the broker has them."""
    client = Client(CallbackAPIVersion.VERSION2, "devices", protocol=MQTTv311)
    client.username_pw_set("devices", "secret")
    if tls is not None:
        client.tls_set(str(tls.ca), str(tls.certificate), str(tls.key))
    client.connect(host, port)
    client.loop_start()

    def publish(topic: str, first: int, last: int) -> None:
        for info in [
            client.publish(topic, b'{"n": %d, "t": %d}' % (n, 1_700_000_000 + n), 1) for n in range(first, last + 1)
        ]:
            info.wait_for_publish(60)

    yield publish
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def connection(nats: Nats, monkeypatch: pytest.MonkeyPatch) -> MqttConnection:
    monkeypatch.setenv("NATS_PASSWORD", "secret")
    who: dict[str, Any] = {
        "username": "reader",
        "password": Secret(env="NATS_PASSWORD"),
        "time_path": "t",
        "time_format": "s",
    }
    return MqttConnection(protocol="mqtt", host=nats.host, port=nats.port, version="3.1.1", **who)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_nats_over_a_restart(nats: Nats, connection: MqttConnection, how: str) -> None:
    plant = Plant(connection, meter("plant/meter"))
    async with plant.run() as driven:
        await until(lambda: plant.is_open)
        with devices(nats.host, nats.port) as publish:
            await asyncio.to_thread(publish, "plant/meter", 1, 500)
            await until(lambda: len(plant.numbers()) >= 500)
        await asyncio.to_thread(nats.stop if how == "stop" else nats.kill)
        await until(lambda: Gap.DISCONNECTED in driven.gaps(plant.devices[0]))
        await asyncio.to_thread(nats.start)
        await until(lambda: plant.is_open)
        with devices(nats.host, nats.port) as publish:
            await asyncio.to_thread(publish, "plant/meter", 501, 1_000)
            await until(lambda: len(set(plant.numbers())) >= 1_000)
            await asyncio.to_thread(publish, "plant/meter", 1_001, 1_001)
            await until(lambda: 1_001 in plant.numbers())
    assert sorted(plant.numbers()) == list(range(1, 1_002))
    result = f"{len(plant.numbers())} sent = accepted, none doubled"
    saw(AREA, f"NATS {nats.version} (MQTT 3.1.1 gateway)", f"QoS 1 over a broker's {how} and start", result)


async def test_nats_sends_again_what_was_not_committed(nats: Nats, connection: MqttConnection) -> None:
    plant = Plant(connection, meter("plant/meter"))
    with devices(nats.host, nats.port) as publish:
        async with plant.run() as first:
            await until(lambda: plant.is_open)
            first.hang = "before"
            await asyncio.to_thread(publish, "plant/meter", 1, 200)
            await until(lambda: first.hangs)
        await asyncio.to_thread(publish, "plant/meter", 201, 300)  # while nobody listens
        plant.again()
        async with plant.run():
            await until(lambda: len(set(plant.numbers())) >= 300)
            await asyncio.to_thread(publish, "plant/meter", 301, 301)
            await until(lambda: 301 in plant.numbers())
    assert sorted(plant.numbers()) == list(range(1, 302))
    what = "the gateway dies before the commit, messages wait in the session"
    saw(
        AREA, f"NATS {nats.version} (MQTT 3.1.1 gateway)", what, f"{len(plant.numbers())} sent = accepted, none doubled"
    )


async def test_nats_knows_by_our_token_what_was_committed_but_not_acknowledged(
    nats: Nats, connection: MqttConnection
) -> None:
    plant = Plant(connection, meter("plant/meter"))
    with devices(nats.host, nats.port) as publish:
        async with plant.run() as first:
            await until(lambda: plant.is_open)
            first.hang = "after"
            await asyncio.to_thread(publish, "plant/meter", 1, 200)
            await until(lambda: first.hangs)
        assert plant.numbers()
        plant.again()
        async with plant.run():
            await until(lambda: len(set(plant.numbers())) >= 200)
            await asyncio.to_thread(publish, "plant/meter", 201, 201)
            await until(lambda: 201 in plant.numbers())
    assert sorted(plant.numbers()) == list(range(1, 202))
    what = "the gateway dies between commit and acknowledgement"
    saw(
        AREA, f"NATS {nats.version} (MQTT 3.1.1 gateway)", what, f"{len(plant.numbers())} sent = accepted, none doubled"
    )


async def test_nats_refuses_a_topic_in_words(nats: Nats, connection: MqttConnection) -> None:
    plant = Plant(connection, meter("plant/meter"), meter("office/meter", "denied"))
    async with plant.run() as driven:
        with devices(nats.host, nats.port) as publish:
            await until(lambda: plant.is_open)
            await asyncio.to_thread(publish, "plant/meter", 1, 50)
            await asyncio.to_thread(publish, "office/meter", 1, 50)
            await until(lambda: plant.numbers() == list(range(1, 51)))
        assert driven.gaps(plant.devices[1]) == [Gap.EXCEPTION]
    assert "'office/meter' refused" in plant.counters.links["of-denied.denied"]
    assert "grant the user this topic" in plant.counters.links["of-denied.denied"]
    what = "a topic the user may not read"
    saw(AREA, f"NATS {nats.version} (MQTT 3.1.1 gateway)", what, "told in words; the other topic's 50 accepted")


# ── Mosquitto ─────────────────────────────────────────────────────────────────────────────────────


def version() -> str:
    """Return the version of Mosquitto."""
    told = subprocess.run(["mosquitto", "-h"], capture_output=True, text=True, check=False)
    return f"Mosquitto {(told.stdout + told.stderr).split()[2]}"


def secured(broker: Mosquitto) -> Tls:
    return Tls(ca=broker.folder / "ca.pem", certificate=broker.folder / "client.pem", key=broker.folder / "client.key")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_mosquitto_with_tls_client_certificates_and_acl_over_a_restart(
    start_mosquitto: Callable[..., Mosquitto], protocol: Any
) -> None:
    broker = start_mosquitto(tls=True, acl="user client\ntopic readwrite plant/#\ntopic write office/#\n")
    connection = MqttConnection(
        protocol="mqtt", host=broker.host, port=broker.port, version=protocol, tls=secured(broker)
    )
    denied = meter("office/meter", "denied", every_s=0.2)
    plant = Plant(connection, meter("plant/meter"), denied)
    async with plant.run() as driven:
        await until(lambda: plant.is_open)
        with devices(broker.host, broker.port, secured(broker)) as publish:
            await asyncio.to_thread(publish, "plant/meter", 1, 500)
            await asyncio.to_thread(publish, "office/meter", 1, 5)
        await asyncio.to_thread(broker.stop)
        await until(lambda: Gap.DISCONNECTED in driven.gaps(plant.devices[0]))
        await asyncio.to_thread(broker.start)
        with devices(broker.host, broker.port, secured(broker)) as publish:
            await asyncio.to_thread(publish, "plant/meter", 501, 1_000)
            await until(lambda: len(set(plant.numbers())) >= 1_000)
        await until(lambda: "deny it without a word" in plant.counters.links["of-denied.denied"])
    assert sorted(plant.numbers()) == list(range(1, 1_001))
    assert plant.numbers("denied") == []
    saw(
        AREA,
        version(),
        f"MQTT {protocol}: TLS, require_certificate, ACL, restart of the broker",
        f"{len(plant.numbers())} sent = accepted, none doubled; a denied topic told in words",
    )


async def test_mosquitto_wants_a_certificate(start_mosquitto: Callable[..., Mosquitto]) -> None:
    broker = start_mosquitto(tls=True)
    tls = Tls(ca=broker.folder / "ca.pem")
    connection = MqttConnection(protocol="mqtt", host=broker.host, port=broker.port, tls=tls)
    plant = Plant(connection, meter("plant/meter"))
    async with plant.run() as driven:
        await until(lambda: len(driven.failures) > 1)
        assert driven.gaps(plant.devices[0])[0] == Gap.REFUSED
    assert "if the broker wants a client certificate, name one" in str(driven.failures[0])
    saw(
        AREA,
        version(),
        "require_certificate, and we have none",
        "refused; told that a client certificate may be wanted",
    )


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_mosquitto_deals_messages_out_to_a_shared_group(mosquitto: Mosquitto, protocol: Any) -> None:
    plants = [
        Plant(
            MqttConnection(
                protocol="mqtt",
                host=mosquitto.host,
                port=mosquitto.port,
                version=protocol,
                client_id=f"reader-{number}",
                share="readers",
            ),
            meter("plant/+"),
        )
        for number in (1, 2)
    ]
    async with plants[0].run(), plants[1].run():
        await until(lambda: all(plant.is_open for plant in plants))
        with devices(mosquitto.host, mosquitto.port) as publish:
            await asyncio.to_thread(publish, "plant/meter", 1, 1_000)
        await until(lambda: sum(len(plant.numbers()) for plant in plants) >= 1_000)
        parts = [len(plant.numbers()) for plant in plants]
    assert sorted(n for plant in plants for n in plant.numbers()) == list(range(1, 1_001))
    assert all(parts)
    result = f"{sum(parts)} sent = accepted, none doubled, both took part"
    saw(AREA, version(), f"MQTT {protocol}: shared subscription of two gateways", result)
