"""The MQTT collector against the real Mosquitto: nothing lost, nothing doubled, whoever dies when."""

from __future__ import annotations

import asyncio
import random
import socket
import time

import pytest

from pipeline.gaps import Gap
from tests.collectors.driving import NOTHING, Driven
from tests.collectors.mqtt_plant import Plant, meter, numbers, payload, publish, publish_numbers, publisher, subscribe
from tests.services.mosquitto import Mosquitto
from tests.waiting import until


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
