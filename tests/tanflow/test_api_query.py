"""/api/query against known rows: stored ones, the log's tail, roll-ups, and everything it must refuse."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from config.errors import Rejected
from tanflow.web.history.query import Asked, parse
from tanflow.web.parameters import step_ns, time_ns
from tests.tanflow.web import ENERGY, POWER, PUMP, START_NS, Site, open_site

FROM, TO = "2026-03-01T08:00:00Z", "2026-03-01T09:00:00Z"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """1 kW at second 0, 2 kW at second 1 … of two minutes; the first 100 rows in files, the rest in the log."""
    async with open_site(tmp_path) as opened:
        await opened.append(POWER, range(100), [float(i + 1) for i in range(100)])
        await opened.gateway.archivist.cut()
        await opened.append(POWER, range(100, 120), [float(i + 1) for i in range(100, 120)])
        assert opened.gateway.history.cursor < opened.gateway.log.position
        yield opened


async def ask(site: Site, **parameters: Any) -> Any:
    answer = await site.client.get("/api/query", params={"from": FROM, "to": TO, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_rows_as_stored_from_files_and_tail(site: Site) -> None:
    found = await ask(site, series=POWER)
    assert (found["rows"], found["step_ns"], found["aggregate"]) == (120, None, None)
    (columns,) = found["series"]
    assert (columns["key"], columns["unit"]) == (POWER, "kW")
    assert columns["value"] == [float(i + 1) for i in range(120)]
    assert columns["time_ns"] == [START_NS + i * 10**9 for i in range(120)]
    assert set(columns["span_ns"]) == {0}
    assert set(columns["bits"]) == {0}


async def test_tail_and_files_give_the_same_after_a_cut(site: Site) -> None:
    questions: list[dict[str, Any]] = [
        {"series": POWER},
        {"series": POWER, "step": "7s", "aggregate": "max"},
        {"series": POWER, "step": "1min", "aggregate": "integral"},
    ]
    before = [await ask(site, **question) for question in questions]
    await site.gateway.archivist.cut()
    assert site.gateway.history.cursor == site.gateway.log.position
    assert [await ask(site, **question) for question in questions] == before


# By hand: minute 0 holds 1…60, minute 1 holds 61…120; integrals are Σ (a + b) / 2 · 1 s of neighbours, the pair over
# the minute's edge counted up to it.
@pytest.mark.parametrize(
    ("aggregate", "values"),
    [
        ("mean", [30.5, 90.5]),
        ("min", [1.0, 61.0]),
        ("max", [60.0, 120.0]),
        ("sum", [1830.0, 5430.0]),
        ("first", [1.0, 61.0]),
        ("last", [60.0, 120.0]),
        ("count", [60.0, 60.0]),
    ],
)
async def test_aggregates_by_minute(site: Site, aggregate: str, values: list[float]) -> None:
    found = await ask(site, series=POWER, step="1min", aggregate=aggregate)
    (columns,) = found["series"]
    assert columns["value"] == values
    assert columns["time_ns"] == [START_NS, START_NS + 60 * 10**9]
    assert columns["bad"] == [0, 0]
    assert columns["unit"] == ("1" if aggregate == "count" else "kW")


async def test_integral_has_its_unit_and_the_whole_area(site: Site) -> None:
    (columns,) = (await ask(site, series=POWER, step="1h", aggregate="integral"))["series"]
    assert columns["unit"] == "kW·s"
    assert columns["value"] == [pytest.approx(sum((2 * i + 3) / 2 for i in range(119)))]


async def test_steps_below_a_minute_come_from_rows(site: Site) -> None:
    (columns,) = (await ask(site, series=POWER, step="30s", aggregate="sum"))["series"]
    assert columns["value"] == [465.0, 1365.0, 2265.0, 3165.0]


async def test_amounts_are_shared_among_the_hours_they_cover(site: Site) -> None:
    await site.append(ENERGY, [5_400], [30.0], span_s=3_600)  # 08:30 to 09:30
    (columns,) = (await ask(site, series=ENERGY, step="1h", aggregate="sum", to="2026-03-01T10:00:00Z"))["series"]
    assert columns["value"] == [pytest.approx(15.0), pytest.approx(15.0)]


async def test_several_series_in_the_order_asked(site: Site) -> None:
    await site.append(PUMP, [5], [3.0])
    for asked in ({"series": f"{PUMP},{POWER}"}, {"series": [PUMP, POWER]}):
        found = await ask(site, **asked)
        assert [(c["key"], len(c["value"])) for c in found["series"]] == [(PUMP, 1), (POWER, 120)]
    assert len((await ask(site, series=[POWER, POWER]))["series"]) == 1


async def test_range_includes_its_begin_and_not_its_end(site: Site) -> None:
    (columns,) = (await ask(site, series=POWER, **{"from": str(START_NS + 10**9), "to": str(START_NS + 3 * 10**9)}))[
        "series"
    ]
    assert columns["value"] == [2.0, 3.0]


async def test_relative_times_follow_the_gateways_clock(site: Site) -> None:
    now_ns = site.gateway.clock.now_ns()

    def asked(**texts: str) -> Asked:
        return parse(QueryParams({"series": POWER, **texts}), site.gateway)

    hour = asked()
    assert abs(hour.end_ns - now_ns) < 60 * 10**9
    assert abs(hour.end_ns - hour.start_ns - 3_600 * 10**9) < 10**9
    assert abs(asked(**{"from": "-2d", "to": "-1d"}).start_ns - now_ns + 2 * 86_400 * 10**9) < 60 * 10**9
    # Midnight of 2026-03-01 in Asia/Kolkata (+05:30).
    assert asked(**{"from": "today"}).start_ns == START_NS - (13 * 3_600 + 1_800) * 10**9
    for text in ("2026-03-01T13:30:00+05:30", "2026-03-01T13:30:00 05:30", "2026-03-01T08:00:00Z", "20260301T080000Z"):
        assert asked(**{"from": text}).start_ns == START_NS


async def test_csv_says_the_same(site: Site) -> None:
    await site.append(PUMP, [5], [float("nan")])
    parameters = {"series": f"{POWER},{PUMP}", "from": FROM, "to": TO, "format": "csv"}
    answer = await site.client.get("/api/query", params=parameters)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 121
    power = [row for row in rows if row["series"] == POWER]
    assert [float(row["value"]) for row in power] == [float(i + 1) for i in range(120)]
    assert power[0] == {
        "time": "2026-03-01T08:00:00.000Z",
        "time_ns": str(START_NS),
        "series": POWER,
        "unit": "kW",
        "value": "1.0",
        "quality": "good",
        "bits": "0",
        "bad": "0",
    }
    assert [row["value"] for row in rows if row["series"] == PUMP] == [""]


async def test_nothing_in_the_range_is_empty_not_wrong(site: Site) -> None:
    found = await ask(site, series=PUMP)
    assert (found["rows"], found["series"][0]["value"]) == (0, [])


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "'series' is missing"),
        ({"series": "press.powr.power"}, f"did you mean '{POWER}'"),
        ({"series": [f"s{i}" for i in range(257)]}, "more than 256"),
        ({"series": POWER, "from": "yesterday"}, "is no time"),
        ({"series": POWER, "from": "2026-03-01T08:00:00"}, "does not say its zone"),
        ({"series": POWER, "from": "1772352000"}, "nanoseconds"),
        ({"series": POWER, "from": "9999999999999999999"}, "between the years"),
        ({"series": POWER, "from": "-1fortnight"}, "no duration"),
        ({"series": POWER, "from": "-999999999w"}, "between the years"),
        ({"series": POWER, "from": TO, "to": FROM}, "later than"),
        ({"series": POWER, "step": "0s"}, "no duration"),
        ({"series": POWER, "step": "1 month"}, "no duration"),
        ({"series": POWER, "step": "400d"}, "366 days"),
        ({"series": POWER, "step": "1min", "aggregate": "median"}, "none of mean, min"),
        ({"series": POWER, "aggregate": "mean"}, "goes with a step"),
        ({"series": POWER, "format": "xlsx"}, "none of json, csv"),
        ({"series": POWER, "from": [FROM, FROM]}, "2 times"),
        ({"series": POWER, "limit": "5"}, "unknown parameter 'limit'"),
    ],
)
async def test_what_cannot_be_meant_is_400_with_a_sentence(
    site: Site, parameters: dict[str, Any], sentence: str
) -> None:
    answer = await site.client.get("/api/query", params=parameters)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


async def test_too_many_rows_are_refused_with_the_way_out(site: Site) -> None:
    many = 100_001
    await site.append(PUMP, [i * 0.03 for i in range(many)], [1.0] * many)
    answer = await site.client.get("/api/query", params={"series": PUMP, "from": FROM, "to": TO})
    assert answer.status_code == 400
    assert "longer step" in answer.json()["error"] or "fewer series" in answer.json()["error"]
    assert (await ask(site, series=PUMP, step="1h", aggregate="count"))["series"][0]["value"] == [float(many)]


async def test_a_history_far_behind_asks_to_come_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tanflow.web.history.query._TAIL_SPARE", 0)
    answer = await site.client.get("/api/query", params={"series": POWER})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "behind" in answer.json()["error"]


_TEXTS = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"-?\d{0,20}(s|min|h|d|w)?", fullmatch=True),
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.sampled_from(["now", "today", "none", "mean", "integral", "csv", POWER, PUMP, f"{POWER},{PUMP}", "\0", "-0s"]),
)
_NAMES = st.sampled_from(["series", "from", "to", "step", "aggregate", "format", "colour"])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.tuples(_NAMES, _TEXTS), max_size=8))
async def test_no_parameters_make_the_gateway_fail(site: Site, parameters: list[tuple[str, str]]) -> None:
    parameters = [("series", POWER), *parameters]
    answer = await site.client.get("/api/query?" + urlencode(parameters))
    assert answer.status_code in (200, 400), (parameters, answer.text)
    if answer.status_code == 400:
        assert answer.json()["error"]


@given(st.one_of(st.text(), _TEXTS))
def test_any_text_is_an_instant_a_step_or_a_sentence(text: str) -> None:
    with contextlib.suppress(Rejected):
        assert 0 <= time_ns(text, "from", START_NS, ZoneInfo("UTC")) < 2**63
    with contextlib.suppress(Rejected):
        assert (step_ns(text) or 1) > 0
