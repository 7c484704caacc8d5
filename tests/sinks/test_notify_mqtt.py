"""A topic of the real Mosquitto: each transition as JSON, not retained, on a session of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from config.errors import Rejected, Unavailable
from config.notify import MqttChannel as Config
from config.protocols.mqtt import MqttConnection
from sinks.notify.mqtt_channel import MqttChannel
from tests.pipeline.journal import open_log
from tests.services.mosquitto import Mosquitto
from tests.services.ports import free_port
from tests.sinks.notify_parts import NOW, episode, message, put, sender, words
from tests.waiting import until, until_sync

pytestmark = pytest.mark.writes("the user lets alerts be published")

TOPIC = "plant/alerts"
CONFIG = Config.model_validate({"type": "mqtt", "connection": "broker", "topic": TOPIC, "may_publish": True})


def channel(port: int, **known: object) -> MqttChannel:
    connection = MqttConnection.model_validate({"protocol": "mqtt", "host": "127.0.0.1", "port": port, **known})
    return MqttChannel(CONFIG, connection, words())


@contextmanager
def listening(broker: Mosquitto) -> Iterator[list[MQTTMessage]]:
    """Subscribe to everything, under the client id the gateway's connection has."""
    got: list[MQTTMessage] = []
    ready: list[bool] = []
    client = Client(CallbackAPIVersion.VERSION2, "tanflow")
    client.on_message = lambda _c, _d, one: got.append(one)
    client.on_subscribe = lambda *_: ready.append(True)
    client.on_connect = lambda c, *_: c.subscribe("#", qos=1)
    client.connect(broker.host, broker.port)
    client.loop_start()
    until_sync(lambda: ready, what="subscribed")
    try:
        yield got
        assert client.is_connected(), "the gateway's own session was thrown out"
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_each_transition_is_a_message(mosquitto: Mosquitto, tmp_path: Path, version: str) -> None:
    one = episode(energy_kwh=None, area="")
    log = await open_log(tmp_path)
    with listening(mosquitto) as got:
        async with channel(mosquitto.port, version=version) as topic:
            going = sender(log, topic)
            await put(log, "firing", one, episode("press"))
            await put(log, "resolved", episode(ended_ns=NOW, energy_kwh=1.5))
            assert await going.step()
            assert not await going.step()
        await until(lambda: len(got) == 3)
    await log.close()
    assert {(m.topic, m.qos, m.retain) for m in got} == {(TOPIC, 1, False)}
    first, _, last = (orjson.loads(m.payload) for m in got)
    assert (first["id"], first["what"], first["site"], first["asset"]) == (
        "furnace.high@7",
        "firing",
        "plant",
        "furnace",
    )
    assert (first["kwh_per_h"], first["co2e_kg_per_h"], first["currency"]) == (62.4, 31.2, "CNY")
    assert "energy_kwh" not in first  # unknown is left out
    assert "area" not in first
    assert (last["what"], last["ended_ns"], last["energy_kwh"]) == ("resolved", NOW, 1.5)


async def test_absent_refused_and_not_allowed(start_mosquitto: Callable[..., Mosquitto]) -> None:
    async with channel(free_port()) as nobody:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await nobody.send(message(episode()))
    broker = start_mosquitto(password="pa55-word")
    async with channel(broker.port) as stranger:
        with pytest.raises(Unavailable, match="check user and password"):
            await stranger.send(message(episode()))


async def test_a_topic_the_user_may_not_write_is_refused_for_good(
    start_mosquitto: Callable[..., Mosquitto], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = start_mosquitto(password="pa55-word")
    rights = broker.folder / "rights"
    rights.write_text("user reader\ntopic read #\n")
    conf = broker.folder / "mosquitto.conf"
    conf.write_text(f"{conf.read_text()}acl_file {rights}\n")
    await asyncio.to_thread(broker.restart)
    monkeypatch.setenv("TANFLOW_TEST_PASSWORD", "pa55-word")
    async with channel(broker.port, username="reader", password={"env": "TANFLOW_TEST_PASSWORD"}) as topic:
        with pytest.raises(Rejected, match="grant the user this topic"):
            await topic.send(message(episode()))
