"""The stream over a real server: first the state, then what changes; it ends with the session, and never piles up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from pipeline.latest import Latest
from tanflow.web import stream
from tanflow.web.access.sessions import Sessions, Who
from tanflow.web.access.users import Users
from tanflow.web.alerts.alert_list import AlertList
from tanflow.web.history.series import SeriesList
from tanflow.web.stream import Streams, Wanted
from tests.tanflow.web import ENERGY, POWER, PUMP, START_NS, Site, open_site
from tests.waiting import DEADLINE_S, until


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as opened:
        yield opened


@dataclass
class Heard:
    """What a reader of the stream has heard."""

    status: int = 0
    events: list[tuple[str, Any]] = field(default_factory=list)
    comments: int = 0
    over: bool = False

    def of(self, name: str) -> list[Any]:
        return [data for event, data in self.events if event == name]

    @property
    def latest(self) -> dict[str, list[float]]:
        """The newest row of each series, as a page would have it."""
        return {key: row for data in self.of("latest") for key, row in data["latest"].items()}


@asynccontextmanager
async def listening(client: httpx.AsyncClient, query: str = "") -> AsyncIterator[Heard]:
    """Listen until the block is left."""
    heard = Heard()

    async def read() -> None:
        async with client.stream("GET", f"/api/stream{query}", timeout=600) as answer:
            heard.status = answer.status_code
            async for block in _blocks(answer):
                lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
                heard.comments += block.startswith(":")
                if lines:
                    heard.events.append((lines["event"], orjson.loads(lines["data"])))
        heard.over = True

    task = asyncio.create_task(read())
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _blocks(answer: httpx.Response) -> AsyncIterator[str]:
    rest = ""
    async for text in answer.aiter_text():
        *whole, rest = (rest + text).split("\n\n")
        for block in whole:
            yield block


async def test_first_comes_the_state_then_what_changes(site: Site) -> None:
    await site.append(POWER, [0], [10.0])
    async with listening(site.client, f"?series={POWER},{PUMP}") as heard:
        await until(lambda: len(heard.events) >= 3, what="the first events")
        assert [name for name, _ in heard.events[:3]] == ["latest", "health", "alerts"]
        assert heard.latest == {POWER: [START_NS, 10.0, 0]}  # what was never seen is left out
        assert heard.of("health")[0]["state"] == "ok"
        assert heard.of("alerts")[0] == {"open": 0, "counts": {"critical": 0, "warning": 0, "info": 0, "pending": 0}}
        await site.append(PUMP, [1], [3.0])
        await site.append(ENERGY, [1], [3.0])  # nobody asked for it
        await until(lambda: PUMP in heard.latest, what="the change")
        assert list(heard.of("latest")[-1]["latest"]) == [PUMP]  # only what changed
        assert ENERGY not in heard.latest


async def test_quantities_and_keys_come_together(site: Site) -> None:
    await site.append(POWER, [0], [10.0])
    await site.append(ENERGY, [0], [5.0])
    async with listening(site.client, f"?series={ENERGY}&quantity=power") as heard:
        await until(lambda: len(heard.latest) == 2, what="both")
        assert set(heard.latest) == {POWER, ENERGY}
    async with listening(site.client) as heard:
        await until(lambda: heard.of("alerts"), what="the state")
        assert heard.latest == {}


async def test_health_is_told_when_it_changes(site: Site) -> None:
    async with listening(site.client) as heard:
        await until(lambda: heard.of("health"), what="the state")
        site.gateway.board.component("collector.floor").state = "down"
        await until(lambda: heard.of("health")[-1]["state"] == "down", what="the change")


async def test_signing_out_ends_it(site: Site) -> None:
    async with site.signed_in("Ann", "viewer") as ann, listening(ann) as heard:
        await until(lambda: heard.of("health"), what="the state")
        await ann.post("/api/logout", json={})
        await until(lambda: heard.over, what="the end")


async def test_removing_the_user_ends_it(site: Site) -> None:
    async with site.signed_in("Ann", "viewer") as ann, listening(ann) as heard:
        await until(lambda: heard.of("health"), what="the state")
        site.remove_user("Ann")
        await until(lambda: heard.over, what="the end")


async def test_who_listens_without_a_name_must_sign_in_once_there_are_users(site: Site) -> None:
    async with listening(site.client) as heard:
        await until(lambda: heard.of("health"), what="the state")
        site.add_user("Ann", "viewer")
        await until(lambda: heard.over, what="the end")


async def test_only_so_many_listen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_READERS", 1)
    async with listening(site.client) as heard:
        await until(lambda: heard.of("health"), what="the first")
        answer = await site.client.get("/api/stream")
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    async with asyncio.timeout(300):
        while heard.status != 200 or heard.over:  # its place is free within a beat
            async with listening(site.client) as heard:
                await until(lambda: heard.over or heard.of("health"), what="an answer")


async def test_what_cannot_be_meant_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for query in ("?series=nothing", "?quantity=powr", "?match=x"):
        assert (await site.client.get(f"/api/stream{query}")).status_code == 400
    monkeypatch.setattr(stream, "_SERIES", 1)
    answer = await site.client.get("/api/stream?quantity=power")
    assert (answer.status_code, "more than 1" in answer.json()["error"]) == (400, True)


async def test_it_ends_when_the_gateway_stops(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        client = httpx.AsyncClient(base_url=site.origin, timeout=DEADLINE_S)
        async with client, listening(client) as heard:
            await until(lambda: heard.of("health"), what="the state")
            site.stop()
            await until(lambda: heard.over, what="the end")


def streams_of(site: Site, now_s: list[float]) -> Streams:
    gateway = site.gateway
    sessions = Sessions(Users.open(gateway.directory.path))
    return Streams(gateway, SeriesList(gateway.config, gateway.table), AlertList(gateway), sessions, lambda: now_s[0])


async def _never() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}


async def test_a_slow_reader_gets_the_state_of_then_never_a_backlog(site: Site) -> None:
    streams, free, sent = streams_of(site, [0.0]), asyncio.Event(), list[bytes]()

    async def send(message: Any) -> None:
        if body := message.get("body"):
            sent.append(body)
            await free.wait()  # the reader's window is full

    scope = {"type": "http", "method": "GET", "path": "/api/stream", "headers": [], "who": Who("local", "local"),
             "query_string": f"series={POWER}".encode()}  # fmt: skip
    answer = await streams._asked(Request(scope))
    await site.append(POWER, [0], [0.0])
    reading = asyncio.create_task(answer(scope, _never, send))
    await until(lambda: sent, what="the first state")
    for second in range(1, 200):
        await site.append(POWER, [second], [float(second)])
        streams._wake()
    assert len(sent) == 1  # nothing is made for who does not read
    free.set()
    streams._wake()
    await until(lambda: len(sent) == 2, what="the state of then")
    rows = [orjson.loads(line[6:]) for line in sent[1].split(b"\n") if line.startswith(b"data: ")]
    assert rows[0]["latest"] == {POWER: [START_NS + 199 * 10**9, 199.0, 0]}
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert streams.readers == 0


async def test_after_a_while_of_nothing_comes_a_word(site: Site) -> None:
    now_s, sent = [0.0], list[bytes]()
    streams = streams_of(site, now_s)

    async def send(message: Any) -> None:
        if body := message.get("body"):
            sent.append(body)

    scope = {"type": "http", "method": "GET", "path": "/api/stream", "headers": [], "who": Who("local", "local"),
             "query_string": b""}  # fmt: skip
    answer = await streams._asked(Request(scope))
    reading = asyncio.create_task(answer(scope, _never, send))
    await until(lambda: len(sent) == 1, what="the first state")
    now_s[0] = 9.0
    streams._wake()
    now_s[0] = 10.0
    await until(lambda: streams._wake() or len(sent) == 2, what="the word")
    assert sent[1].startswith(b": ")
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


values = st.one_of(st.floats(), st.just(float("nan")), st.just(0.0))
ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5), values, st.integers(0, 3)), max_size=8)


@given(st.lists(ROWS, max_size=8), st.lists(st.integers(0, 4), unique=True, max_size=5))
def test_a_reader_who_takes_all_changes_has_the_latest(steps: list[Any], ids: list[int]) -> None:
    latest = Latest(5)
    wanted, known = Wanted([str(i) for i in ids], np.array(ids, np.int64)), dict[str, tuple[int, bytes, int]]()
    for rows in steps:
        for series, at, value, quality in rows:
            latest.time_ns[series], latest.value[series], latest.quality[series] = at, value, quality
        changed = wanted.changed(latest)
        packed = {key: (at, np.float64(v).tobytes(), q) for key, (at, v, q) in changed.items()}
        assert all(known.get(key) != row for key, row in packed.items())  # nothing is told twice
        known |= packed
        assert known == {
            str(i): (int(latest.time_ns[i]), latest.value[i].tobytes(), int(latest.quality[i]))
            for i in ids
            if latest.time_ns[i]
        }
