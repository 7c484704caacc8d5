"""What a live provider says becomes rows, each once; when it is asked, and how patiently."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from carbon.live.feed import IntensityFeed
from config.errors import Unavailable
from pipeline import quality as q
from tests.carbon.intensity_server import Answer, Served, serving
from tests.carbon.live_plant import ANY_JSON, HOUR_NS, START, Lapsed, LivePlant, Publisher, open_live
from tests.waiting import until


@asynccontextmanager
async def plant_of(
    folder: Path, hours: dict[int, tuple[float | None, bool]]
) -> AsyncIterator[tuple[LivePlant, Served]]:
    """A plant and its provider, which knows some hours from START on; the clock stands at the fourth."""
    clock = Lapsed(START)
    clock.set(START + 4 * HOUR_NS)
    publisher = Publisher(clock, {START + h * HOUR_NS: said for h, said in hours.items()})
    with serving(publisher) as server:
        async with open_live(folder, clock, ANY_JSON.format(url=server.url)) as plant:
            yield plant, server


def feed_of(plant: LivePlant) -> IntensityFeed:
    assert plant.feed
    return plant.feed


async def test_each_step_is_a_row_once_and_again_only_when_it_says_otherwise(tmp_path: Path) -> None:
    hours: dict[int, tuple[float | None, bool]] = {0: (100.0, False), 1: (110.0, True), 2: (None, False)}
    async with plant_of(tmp_path, hours) as (plant, server):
        feed = feed_of(plant)
        await feed.fetch()
        (batch,) = plant.rows()
        assert batch.time_ns.tolist() == [START + HOUR_NS, START + 2 * HOUR_NS]
        assert batch.span_ns.tolist() == [HOUR_NS, HOUR_NS]
        assert batch.value.tolist() == [0.1, 0.11]
        assert [q.describe(flags) for flags in batch.quality.tolist()] == ["good", "uncertain (quantity-estimated)"]
        assert batch.header.note == {"factors": {
            "provider": "http_json", "zone": "ES", "publisher": "electricity-maps",
            "publication": "hours of 2022, direct", "source": server.url + "/hours?start={start}&end={end}",
            "fetched_at": "2022-03-26T04:00:00Z", "grades": ["actual", "estimated"],
        }}  # fmt: skip
        await feed.fetch()
        assert len(plant.rows()) == 1
        assert isinstance(server.answer, Publisher)
        server.answer.hours |= {START + HOUR_NS: (105.0, False), START + 2 * HOUR_NS: (120.0, False)}
        await feed.fetch()
        assert plant.rows()[1].value.tolist() == [0.105, 0.12]
        counters = feed.counters
        assert (counters.received, counters.committed, counters.rejected) == (2 + 2 + 3, 2 + 2, 0)
        assert counters.lag_s == 3600.0


async def test_a_restart_asks_nobody_before_its_time_and_knows_what_was_said(tmp_path: Path) -> None:
    clock = Lapsed(START)
    publisher = Publisher(clock, {START - HOUR_NS: (100.0, False)})
    with serving(publisher) as server:
        factors = ANY_JSON.format(url=server.url)
        async with open_live(tmp_path, clock, factors) as plant:
            await feed_of(plant).fetch()
        async with open_live(tmp_path, clock, factors) as plant:
            asking = asyncio.create_task(feed_of(plant).run())
            await asyncio.sleep(0)
            assert feed_of(plant).next_ns == START + 1_800 * 10**9
            assert len(server.asked) == 1
            clock.set(feed_of(plant).next_ns)
            await until(lambda: len(server.asked) == 2)
            await until(lambda: feed_of(plant).next_ns > clock.now_ns())
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert len(plant.rows()) == 1
        async with open_live(tmp_path, clock, factors.replace("zone: ES", "zone: FR")) as plant:
            assert feed_of(plant).next_ns == 0  # another zone: nothing of it is known


async def test_what_cannot_be_used_is_a_dead_letter_once(tmp_path: Path) -> None:
    async with plant_of(tmp_path, {0: (100.0, False), 1: (9_000.0, False)}) as (plant, server):
        for _ in range(2):
            await feed_of(plant).fetch()
        dead = plant.gateway.log.reader.query("SELECT component, source, reason FROM dead")
        said = "9 kg/kWh is not a grid's intensity; is the unit right?"
        assert dead == [("factors", "2022-03-26T01:00:00Z", said)]
        assert feed_of(plant).counters.rejected == 2
        assert [b.value.tolist() for b in plant.rows()] == [[0.1]]
        server.answer = lambda _: Answer(b"<html>sign in")
        with pytest.raises(Unavailable, match="the answer of electricity-maps is not JSON"):
            await feed_of(plant).fetch()
        ((raw,),) = plant.gateway.log.reader.query("SELECT raw FROM dead WHERE source = 'answer'")
        assert raw == b"<html>sign in"
        assert len(plant.rows()) == 1


async def test_in_vain_it_waits_longer_each_time_and_as_long_as_it_is_told(tmp_path: Path) -> None:
    clock = Lapsed(START)
    answers = [Answer(b"", 500)] * 12 + [Answer(b"", 429, {"Retry-After": "7200"}), Answer(b"", 401)]
    with serving(lambda _: answers.pop(0)) as server:
        async with open_live(tmp_path, clock, ANY_JSON.format(url=server.url)) as plant:
            waits = []
            while answers:
                with pytest.raises(Unavailable) as caught:
                    await feed_of(plant).fetch()
                waits.append(caught.value.after_s or 0.0)
            assert "refuses the token (401): check factors.live.token" in str(caught.value)
            for failure, wait in enumerate(waits[:12]):
                most = min(30.0 * 2**failure, 6 * 3600.0)
                assert most / 2 <= wait <= most
            assert 7_200 <= waits[12] <= 6 * 3600
            next_ns = feed_of(plant).next_ns
            await plant.reach(START, fetch=False)  # any commit writes it down
        async with open_live(tmp_path, clock, ANY_JSON.format(url=server.url)) as plant:
            assert feed_of(plant).next_ns == next_ns > START + 3_600 * 10**9


async def test_after_a_pause_what_was_missed_is_asked_for_as_far_as_one_request_goes(tmp_path: Path) -> None:
    async with plant_of(tmp_path, {0: (100.0, False)}) as (plant, server):
        await feed_of(plant).fetch()
        plant.clock.set(START + 100 * HOUR_NS)
        await feed_of(plant).fetch()
        plant.clock.set(START + 1_000 * HOUR_NS)
        await feed_of(plant).fetch()
    begun = [parse_qs(urlsplit(path).query)["start"][0] for path, _ in server.asked]
    # 48 h back from 04:00; from the end of the hour that is known; 14 days back from 2022-05-06T16:00.
    assert begun == ["2022-03-24T04:00:00Z", "2022-03-26T01:00:00Z", "2022-04-22T16:00:00Z"]
