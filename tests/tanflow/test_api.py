"""The API over real HTTP: what each address answers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from pipeline.counters import COUNTED
from pipeline.quality import COMM
from tests.tanflow.web import ENERGY, POWER, PUMP, START_NS, Site, open_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as opened:
        yield opened


async def test_health_is_ok_and_says_where_everything_stands(site: Site) -> None:
    answer = await site.client.get("/api/health")
    found = answer.json()
    assert answer.status_code == 200
    assert (found["state"], found["reasons"]) == ("ok", [])
    assert found["site"] == {"name": "works", "zone": "Asia/Kolkata"}
    assert found["log_position"] == site.gateway.log.position
    assert found["clock_trusted"] is True
    assert found["disk_free_bytes"] > 0
    told = {*COUNTED, "state", "last_error", "backlog", "lag_s", "latency_s"}
    assert found["components"]["collector.floor"].keys() >= told


async def test_health_tells_what_was_missed_and_how_long_answers_take(site: Site) -> None:
    counters = site.gateway.board.component("collector.floor")
    before = (await site.client.get("/api/health")).json()["components"]["collector.floor"]["latency_s"]
    for device in ("pump.meter", "press.meter", "press.meter"):
        counters.miss(device)
    counters.took(0.02)
    counters.came(-1.0)  # another clock
    found = (await site.client.get("/api/health")).json()["components"]["collector.floor"]
    assert (before, found["latency_s"], found["missed"]) == (None, 0.02, 3)
    assert list(found["links"]["missed"].items()) == [("press.meter", 2), ("pump.meter", 1)]
    assert 'tanflow_latency_seconds{component="collector.floor"} 0.02' in (await site.client.get("/metrics")).text


async def test_health_names_what_is_wrong(site: Site) -> None:
    counters = site.gateway.board.component("collector.floor")
    counters.state = "degraded"
    counters.links = {"press.meter": "no answer within 1 s", "pump.meter": ""}
    found = (await site.client.get("/api/health")).json()
    assert found["state"] == "degraded"
    assert found["reasons"] == ["collector.floor: press.meter: no answer within 1 s"]
    assert found["components"]["collector.floor"]["links"] == {
        "known": 2,
        "wrong": 1,
        "what": {"press.meter": "no answer within 1 s"},
        "missed": {},
    }
    site.gateway.board.component("sink.db").state = "down"
    site.gateway.board.component("sink.db").last_error = "connection refused"
    assert "sink.db is down: connection refused" in (await site.client.get("/api/health")).json()["reasons"]


async def test_health_names_a_database_once_that_names_itself(site: Site) -> None:
    counters = site.gateway.board.component("sink.db")
    target = "bucket 'energy' at http://db:8086"
    counters.state, counters.links = "degraded", {target: f"{target} answers 503"}
    assert (await site.client.get("/api/health")).json()["reasons"] == [f"sink.db: {target} answers 503"]


async def test_health_is_down_with_503_when_nothing_is_accepted(site: Site) -> None:
    site.gateway.accepting.clear()
    answer = await site.client.get("/api/health")
    assert (answer.status_code, answer.json()["state"]) == (503, "down")
    site.gateway.accepting.set()
    site.gateway.board.component("collector.floor").state = "down"
    assert (await site.client.get("/api/health")).json()["state"] == "down"


async def test_health_lists_a_bounded_number_of_reasons(site: Site) -> None:
    counters = site.gateway.board.component("collector.floor")
    counters.links = {f"device-{i}": "no answer" for i in range(1_000)}
    found = (await site.client.get("/api/health")).json()
    assert len(found["reasons"]) == 51
    assert found["reasons"][-1] == "and 950 more"
    assert found["components"]["collector.floor"]["links"]["wrong"] == 1_000


async def test_series_tell_their_place_and_are_filtered(site: Site) -> None:
    every = (await site.client.get("/api/series")).json()["series"]
    about = {series["key"]: series for series in every}
    assert set(about) == set(site.gateway.table.ids)
    power = about[POWER]
    assert (power["id"], power["unit"], power["quantity"], power["kind"]) == (
        site.gateway.table.ids[POWER],
        "kW",
        "power",
        "gauge",
    )
    assert (power["asset"], power["area"], power["device"], power["period_s"]) == ("press", "hall", "meter", 1.0)
    assert about[ENERGY]["kind"] == "delta"

    async def keys(**filters: str) -> set[str]:
        found = (await site.client.get("/api/series", params=filters)).json()["series"]
        return {series["key"] for series in found}

    assert await keys(asset="pump") == {key for key in about if key.startswith("pump.")}
    assert await keys(match=".power.power") == {POWER, PUMP}
    assert await keys(match="power", asset="pump", quantity="power") == {PUMP}
    assert await keys(quantity="power,energy") >= {POWER, PUMP, ENERGY}
    assert await keys(asset="nowhere") == set()


async def test_latest_gives_value_age_and_quality_of_what_was_seen(site: Site) -> None:
    assert (await site.client.get("/api/latest", params={"asset": "press"})).json()["latest"] == {}
    await site.append(POWER, [0, 60], [10.0, 12.5])
    found = (await site.client.get("/api/latest", params={"asset": "press"})).json()["latest"]
    assert list(found) == [POWER]
    row = found[POWER]
    assert (row["value"], row["unit"], row["quality"], row["bits"]) == (12.5, "kW", "good", 0)
    assert (row["time"], row["time_ns"]) == ("2026-03-01T08:01:00.000Z", START_NS + 60 * 10**9)
    assert 3_540 <= row["age_s"] < 3_600


async def test_a_missing_value_is_null_and_its_quality_in_words(site: Site) -> None:
    await site.append(PUMP, [0], [float("nan")])
    site.gateway.latest.quality[site.gateway.table.ids[PUMP]] = 2 | COMM
    row = (await site.client.get("/api/latest", params={"match": PUMP})).json()["latest"][PUMP]
    assert (row["value"], row["quality"], row["bits"]) == (None, "bad (comm)", 2 | COMM)


_SAMPLE = re.compile(r'[a-z_]+(\{([a-z]+="(\\.|[^"\\])*",?)*\})? [-+0-9.e]+')


async def test_metrics_are_prometheus_text(site: Site) -> None:
    counters = site.gateway.board.component("collector.floor")
    counters.received, counters.backlog, counters.lag_s, counters.latency_s = 7, 3, 0.25, 0.5
    site.gateway.board.component('odd"\n\\')
    answer = await site.client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert all(_SAMPLE.fullmatch(line) for line in samples), samples
    named = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(named) == len(set(named))
    assert {re.split("[{ ]", line)[0] for line in samples} == set(named)
    for event in COUNTED:
        value = 7 if event == "received" else 0
        assert f'tanflow_rows_total{{component="collector.floor",event="{event}"}} {value}' in samples
    assert 'tanflow_backlog_rows{component="collector.floor"} 3' in samples
    assert 'tanflow_lag_seconds{component="collector.floor"} 0.25' in samples
    assert 'tanflow_up{component="collector.floor"} 1' in samples
    assert f"tanflow_log_position {site.gateway.log.position}" in samples
    assert {"tanflow_loop_lag_seconds", "tanflow_loop_lag_max_seconds", "tanflow_disk_free_bytes"} <= set(named)


@pytest.mark.parametrize("path", ["/api/health", "/api/series", "/api/latest", "/api/query", "/metrics"])
async def test_unknown_parameters_are_named(site: Site, path: str) -> None:
    answer = await site.client.get(path, params={"colour": "red"})
    assert answer.status_code == 400
    assert "'colour'" in answer.json()["error"]


async def test_a_filter_given_twice_or_unknown_or_too_long_is_refused(site: Site) -> None:
    for url in ("/api/latest?asset=a&asset=b", "/api/series?quantity=powr", f"/api/series?match={'x' * 201}"):
        answer = await site.client.get(url)
        assert answer.status_code == 400, url
    assert "did you mean 'power'" in (await site.client.get("/api/series?quantity=powr")).json()["error"]


async def test_nothing_else_is_there(site: Site) -> None:
    for path in ("/api", "/api/health/", "/page.html", "/..%2fserver.py", "/server.py", "/docs"):
        answer = await site.client.get(path)
        assert answer.status_code == 404, path
        assert "error" in answer.json()


async def test_a_defect_is_one_sentence_outside_and_a_traceback_inside(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tanflow.web.app.metrics", lambda gateway: 1 / 0)
    answer = await site.client.get("/metrics")
    assert (answer.status_code, list(answer.json())) == (500, ["error"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "ZeroDivisionError" in caplog.text
    assert "Zero" not in answer.text


async def test_every_answer_carries_safe_headers(site: Site) -> None:
    for path in ("/", "/js/main.js", "/api/health", "/metrics", "/nothing"):
        headers = (await site.client.get(path)).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
    assert (await site.client.get("/api/health")).headers["cache-control"] == "no-store"


async def test_head_is_get_without_a_body(site: Site) -> None:
    for path in ("/", "/api/health", "/metrics"):
        answer = await site.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
async def test_other_methods_are_refused(site: Site, method: str) -> None:
    answer = await site.client.request(method, "/api/latest")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert "GET" in answer.json()["error"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8800"])
async def test_on_loopback_its_own_names_are_answered(site: Site, host: str) -> None:
    assert (await site.client.get("/api/health", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["rebound.example", "rebound.example:8800", "127.0.0.1.rebound.example", "", "::1"])
async def test_on_loopback_other_names_are_refused(site: Site, host: str) -> None:
    answer = await site.client.get("/api/health", headers={"host": host})
    assert answer.status_code == 421
    assert "localhost" in answer.json()["error"]


async def test_too_much_in_a_head_is_refused(site: Site) -> None:
    try:
        status = (await site.client.get("/api/series", headers={"x-much": "x" * 200_000})).status_code
    except httpx.TransportError:  # the answer came and the connection closed while the head was still being sent
        status = 400
    assert status == 400
