"""What providers are asked and what their answers mean; whatever an answer is, nothing wrong of it is used.

The answers have the shapes their publishers document: NESO, Carbon Intensity API definitions
(https://carbon-intensity.github.io/api-definitions/, example of 2018-01-20); Electricity Maps API reference, carbon
intensity (https://app.electricitymaps.com/developer-hub/api, example of DE).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from carbon.live.http_get import MOST_BYTES, HttpGet
from carbon.live.json_paths import Unreadable
from carbon.live.providers import Ask, provider, read
from carbon.live.steps import HOUR_NS, Step, vet
from config.errors import Rejected, Unavailable
from config.providers import LiveProvider
from pipeline.batch import Reject
from tests.carbon.intensity_server import Answer, serving
from tests.services.mosquitto import make_certificates

MINUTE_NS = 60 * 10**9
NOON_NS = 1_516_449_600 * 10**9  # 2018-01-20T12:00Z
NOW = NOON_NS + 3 * HOUR_NS
ASKED = (NOON_NS, NOW)
TOKEN = "TOP-SECRET-42"
UK = {"provider": "uk_carbon_intensity"}
MAPS = {"provider": "electricity_maps", "zone": "DE", "token": {"env": "MAPS_TOKEN"}}
ANY = {
    "provider": "http_json", "url": "https://127.0.0.1/{start}/{end}", "publisher": "grid", "publication": "hours",
    "zone": "X", "gas": "co2e", "unit": "g/kWh", "time": "t", "value": "v",
}  # fmt: skip


def config(said: dict[str, Any], **more: Any) -> LiveProvider:
    made: LiveProvider = TypeAdapter(LiveProvider).validate_python(said | more)
    return made


def half_hour(**intensity: int | None) -> dict[str, Any]:
    return {"from": "2018-01-20T12:00Z", "to": "2018-01-20T12:30Z", "intensity": intensity | {"index": "moderate"}}


def hour(**other: Any) -> dict[str, Any]:
    return {
        "zone": "DE", "carbonIntensity": 302, "datetime": "2018-01-20T12:00:00.000Z", "isEstimated": False,
        "updatedAt": "2018-01-20T15:32:21.002Z", "emissionFactorType": "direct", "estimationMethod": None,
    } | other  # fmt: skip


def said(described: LiveProvider, answer: Any) -> list[Step | Reject]:
    return read(provider(described), orjson.dumps(answer))


# ── NESO ──────────────────────────────────────────────────────────────────────────────────────────


def test_great_britains_half_hours_are_what_was_and_until_then_what_was_forecast() -> None:
    client = provider(config(UK))
    ask = client.ask(NOON_NS, NOON_NS + HOUR_NS)
    assert ask == Ask("https://api.carbonintensity.org.uk/intensity/2018-01-20T12:00Z/2018-01-20T13:00Z", {})
    was = said(config(UK), {"data": [half_hour(forecast=266, actual=263), half_hour(forecast=266, actual=None)]})
    assert was == [
        Step(NOON_NS, 30 * MINUTE_NS, 0.263, "actual"),
        Step(NOON_NS, 30 * MINUTE_NS, 0.266, "forecast"),
    ]
    assert said(config(UK), {"data": [half_hour(forecast=None, actual=None)]}) == []  # not known is not zero
    assert client.said.gas == "co2"


def test_a_region_of_great_britain_is_only_ever_forecast() -> None:
    london = config(UK, regionid=13)
    path = provider(london).ask(NOON_NS, NOON_NS + HOUR_NS).url.removeprefix("https://api.carbonintensity.org.uk")
    assert path == "/regional/intensity/2018-01-20T12:00Z/2018-01-20T13:00Z/regionid/13"
    answer = {"data": {"regionid": 13, "shortname": "London", "data": [half_hour(forecast=122)]}}
    assert said(london, answer) == [Step(NOON_NS, 30 * MINUTE_NS, 0.122, "forecast")]
    with pytest.raises(Unreadable, match="is about zone 3, not 13"):
        said(london, {"data": {"regionid": 3, "data": [half_hour(forecast=122)]}})


# ── Electricity Maps ──────────────────────────────────────────────────────────────────────────────


def test_electricity_maps_is_asked_for_direct_figures_with_the_token_in_a_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAPS_TOKEN", TOKEN)
    day, days = (provider(config(MAPS, look_back_h=h)).ask(NOON_NS, NOON_NS + HOUR_NS) for h in (24, 48))
    query = "zone=DE&emissionFactorType=direct&temporalGranularity=hourly"
    assert day == Ask(f"https://api.electricitymaps.com/v3/carbon-intensity/history?{query}", {"auth-token": TOKEN})
    between = "start=2018-01-20T12%3A00%3A00Z&end=2018-01-20T13%3A00%3A00Z"
    assert days.url == f"https://api.electricitymaps.com/v3/carbon-intensity/past-range?{query}&{between}"
    assert TOKEN not in day.url + days.url


@pytest.mark.parametrize("key", ["history", "data"])
def test_electricity_maps_says_what_it_has_estimated(key: str) -> None:
    answer = {"zone": "DE", key: [hour(), hour(carbonIntensity=322, isEstimated=True), hour(carbonIntensity=None)]}
    assert said(config(MAPS), answer) == [
        Step(NOON_NS, HOUR_NS, 0.302, "actual"),
        Step(NOON_NS, HOUR_NS, 0.322, "estimated"),
    ]


def test_life_cycle_figures_are_no_factor_of_scope_2() -> None:
    (reject,) = said(config(MAPS), {"zone": "DE", "history": [hour(emissionFactorType="lifecycle")]})
    assert isinstance(reject, Reject)
    assert reject.reason == "has the emission factors 'lifecycle', not 'direct'"
    with pytest.raises(Unreadable, match="is about zone 'FR', not 'DE'"):
        said(config(MAPS), {"zone": "FR", "history": [hour()]})


# ── any JSON ──────────────────────────────────────────────────────────────────────────────────────


def test_any_json_is_read_by_the_paths_of_the_configuration() -> None:
    deep = config(ANY, items="result.0.rows", time="at.end", value="n.kg", unit="kg/MWh", stamps="end", step="15min",
                  estimated="n.guess", zone_at="result.0.zone")  # fmt: skip
    rows = [{"at": {"end": 1_516_449_600}, "n": {"kg": 250, "guess": False}},
            {"at": {"end": "2018-01-20T13:15:00+01:00"}, "n": {"kg": 125.5, "guess": True}}]  # fmt: skip
    answer = {"result": [{"zone": "X", "rows": rows}]}
    assert said(deep, answer) == [
        Step(NOON_NS - 15 * MINUTE_NS, 15 * MINUTE_NS, 0.25, "actual"),
        Step(NOON_NS, 15 * MINUTE_NS, 0.1255, "estimated"),
    ]
    assert said(config(ANY), [{"t": 1_516_449_600, "v": 0}]) == [Step(NOON_NS, HOUR_NS, 0.0, "actual")]
    assert said(config(ANY), {"t": 1_516_449_600, "v": None}) == []
    assert provider(config(ANY)).ask(NOON_NS, NOON_NS).url.endswith("/2018-01-20T12:00:00Z/2018-01-20T12:00:00Z")


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"t": "2018-01-20T12:00", "v": 1}, "has the time 2018-01-20T12:00 without an offset"),
        ({"t": "noon", "v": 1}, "has 'noon' for a time"),
        ({"t": "9999-12-31T23:59-12:00", "v": 1}, "has the year 9999"),
        ({"t": "0001-01-01T00:00+14:00", "v": 1}, "has the year 1"),
        ({"t": None, "v": 1}, "has None for a time"),
        ({"t": 1, "v": "302"}, "has '302' for a number"),
        ({"t": 1, "v": True}, "has True for a number"),
        ({"t": 1}, "has nothing at v"),
    ],
)
def test_a_step_that_cannot_be_read_is_kept_with_the_reason(item: dict[str, Any], reason: str) -> None:
    good = {"t": 1_516_449_600, "v": 302}
    step, reject = said(config(ANY), [good, item])
    assert step == Step(NOON_NS, HOUR_NS, 0.302, "actual")
    assert reject == Reject("answer", reason, orjson.dumps(item))


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": [{"from": "2018', b"[" * 100_000, b'{"data": 3}', b"[1]"])
def test_an_answer_that_is_something_else_says_so(body: bytes) -> None:
    for described in (config(UK), config(MAPS), config(ANY, items="data")):
        with pytest.raises(Unreadable):
            read(provider(described), body)


LEAF = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=3)
    | st.sampled_from(["2018-01-20T12:00Z", "2018-01-20T12:30Z", "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00",
                       "direct", 1e11, 300])
)  # fmt: skip
INTENSITY = st.fixed_dictionaries({}, optional={"actual": LEAF, "forecast": LEAF}) | LEAF
NAMES = ("from", "to", "datetime", "carbonIntensity", "isEstimated", "emissionFactorType", "t", "v")
ITEM = LEAF | st.fixed_dictionaries(dict.fromkeys(NAMES, LEAF), optional={"intensity": INTENSITY})
JSON = st.recursive(ITEM, lambda inner: st.lists(inner, max_size=3) | st.fixed_dictionaries({"data": inner}))


@settings(max_examples=300)
@given(JSON, JSON)
def test_whatever_an_answer_is_it_is_steps_rejects_or_a_sentence(item: Any, other: Any) -> None:
    clients = [config(UK), config(UK, regionid=13), config(MAPS), config(ANY), config(ANY, items="data")]
    bodies = [item, {"data": [item, other]}, {"data": {"regionid": 13, "data": [item]}}, {"zone": "DE", "data": [item]}]
    for described in clients:
        for body in bodies:
            with suppress(Unreadable):
                used, rejects = vet(said(described, body), described.step_ns, ASKED, NOW)
                assert all(step.start_ns + step.span_ns <= NOW for step in used)
                assert all(reject.reason for reject in rejects)


@pytest.mark.parametrize(
    ("said", "more"),
    [
        (UK, {"url": "https://me:pw@127.0.0.1"}),
        (UK, {"proxy": "http://me:pw@127.0.0.1"}),
        (UK, {"url": "https://127.0.0.1?apikey=1"}),
        (UK, {"every_s": 1}),
        (UK, {"regionid": 18}),
        (MAPS, {"token": None}),
        (MAPS, {"url": "http://example.org"}),
        (MAPS, {"zone": "de"}),
    ],
)
def test_what_would_be_rude_or_leak_cannot_be_configured(said: dict[str, Any], more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(said, **more)


# ── what all are held to ──────────────────────────────────────────────────────────────────────────


def at(hours: float, value: float = 0.3, span: int = HOUR_NS) -> Step:
    return Step(NOON_NS + int(hours * HOUR_NS), span, value, "actual")


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([at(0, 302.0)], "302 kg/kWh is not a grid's intensity; is the unit right?"),
        ([at(0, -0.001)], "-0.001 kg/kWh is not a grid's intensity; is the unit right?"),
        ([at(0, float("nan"))], "nan kg/kWh is not a grid's intensity; is the unit right?"),
        ([at(0, span=HOUR_NS // 2)], "lasts 30 min, not 60 min"),
        ([at(0, span=-HOUR_NS)], "lasts -60 min, not 60 min"),
        ([at(1 / 60)], "begins off the quarter hour"),
        ([at(100)], "lies further ahead than anybody forecasts"),
        ([at(0), at(0, 0.4)], "overlaps another step of the same answer"),
        ([at(0), at(0.5)], "overlaps another step of the same answer"),
    ],
)
def test_what_cannot_be_true_is_never_used(steps: list[Step], reason: str) -> None:
    good = at(2)
    used, rejects = vet([*steps, good], HOUR_NS, ASKED, NOW)
    assert used == [good]
    assert [r.reason for r in rejects] == [reason] * len(steps)


def test_steps_that_run_still_or_were_not_asked_for_are_passed_over() -> None:
    used, rejects = vet([at(-1), at(0), at(0), at(2), at(3), at(26)], HOUR_NS, ASKED, NOW)
    assert used == [at(0), at(2)]
    assert not rejects


@given(
    st.lists(
        st.builds(
            Step,
            st.integers(-40, 500).map(lambda q: NOON_NS + q * 15 * MINUTE_NS),
            st.sampled_from([HOUR_NS, HOUR_NS, HOUR_NS, HOUR_NS // 2]),
            st.floats(-1, 3) | st.just(float("nan")),
            st.sampled_from(["actual", "estimated", "forecast"]),
        ),
        max_size=20,
    )
)
def test_what_is_used_lies_side_by_side_in_what_was_asked_for(steps: list[Step]) -> None:
    used, _ = vet(steps, HOUR_NS, ASKED, NOW)
    ends = [s.start_ns + s.span_ns for s in used]
    assert all(end <= after.start_ns for end, after in zip(ends, used[1:], strict=False))
    assert all(
        0 <= s.kg_per_kwh <= 2 and s.start_ns >= NOON_NS and end <= NOW for s, end in zip(used, ends, strict=True)
    )


# ── over the network ──────────────────────────────────────────────────────────────────────────────


def fetched(url: str, path: str = "/", headers: dict[str, str] | None = None, **more: Any) -> bytes:
    return HttpGet(config(UK, **({"url": url, "timeout_s": 60} | more)))(Ask(f"{url}{path}", headers or {}))


def test_an_answer_arrives_whole() -> None:
    with serving(Answer(b'{"data": []}')) as server:
        assert fetched(server.url, "/intensity/a/b", {"auth-token": TOKEN}) == b'{"data": []}'
        ((path, headers),) = server.asked
        assert path == "/intensity/a/b"
        assert headers["auth-token"] == TOKEN
        assert headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, Rejected, r"refuses the token \(401\): check factors.live.token"),
        (403, Rejected, r"refuses the token \(403\): check factors.live.token"),
        (404, Rejected, r"cannot answer this \(404\): check the zone and url"),
        (302, Rejected, r"sends elsewhere \(302\), which is not followed"),
        (500, Unavailable, "answers 500"),
        (429, Unavailable, "answers 429"),
    ],
)
def test_every_other_answer_is_a_sentence(status: int, error: type[Exception], words: str) -> None:
    with serving(Answer(b"{}", status, {"Location": "/elsewhere", "Retry-After": "120"})) as server:
        with pytest.raises(error, match=words) as caught:
            fetched(server.url)
        assert len(server.asked) == 1  # not asked again, not followed
    assert not isinstance(caught.value, Unavailable) or caught.value.after_s == 120.0


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Answer(b"x" * (MOST_BYTES + 1)), Rejected, "is larger than 2 MB"),
        (Answer(b"x" * 100, drip_s=0.05), Unavailable, "took longer than 2 s|broke off"),
        (Answer(b"{", length=100), Unavailable, "broke off|no answer|took longer"),
    ],
)
def test_too_much_too_slow_or_cut_off(answer: Answer, error: type[Exception], words: str) -> None:
    with serving(answer) as server, pytest.raises(error, match=words):
        fetched(server.url, timeout_s=60 if answer.drip_s == 0 else 2)


def test_nobody_there_and_no_encryption_where_it_was_asked_for() -> None:
    with serving(Answer(b"{}")) as server:
        pass
    with pytest.raises(Unavailable, match=r"no answer from 127\.0\.0\.1"):
        fetched(server.url)
    with serving(Answer(b"{}")) as server, pytest.raises(Unavailable, match="SSLError"):
        fetched(server.url.replace("http", "https"))


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    with serving(Answer(b"{}"), tls=tmp_path) as server:
        with pytest.raises(Unavailable, match="SSL"):
            fetched(server.url)
        assert not server.asked
        assert fetched(server.url, ca=tmp_path / "ca.pem") == b"{}"


def test_through_a_proxy() -> None:
    with serving(Answer(b"{}")) as proxy:
        assert fetched("http://127.0.0.1:9", "/intensity", proxy=proxy.url) == b"{}"
        assert proxy.asked[0][0] == "http://127.0.0.1:9/intensity"


def test_a_token_is_in_no_message_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    for answer in (Answer(b"{}", 401), Answer(b"{}", 500), Answer(b"{", length=100)):
        with serving(answer) as server, pytest.raises((Rejected, Unavailable)) as caught:
            fetched(server.url, headers={"auth-token": TOKEN})
        told += f"{caught.value!r} {caught.value.__cause__!r}"
    assert TOKEN not in told + caplog.text
