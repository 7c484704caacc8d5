"""The MQTT collector against the real Mosquitto: topics, times, payloads that cannot be read, silence and TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from config.protocols.mqtt import Tls
from config.strict import Secret
from pipeline.gaps import Gap
from pipeline.quality import GOOD, STALE, UNCERTAIN
from tests.collectors.driving import bound
from tests.collectors.mqtt_plant import (
    SEQUENCE,
    Plant,
    meter,
    numbers,
    payload,
    publish,
    publish_numbers,
    publisher,
    subscribe,
)
from tests.services.mosquitto import Mosquitto
from tests.waiting import until

POWER = "furnace.power.power"


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
