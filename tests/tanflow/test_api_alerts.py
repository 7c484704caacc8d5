"""Alerts over real HTTP: rows fire them, people take them on or keep them quiet, and the page sees it at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.clock import SECOND_NS
from pipeline.heartbeat import TICK_KEY
from tests.tanflow.web import POWER, PUMP, START_NS, Site, open_site
from tests.waiting import until

RULES = """
alerts:
  too-much: {type: threshold, point: press.power, above: 50, severity: critical, advice: Switch it off}
  index: {type: threshold, point: press.energy_import, above: 1000}
  pump-runs: {type: threshold, point: pump.power, above: 5, hold_s: 600, severity: info}
notify:
  language: zh-CN
  maintenance:
    - {match: {assets: [pump]}, start: "2026-03-01T00:00", end: "2026-03-02T00:00", why: overhaul}
"""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path, more=RULES) as opened:
        yield opened


async def fire(site: Site) -> str:
    """Let the press take too much and return the id of the episode."""
    desk = site.gateway.desk
    await site.append(POWER, [0, 60], [10.0, 80.0])
    await site.append(TICK_KEY, [61], [1.0])
    await until(lambda: [e for e in desk.open.values() if e.value is not None], what="an episode")
    return next(iter(desk.open))


async def alerts(client: httpx.AsyncClient, state: str = "open") -> list[dict[str, Any]]:
    found = (await client.get("/api/alerts", params={"state": state})).json()["alerts"]
    assert isinstance(found, list)
    return found


async def test_what_fires_says_why_since_when_and_what_it_watches(site: Site) -> None:
    assert await alerts(site.client) == []
    name = await fire(site)
    answer = (await site.client.get("/api/alerts")).json()
    assert answer["counts"] == {"critical": 1, "warning": 0, "info": 0, "pending": 0}
    (one,) = answer["alerts"]
    assert one["id"] == name
    assert (one["asset"], one["area"], one["name"], one["kind"]) == ("press", "hall", "too-much", "threshold")
    assert (one["state"], one["severity"], one["advice"]) == ("open", "critical", "Switch it off")
    assert (one["since"], one["since_ns"]) == ("2026-03-01T08:01:00.000Z", START_NS + 60 * SECOND_NS)
    assert (one["ended"], one["ended_ns"], one["acknowledged"], one["silenced"]) == (None, None, None, None)
    assert (one["value"], one["worst"], one["limit"], one["unit"]) == (80.0, 80.0, 50.0, "kW")
    assert one["watched"] == POWER
    assert one["rule"]["above"] == 50
    known = site.gateway.table.ids
    assert {one["value_key"], one["limit_key"], one["watched"]} <= set(known)


async def test_every_view_counts_the_same(site: Site) -> None:
    await fire(site)
    await site.append(PUMP, [0, 60], [1.0, 9.0])
    gateway = site.gateway
    await until(lambda: gateway.latest.value[gateway.table.ids["pump.pump-runs.alert"]] == 1, what="pending")
    gateway.latest.time_ns[gateway.table.ids["press.too-much.alert"]] = 0  # fired long before a restart
    counted = {"critical": 1, "warning": 0, "info": 0, "pending": 1}
    assert (await site.client.get("/api/alerts")).json()["counts"] == counted
    assert (await site.client.get("/api/overview")).json()["alerts"] == counted
    areas = (await site.client.get("/api/assets")).json()["areas"]
    none = dict.fromkeys(counted, 0)
    assert {asset["name"]: asset["alerts"] for area in areas for asset in area["assets"]} == {
        "press": none | {"critical": 1},
        "pump": none | {"pending": 1},
    }


async def test_what_is_over_is_history(site: Site) -> None:
    name = await fire(site)
    await site.append(POWER, [120], [10.0])
    await until(lambda: not site.gateway.desk.open, what="the end")
    assert await alerts(site.client) == []
    (one,) = await alerts(site.client, "ended")
    assert (one["id"], one["state"], one["ended"]) == (name, "ended", "2026-03-01T08:02:00.000Z")
    assert [a["id"] for a in await alerts(site.client, "all")] == [name]
    before = {"state": "ended", "from": "2026-02-01T00:00:00Z", "to": "2026-03-01T08:00:30Z"}
    assert (await site.client.get("/api/alerts", params=before)).json()["alerts"] == []


async def test_what_is_not_true_for_long_enough_is_pending(site: Site) -> None:
    await site.append(PUMP, [0, 60], [1.0, 9.0])
    state = site.gateway.table.ids["pump.pump-runs.alert"]
    await until(lambda: site.gateway.latest.value[state] == 1, what="pending")
    (one,) = await alerts(site.client, "pending")
    assert (one["state"], one["asset"], one["since"]) == ("pending", "pump", "2026-03-01T08:01:00.000Z")
    assert (await site.client.get("/api/alerts")).json()["counts"]["pending"] == 1
    refused = await site.client.post("/api/alerts/acknowledge", json={"id": one["id"]})
    assert refused.status_code == 400


async def test_an_operator_acknowledges_once_and_all_see_it(site: Site) -> None:
    name = await fire(site)
    async with site.signed_in("Ann", "operator") as ann, site.signed_in("Bo", "viewer") as bo:
        assert (await ann.post("/api/alerts/acknowledge", json={"id": name, "note": "on my way"})).status_code == 200
        (one,) = await alerts(bo)
        known = one["acknowledged"]
        assert (known["by"], known["note"]) == ("Ann", "on my way")
        assert known["at"].startswith("2026-03-01T09:00")
        again = await ann.post("/api/alerts/acknowledge", json={"id": name})
        assert (again.status_code, "Ann has acknowledged" in again.json()["error"]) == (400, True)
        gone = await ann.post("/api/alerts/acknowledge", json={"id": "press.too-much@1"})
        assert (gone.status_code, "it may be over" in gone.json()["error"]) == (400, True)
    rows = site.gateway.log.reader.query("SELECT user, role, about FROM acts WHERE what = 'acknowledge'")
    assert rows == [("Ann", "operator", f'{{"id":"{name}","note":"on my way"}}')]


async def test_a_silence_keeps_it_quiet_until_it_is_ended(site: Site) -> None:
    await fire(site)
    async with site.signed_in("Ann", "operator") as ann:
        body = {"match": {"assets": ["press"]}, "for_s": 3_600, "why": "being repaired"}
        made = await ann.post("/api/silences", json=body)
        assert made.status_code == 201
        name = made.json()["id"]
        (one,) = await alerts(ann)
        assert (one["silenced"]["by"], one["silenced"]["why"]) == ("Ann", "being repaired")
        shown = {s["id"]: s for s in (await ann.get("/api/silences")).json()["silences"]}
        assert shown[name]["match"] == {"assets": ["press"]}
        assert shown[name]["until_ns"] - shown[name]["from_ns"] == pytest.approx(3_600 * SECOND_NS, rel=1e-3)
        assert (await ann.post("/api/silences/end", json={"id": name})).json() == {"id": name}
        assert (await alerts(ann))[0]["silenced"] is None
        twice = await ann.post("/api/silences/end", json={"id": name})
        assert (twice.status_code, "it may be over" in twice.json()["error"]) == (400, True)
    rows = site.gateway.log.reader.query("SELECT what FROM acts WHERE what LIKE '%silence' ORDER BY id")
    assert rows == [("silence",), ("unsilence",)]


async def test_a_silence_ends_at_a_time_too(site: Site) -> None:
    body = {"match": {"alerts": ["too-much"]}, "until": "2026-03-01T10:00:00Z", "why": "test"}
    name = (await site.client.post("/api/silences", json=body)).json()["id"]
    shown = {s["id"]: s for s in (await site.client.get("/api/silences")).json()["silences"]}
    assert (shown[name]["until"], shown[name]["by"]) == ("2026-03-01T10:00:00.000Z", "local")


async def test_maintenance_is_shown_and_ends_as_configured(site: Site) -> None:
    await site.append(TICK_KEY, [1], [1.0])
    await until(lambda: site.gateway.desk.silences, what="the window")
    (window,) = (await site.client.get("/api/silences")).json()["silences"]
    assert (window["why"], window["by"]) == ("overhaul", "maintenance")
    refused = await site.client.post("/api/silences/end", json={"id": window["id"]})
    assert (refused.status_code, "configuration" in refused.json()["error"]) == (400, True)


MATCH: dict[str, Any] = {"assets": ["press"]}


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/api/alerts/acknowledge", {}, "id: needs 'id:'"),
        ("/api/alerts/acknowledge", {"id": "x", "by": "Bo"}, "by: unknown key"),
        ("/api/alerts/acknowledge", {"id": "x", "note": "n" * 401}, "note"),
        ("/api/silences", {"match": MATCH, "why": "x"}, "either 'until' or 'for_s'"),
        ("/api/silences", {"match": MATCH, "why": "x", "for_s": 9, "until": "now"}, "either 'until' or 'for_s'"),
        ("/api/silences", {"match": MATCH, "why": "", "for_s": 9}, "why"),
        ("/api/silences", {"match": MATCH, "why": "x", "for_s": 1e9}, "for_s"),
        ("/api/silences", {"match": MATCH, "why": "x", "until": "2026-03-01T08:59:00Z"}, "within the next 90 days"),
        ("/api/silences", {"match": MATCH, "why": "x", "until": "2027-03-01T08:59:00Z"}, "within the next 90 days"),
        ("/api/silences", {"match": MATCH, "why": "x", "until": "noon"}, "is no time"),
        ("/api/silences", {"match": {"assets": ["pres"]}, "why": "x", "for_s": 9}, "did you mean 'press'?"),
        ("/api/silences", {"match": {"colour": ["red"]}, "why": "x", "for_s": 9}, "match.colour: unknown key"),
        ("/api/silences", {"match": {"severities": ["bad"]}, "why": "x", "for_s": 9}, "match.severities"),
        ("/api/silences/end", {"id": "s1"}, "there is no silence 's1'"),
    ],
)
async def test_what_cannot_be_meant_is_a_sentence(site: Site, path: str, body: object, sentence: str) -> None:
    answer = await site.client.post(path, json=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert sentence in answer.json()["error"]
    assert site.gateway.log.reader.query("SELECT count(*) FROM acts") == [(0,)]


@pytest.mark.parametrize("query", ["state=closed", "limit=1001", "limit=x", "from=noon", "colour=red"])
async def test_questions_that_cannot_be_meant_are_refused(site: Site, query: str) -> None:
    assert (await site.client.get(f"/api/alerts?{query}")).status_code == 400


async def test_an_excess_has_its_cost(site: Site) -> None:
    await fire(site)
    (one,) = await alerts(site.client)
    assert one["cost"] == site.gateway.costs.of("press", 30.0, site.gateway.desk.now_ns)._asdict()
    assert (one["excess_kw"], one["cost"]["kwh_per_h"]) == (30.0, 30.0)  # 80 − 50 kW
    assert one["cost"]["co2e_kg_per_h"] > 0
    assert one["energy_kwh"] == pytest.approx(30.0 * 900 / 3_600)  # an excess told once counts for 15 min


async def test_what_costs_nothing_that_is_known_is_unknown_never_zero(site: Site) -> None:
    await site.append("press.energy_import.energy_index", [0, 60], [10.0, 2_000.0])
    await until(lambda: site.gateway.desk.open, what="an episode")
    (one,) = await alerts(site.client)
    assert one["cost"] == {"kwh_per_h": None, "co2e_kg_per_h": None, "money_per_h": None, "currency": None}
    assert (one["energy_kwh"], one["excess_kw"]) == (None, None)


async def test_the_page_is_told_the_language_of_the_site(site: Site) -> None:
    assert (await site.client.get("/api/me")).json()["language_default"] == "zh-CN"
