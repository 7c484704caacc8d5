"""The sink against a real InfluxDB 1.x and a 2.x front: what is stored, and what is refused of a batch."""

from __future__ import annotations

import asyncio
import urllib.request

import numpy as np
import pytest

from config.model import InfluxSink as Config
from pipeline.batch import make
from pipeline.counters import Counters
from pipeline.series import SeriesTable
from sinks.influxdb import InfluxSink
from tests.services.influx2_front import Influx2Front
from tests.services.influxd import Influxd
from tests.sinks.influx_store import ASSETS, FIELDS, HEADER, NOW_NS, PLANT, SPECS, Store, expected, readings, spec, v2


@pytest.mark.parametrize("gzip", [True, False])
async def test_values_come_back_equal_and_writing_again_changes_nothing(store: Store, gzip: bool) -> None:
    batch = readings(20, quality=np.arange(len(SPECS) * 20) % 3)
    async with store.sink(gzip=gzip) as sink:
        assert list(await sink.write(batch)) == []
        once = store.stored()
        assert once == expected(batch)
        assert list(await sink.write(batch)) == []
        assert store.stored() == once
        assert store.counters.links == {sink.target: ""}
    if store.front:
        assert {r.get("Content-Encoding") for r in store.front.requests} == {"gzip" if gzip else None}


@pytest.mark.parametrize(
    ("url", "packed"),
    [
        ("http://influx.works.example:8086", True),
        ("http://192.168.7.9:8086", True),
        ("http://127.0.0.1:8086", False),
        ("http://[::1]:8086", False),
        ("http://localhost:8086", False),
    ],
)
def test_only_what_leaves_the_machine_is_packed_unless_it_is_said(url: str, packed: bool) -> None:
    assert v2(url).packs is packed
    assert v2(url, gzip=not packed).packs is not packed


async def test_names_of_any_script_come_back_as_they_are(influx: Influxd) -> None:
    asset, field_name = 'Halle 3, 炉=1 "ö" \\ 50%', "Leistung, gesamt=kW"
    odd = spec(asset, field_name)
    influx.create("plant")
    config = Config(type="influxdb", api="v1", url=influx.url, database="plant")
    async with InfluxSink("plant-db", config, SeriesTable(1, [odd], {odd.key: 0}, {}), Counters()) as sink:
        assert list(await sink.write(make(HEADER, NOW_NS, [0], [230.10000610351562], 6))) == []
    (row,) = influx.query("plant", "SELECT * FROM energy")
    assert (row["asset"], row[field_name], row[f"{field_name}_q"]) == (asset, 230.10000610351562, 6)


async def test_a_batch_of_nothing_asks_nobody() -> None:
    config = Config(type="influxdb", api="v1", url="http://127.0.0.1:1", database="plant")
    async with InfluxSink("plant-db", config, PLANT, Counters()) as sink:
        assert list(await sink.write(make(HEADER, [], [], [], []))) == []


async def test_what_is_not_a_number_is_counted_and_its_quality_stored(store: Store) -> None:
    batch = make(HEADER, NOW_NS, [0, 1, 2], [float("nan"), 2.0, float("inf")], [18, 0, 6])
    async with store.sink() as sink:
        assert list(await sink.write(batch)) == []
        assert store.counters.bad == 2
    assert store.stored() == {
        ("m0", "f0_kw_q", NOW_NS): 18,
        ("m0", "f1_kw", NOW_NS): 2.0,
        ("m0", "f2_kw_q", NOW_NS): 6,
    }


async def test_rows_of_another_configuration_are_refused_and_the_rest_is_stored(store: Store) -> None:
    async with store.sink() as sink:
        (refusal,) = await sink.write(make(HEADER, NOW_NS, [0, 777], [1.0, 2.0]))
    assert refusal.rows.tolist() == [1]
    assert "777" in refusal.reason
    assert len(store.stored()) == 1


async def test_one_conflicting_point_costs_one_dead_letter(store: Store) -> None:
    """A field's type holds for a shard: last week's shard knows f3_kw as an integer, today's as a float."""
    old_ns = NOW_NS - 30 * 86_400 * 10**9
    await asyncio.to_thread(_write_raw, store.influx, f"energy,asset=m9,site=plant f3_kw=1i {old_ns}")
    batch = readings(5)
    time_ns = batch.time_ns.copy()
    odd = 2 * len(SPECS) + 4 * FIELDS
    time_ns[odd : odd + FIELDS] = old_ns  # one line of m4, whose field f3 conflicts
    batch = make(HEADER, time_ns, batch.series, batch.value)
    async with store.sink() as sink:
        (refusal,) = await sink.write(batch)
    assert refusal.rows.tolist() == [odd + 3]
    assert refusal.sent.startswith(b"energy,asset=m4,site=plant f3_kw=")
    assert b"\n" not in refusal.sent
    assert 'input field "f3_kw" on measurement "energy" is type float, already exists as type integer' in refusal.reason
    assert {k: v for k, v in store.stored().items() if k[0] != "m9"} == expected(batch, without={odd + 3})


async def test_a_field_that_always_conflicts_takes_three_requests(store: Store) -> None:
    await asyncio.to_thread(_write_raw, store.influx, f"energy,asset=m9,site=plant f3_kw=1i {NOW_NS}")
    batch = readings()
    async with store.sink() as sink:
        (refusal,) = await sink.write(batch)
    bad = set(range(3, len(SPECS), FIELDS))
    assert set(refusal.rows.tolist()) == bad
    assert len(refusal.sent.splitlines()) == ASSETS
    assert {k: v for k, v in store.stored().items() if k[0] != "m9"} == expected(batch, without=bad)
    if store.front:
        assert len(store.front.requests) == 3


async def test_points_beyond_retention_are_found_among_the_others(store: Store) -> None:
    store.influx.query("plant", 'CREATE RETENTION POLICY "day" ON "plant" DURATION 1d REPLICATION 1 DEFAULT')
    batch = readings(3)
    time_ns = batch.time_ns.copy()
    lost = [*range(FIELDS), *range(10 * FIELDS, 11 * FIELDS)]  # two whole lines
    time_ns[lost] -= 40 * 86_400 * 10**9
    batch = make(HEADER, time_ns, batch.series, batch.value)
    async with store.sink() as sink:
        refusals = await sink.write(batch)
    assert sorted(row for r in refusals for row in r.rows.tolist()) == sorted(lost)
    assert all("beyond retention policy" in r.reason for r in refusals)
    assert store.stored() == expected(batch, without=set(lost))


async def test_a_body_too_large_is_halved_until_it_passes(front: Influx2Front) -> None:
    front.max_body = 300
    batch = readings()
    async with InfluxSink("plant-db", v2(front.url, gzip=False), PLANT, Counters()) as sink:
        assert list(await sink.write(batch)) == []
    assert len(front.requests) == 2 * ASSETS - 1


def _write_raw(influx: Influxd, line: str) -> None:
    with urllib.request.urlopen(f"{influx.url}/write?db=plant", line.encode(), timeout=60) as answer:
        assert answer.status == 204
