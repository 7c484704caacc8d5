"""Ticks make silence visible; the gateway's own counters are rows like any other."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

from pipeline.batch import Batch
from pipeline.clock import Clock
from pipeline.counters import Board
from pipeline.heartbeat import FREE_KEY, TICK_KEY, Heartbeat, health_counters, health_key
from pipeline.log.log import Log
from pipeline.quality import CLOCK, UNCERTAIN
from tests.pipeline.journal import open_log
from tests.pipeline.tables import SECOND
from tests.waiting import until

PARTS = ("collector.floor", "sink.db")
KEYS = [TICK_KEY, *(health_key(part, counter) for part in PARTS for counter in health_counters(part)), FREE_KEY]
IDS = {key: number for number, key in enumerate(KEYS)}


def heartbeat(log: Log) -> Heartbeat:
    return Heartbeat(log, log.clock, Board(), 3, IDS, PARTS)


def batches(log: Log) -> list[Batch]:
    return [b for w in log.reader.read_raw(0) for b in w.batches]


async def test_every_tenth_tick_carries_the_counters(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    beating = heartbeat(log)
    beating.board.component("sink.db").delivered = 7
    beating.board.component("collector.floor").lag_s = 0.5
    beating.board.component("collector.floor").latency_s = 0.02
    beating.board.component("sink.db").state = "down"
    for _ in range(11):
        await beating.beat()
    made = batches(log)
    assert [len(b) for b in made] == [len(KEYS), *[1] * 9, len(KEYS)]
    assert [b.value[0] for b in made] == list(range(11))
    counted = dict(zip(made[0].series.tolist(), made[0].value.tolist(), strict=True))
    assert counted[IDS[health_key("sink.db", "delivered")]] == 7.0
    assert counted[IDS[health_key("collector.floor", "lag_s")]] == 0.5
    assert [counted[IDS[health_key(part, "down")]] for part in PARTS] == [0.0, 1.0]
    assert counted[IDS[FREE_KEY]] > 0
    assert {(b.header.connection, b.header.revision, b.header.boot) for b in made} == {("gateway", 3, log.clock.boot)}
    assert all(b.time_ns.tolist() == [b.header.received_ns] * len(b) for b in made)
    await log.close()


async def test_a_latency_that_is_not_known_makes_no_row(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await heartbeat(log).beat()
    series = set(batches(log)[0].series.tolist())
    assert set(range(len(KEYS))) - series == {IDS[health_key("collector.floor", "latency_s")]}
    assert health_key("sink.db", "missed") not in IDS
    await log.close()


async def test_ticks_of_an_untrusted_clock_say_so(tmp_path: Path) -> None:
    log = await open_log(tmp_path, Clock(anchor_ns=0, trusted=False))
    await heartbeat(log).beat()
    assert batches(log)[0].quality.tolist()[0] == CLOCK | UNCERTAIN
    assert log.read(0) == []
    await log.close()


async def test_ticks_come_every_second_of_gateway_time_however_fast_it_runs(tmp_path: Path) -> None:
    """At 100×, one tick each quarter of a wall second, which is 25 s: never more ticks than periods begun."""
    log = await open_log(tmp_path, Clock(speed=100.0))
    beating = heartbeat(log)
    task = asyncio.create_task(beating.run())
    await until(lambda: beating.ticks >= 4)
    task.cancel()
    times = [int(b.time_ns[0]) for b in batches(log)]
    assert all(a < b for a, b in pairwise(times))
    assert len(times) <= (times[-1] - times[0]) / (25 * SECOND) + 2
    await log.close()
