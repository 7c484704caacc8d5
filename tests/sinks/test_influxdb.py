"""The sink against a real InfluxDB 1.x, by its own /write and by influxdb-client through a 2.x front."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from config.errors import Unavailable
from config.model import InfluxSink as Config
from pipeline.batch import Batch, Header, make
from pipeline.counters import Counters
from pipeline.series import SeriesTable
from pipeline.spec import Like, Spec
from sinks.influxdb import InfluxSink
from tests.services.influx2_front import Influx2Front
from tests.services.influxd import Influxd
from tests.services.ports import free_port

HEADER = Header("floor", 1, "boot", 0, 0)
NOW_NS = time.time_ns() // 10**9 * 10**9
TOKEN = "a-token"


def spec(asset: str, field: str, measurement: str = "energy") -> Spec:
    key = f"{asset}.{field}.power"
    return Spec(key, (("asset", asset), ("site", "plant")), Like("floor", "power", "kW", 0, measurement, field))


ASSETS, FIELDS = 8, 6
SPECS = [spec(f"m{a}", f"f{f}_kw") for a in range(ASSETS) for f in range(FIELDS)]
PLANT = SeriesTable(1, SPECS, {s.key: i for i, s in enumerate(SPECS)}, {})


def readings(instants: int = 1, quality: npt.ArrayLike = 0) -> Batch:
    """Return `instants` values of every series, one a second up to now."""
    n = len(SPECS)
    rng = np.random.default_rng(5)
    time_ns = np.repeat(NOW_NS - np.arange(instants) * 10**9, n)
    return make(HEADER, time_ns, np.tile(np.arange(n), instants), rng.normal(100, 30, n * instants), quality)


@dataclass
class Store:
    """A sink and the way to look at what it stored."""

    influx: Influxd
    config: Config
    front: Influx2Front | None = None
    counters: Counters = field(default_factory=Counters)

    def sink(self, **changes: Any) -> InfluxSink:
        return InfluxSink("plant-db", self.config.model_copy(update=changes), PLANT, self.counters)

    def stored(self) -> dict[tuple[str, str, int], float]:
        """Return (asset, field, time) → value of everything in the database, qualities included."""
        rows = self.influx.query("plant", "SELECT * FROM energy")
        names = {"time", "asset", "site"}
        return {
            (row["asset"], field, row["time"]): value
            for row in rows
            for field, value in row.items()
            if field not in names and value is not None
        }


def expected(batch: Batch, without: Collection[int] = ()) -> dict[tuple[str, str, int], float]:
    rows: dict[tuple[str, str, int], float] = {}
    for row in range(len(batch)):
        if row in without:
            continue
        s, time_ns = PLANT.spec(int(batch.series[row])), int(batch.time_ns[row])
        rows[s.tags[0][1], s.like.field, time_ns] = float(batch.value[row])
        if batch.quality[row]:
            rows[s.tags[0][1], s.like.field + "_q", time_ns] = int(batch.quality[row])
    return rows


@pytest.fixture(params=["v1", "v2"])
def store(request: pytest.FixtureRequest, influx: Influxd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    influx.create("plant")
    if request.param == "v1":
        yield Store(influx, Config(type="influxdb", api="v1", url=influx.url, database="plant"))
        return
    monkeypatch.setenv("INFLUX_TOKEN", TOKEN)
    with Influx2Front(influx.url, TOKEN) as front:
        yield Store(influx, v2(front.url), front)


def v2(url: str, **more: Any) -> Config:
    content = {"type": "influxdb", "api": "v2", "url": url, "org": "works", "bucket": "plant"}
    return Config.model_validate(content | {"token": {"env": "INFLUX_TOKEN"}} | more)


@pytest.fixture
async def front(influx: Influxd, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Influx2Front]:
    influx.create("plant")
    monkeypatch.setenv("INFLUX_TOKEN", TOKEN)
    with Influx2Front(influx.url, TOKEN) as front:
        yield front


# ── what is stored ────────────────────────────────────────────────────────────────────────────────


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


# ── what is refused ───────────────────────────────────────────────────────────────────────────────


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


# ── when the server is away ───────────────────────────────────────────────────────────────────────


async def test_a_stopped_server_keeps_the_data_for_later(store: Store) -> None:
    batch = readings()
    async with store.sink() as sink:
        store.influx.kill()
        with pytest.raises(Unavailable, match=r"no answer from|503") as caught:
            await sink.write(batch)
        words = store.counters.links[sink.target]
        assert words
        assert str(caught.value).endswith(words)
        store.influx.start()
        assert list(await sink.write(batch)) == []
        assert store.counters.links[sink.target] == ""
    assert store.stored() == expected(batch)


async def test_what_is_wrong_with_a_database_names_it_once(front: Influx2Front) -> None:
    """The link is the name; the error, which stands alone, begins with it too."""
    front.script = [(404, {}, b"")]
    counters = Counters()
    async with InfluxSink("plant-db", v2(front.url), PLANT, counters) as sink:
        with pytest.raises(Unavailable) as caught:
            await sink.write(readings())
        assert str(caught.value).startswith(f"{sink.target} answers 404; ")
        assert counters.links[sink.target].startswith("answers 404; ")


async def test_a_server_that_goes_away_during_the_search_gets_the_whole_batch_again(front: Influx2Front) -> None:
    batch = readings()
    front.script = [(400, {}, b'{"code":"invalid","message":"partial write"}'), (204, {}, b""), (503, {}, b"")]
    async with InfluxSink("plant-db", v2(front.url), PLANT, Counters()) as sink:
        with pytest.raises(Unavailable, match="503"):
            await sink.write(batch)
        assert list(await sink.write(batch)) == []


async def test_a_missing_database_is_told_with_what_to_do(store: Store) -> None:
    changes: dict[str, Any] = {"database": "nowhere"} if store.front is None else {"bucket": "nowhere"}
    create = 'CREATE DATABASE "nowhere"' if store.front is None else "bucket 'nowhere' in 'works'"
    batch = readings()
    async with store.sink(**changes) as sink:
        with pytest.raises(Unavailable, match=r"404 .*nowhere.* not found|404 .*not found.*nowhere") as caught:
            await sink.write(batch)
        assert create in str(caught.value)
        store.influx.create("nowhere")
        assert list(await sink.write(batch)) == []


async def test_a_missing_retention_policy_is_not_the_data_s_fault(influx: Influxd) -> None:
    influx.create("plant")
    config = Config(type="influxdb", api="v1", url=influx.url, database="plant", retention_policy="year")
    async with InfluxSink("plant-db", config, PLANT, Counters()) as sink:
        with pytest.raises(Unavailable, match="create retention policy 'year'"):
            await sink.write(readings())
        influx.query("plant", 'CREATE RETENTION POLICY "year" ON "plant" DURATION 365d REPLICATION 1')
        assert list(await sink.write(readings())) == []
    assert len(influx.query("plant", 'SELECT f0_kw FROM "plant"."year"."energy"')) == ASSETS


async def test_a_password_is_asked_for_and_renewed(influx_with_users: Influxd, tmp_path: Path) -> None:
    influx, admin = influx_with_users, {"user": "admin", "password": "secret"}
    influx.query("", "CREATE DATABASE plant", **admin)
    influx.query("", "CREATE USER gateway WITH PASSWORD 'gate-keeper'", **admin)
    secret = tmp_path / "password"
    content = {"type": "influxdb", "api": "v1", "url": influx.url, "database": "plant", "username": "gateway"}
    config = Config.model_validate(content | {"password": {"file": str(secret)}})
    async with InfluxSink("plant-db", config, PLANT, Counters()) as sink:
        with pytest.raises(Unavailable, match=r"password cannot be read|secret file .* cannot be read"):
            await sink.write(readings())
        secret.write_text("wrong\n")
        with pytest.raises(Unavailable, match=r"401 .*check username: and password:") as caught:
            await sink.write(readings())
        assert "wrong" not in str(caught.value)
        secret.write_text("gate-keeper\n")
        with pytest.raises(Unavailable, match=r"403 .*give the user the right to write"):
            await sink.write(readings())
        influx.query("", "GRANT WRITE ON plant TO gateway", **admin)
        assert list(await sink.write(readings())) == []
    assert len(influx.query("plant", "SELECT f0_kw FROM energy", **admin)) == ASSETS


async def test_a_wrong_token_is_told_and_a_right_one_taken(
    front: Influx2Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFLUX_TOKEN", "another")
    async with InfluxSink("plant-db", v2(front.url), PLANT, Counters()) as sink:
        with pytest.raises(Unavailable, match=r"401 \(unauthorized access\); check token:") as caught:
            await sink.write(readings())
        assert "another" not in str(caught.value)
        monkeypatch.setenv("INFLUX_TOKEN", TOKEN)
        assert list(await sink.write(readings())) == []


@pytest.mark.parametrize(
    ("status", "headers", "low", "high"),
    [
        (429, {"Retry-After": "7"}, 7, 7),
        (503, {"Retry-After": "2.5"}, 2.5, 2.5),
        (503, {"Retry-After": "a date"}, 60, 120),
        (503, {"Retry-After": "soon"}, None, None),
        # Not at once: it would be asked hundreds of times a second.
        *[
            (503, {"Retry-After": text}, None, None)
            for text in ("0", "-5", "nan", "inf", "Thu, 01 Jan 1970 00:00:00 GMT")
        ],
        (500, {}, None, None),
    ],
)
@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_a_busy_server_says_when_to_come_again(
    front: Influx2Front, api: str, status: int, headers: dict[str, str], low: float | None, high: float | None
) -> None:
    v1 = Config(type="influxdb", api="v1", url=front.url, database="plant")
    if headers.get("Retry-After") == "a date":
        headers = {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)}
    front.script = [(status, headers, b'{"error":"later","message":"later"}')]
    async with InfluxSink("plant-db", v1 if api == "v1" else v2(front.url), PLANT, Counters()) as sink:
        with pytest.raises(Unavailable, match=f"{status} .later.") as caught:
            await sink.write(readings())
    after_s = caught.value.after_s
    assert after_s == low if low is None or low == high else low <= (after_s or 0) <= (high or 0)


@pytest.mark.parametrize("api", ["v1", "v2"])
@pytest.mark.parametrize("status", [200, 302, 400])
async def test_what_is_not_a_database_refuses_nothing(front: Influx2Front, api: str, status: int) -> None:
    v1 = Config(type="influxdb", api="v1", url=front.url, database="plant")
    front.script = [(status, {"Content-Type": "text/html"}, b"<html>Log in</html>")]
    async with InfluxSink("plant-db", v1 if api == "v1" else v2(front.url), PLANT, Counters()) as sink:
        with pytest.raises(Unavailable, match=f"{status}.*check that url: is the database itself"):
            await sink.write(readings())


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_silence_ends_at_the_deadline_and_never_holds_the_loop(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLUX_TOKEN", TOKEN)
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    v1 = Config(type="influxdb", api="v1", url=url, database="plant", timeout_s=1.0)
    async with (
        server,
        InfluxSink("plant-db", v1 if api == "v1" else v2(url, timeout_s=1.0), PLANT, Counters()) as sink,
    ):
        write = asyncio.create_task(sink.write(readings()))
        turns = 0
        while not write.done():
            await asyncio.sleep(0.01)
            turns += 1
        with pytest.raises(Unavailable, match="no answer from"):
            await write
        assert turns > 3, "the loop went on while the request waited"


async def test_closing_during_a_request_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(type="influxdb", api="v1", url=f"http://127.0.0.1:{free_port()}", database="plant", timeout_s=0.5)
    async with InfluxSink("plant-db", config, PLANT, Counters()) as sink:
        write = asyncio.create_task(sink.write(readings()))
        await asyncio.sleep(0)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
    async with sink:
        with pytest.raises(Unavailable, match="no answer"):
            await sink.write(readings())


def _write_raw(influx: Influxd, line: str) -> None:
    with urllib.request.urlopen(f"{influx.url}/write?db=plant", line.encode(), timeout=60) as answer:
        assert answer.status == 204
