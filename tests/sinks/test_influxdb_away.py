"""A database that is stopped, busy, silent, missing or closed to us: the data is kept, and told what to do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from config.errors import Unavailable
from config.model import InfluxSink as Config
from pipeline.counters import Counters
from sinks.influxdb import InfluxSink
from tests.services.influx2_front import Influx2Front
from tests.services.influxd import Influxd
from tests.services.ports import free_port
from tests.sinks.influx_store import ASSETS, PLANT, TOKEN, Store, expected, readings, v2


async def test_a_stopped_server_keeps_the_data_for_later(store: Store) -> None:
    batch = readings()
    async with store.sink() as sink:
        store.influx.kill()
        with pytest.raises(Unavailable, match=r"no answer from|503") as caught:
            await sink.write(batch)
        assert store.counters.links[sink.target] == str(caught.value)
        store.influx.start()
        assert list(await sink.write(batch)) == []
        assert store.counters.links[sink.target] == ""
    assert store.stored() == expected(batch)


async def test_what_is_wrong_with_a_database_begins_with_its_name(front: Influx2Front) -> None:
    front.script = [(404, {}, b"")]
    counters = Counters()
    async with InfluxSink("plant-db", v2(front.url), PLANT, counters) as sink:
        with pytest.raises(Unavailable) as caught:
            await sink.write(readings())
        assert str(caught.value).startswith(f"{sink.target} answers 404; ")
        assert counters.links[sink.target] == str(caught.value)


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
