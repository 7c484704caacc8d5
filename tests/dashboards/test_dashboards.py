"""Every query of the dashboards and the rules runs on a real InfluxDB over a plant's series and finds data."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from carbon.books import Books
from carbon.publish import account_specs
from config.bindings import bind
from config.load import load
from config.model import InfluxSink as Config
from dashboards.boards import BOARDS
from dashboards.generate import main as generate
from pipeline.batch import Batch, Header, make
from pipeline.compile import compile_plan
from pipeline.counters import Counters
from pipeline.quality import INTEGRATED, UNCERTAIN
from pipeline.series import SeriesTable
from sinks.influxdb import InfluxSink
from tests.dashboards.grafana import answers, boards, chosen, expand, panel_queries, panels, rule_queries, rules
from tests.dashboards.grafana import load as load_file
from tests.services.influxd import Influxd

ROOT = Path(__file__).parents[2]
STEP_S, STEPS = 10, 180
LEVELS = {"energy": 0.25, "co2e": 0.12, "power": 90.0, "co2e_rate": 43.0, "energy_intensity": 640.0, "alert": 2.0}


def plant() -> SeriesTable:
    """Return the series of the factory example with one sink, as the gateway compiles them."""
    loaded = load(ROOT / "examples" / "factory.yaml")
    sink = Config(type="influxdb", api="v1", url="http://127.0.0.1:8086", database="tanflow")
    gateway = loaded.gateway.model_copy(update={"sinks": {"plant-db": sink}})
    plan = compile_plan(gateway, bind(gateway, loaded.templates), ROOT / "examples")
    plan.specs += account_specs(Books.planned(gateway, loaded.templates, plan.specs, ROOT / "examples"))
    return SeriesTable(1, plan.specs, {s.key: i for i, s in enumerate(plan.specs)}, plan.factors)


def half_an_hour(table: SeriesTable, end_ns: int) -> Batch:
    """Return a value of every series each ten seconds; the gateway's counters rise."""
    specs = [table.spec(series) for series in range(len(table))]
    values = np.array([LEVELS.get(s.like.quantity, 10.0) for s in specs])
    integrated = np.array([s.key.startswith("chiller-1") for s in specs])
    steps = np.repeat(np.arange(STEPS), len(specs))
    rising = np.tile([s.like.quantity in ("health", "tick") for s in specs], STEPS)
    return make(
        Header("floor", 1, "boot", end_ns, 0),
        end_ns - (STEPS - 1 - steps) * STEP_S * 10**9,
        np.tile(np.arange(len(specs)), STEPS),
        np.where(rising, steps, np.tile(values, STEPS)),
        np.tile(np.where(integrated, INTEGRATED | UNCERTAIN, 0), STEPS),
    )


def alerts() -> list[str]:
    return [s.key for s in plant().specs if s and s.like.quantity == "alert"]


@pytest.fixture
async def filled(influx: Influxd) -> tuple[Influxd, int]:
    """A database that holds the half hour up to now, and its end [ms]."""
    influx.create("tanflow")
    table, end_ns = plant(), time.time_ns() // 10**10 * 10**10
    config = Config(type="influxdb", api="v1", url=influx.url, database="tanflow")
    async with InfluxSink("plant-db", config, table, Counters()) as sink:
        assert list(await sink.write(half_an_hour(table, end_ns))) == []
    return influx, end_ns // 10**6


async def test_every_query_finds_data(filled: tuple[Influxd, int]) -> None:
    influx, end_ms = filled
    found = dict(answers(influx, "tanflow", end_ms - 1_800_000, end_ms))
    assert len(found) == len(panels()) + len(rules())
    assert [title for title, rows in found.items() if not rows] == []


async def test_totals_count_nothing_twice(filled: tuple[Influxd, int]) -> None:
    influx, end_ms = filled
    found = dict(answers(influx, "tanflow", end_ms - 1_800_000, end_ms))
    once, overview = STEPS * LEVELS["energy"], "tanflow-overview: "
    found = {name.removeprefix(overview): rows for name, rows in found.items()}
    assert [row["sum"] for row in found["Electricity"]] == [once], "the main meter, not the machines behind it"
    assert [row["sum"] for row in found["Fuel and heat"]] == [once]
    assert [row["sum"] for row in found["CO₂e scope 2, location-based"]] == pytest.approx([STEPS * LEVELS["co2e"]])
    rates = {row["non_negative_derivative"] for row in found["tanflow-gateway: Rows received"]}
    assert rates == {1 / STEP_S}
    assert {row["last"] for row in found["rule: An alert of the gateway fires"]} == {2.0}
    assert [row["count"] for row in found["Alerts that fired in the range"]] == [STEPS * len(alerts())]


async def test_the_choices_are_those_of_the_plant(filled: tuple[Influxd, int]) -> None:
    values = {uid: chosen(filled[0], "tanflow", uid) for uid in boards()}
    assert values["tanflow-overview"] == {"site": ["dongguan-1"], "main": ["main-meter"]}
    assert values["tanflow-compressors"]["asset"] == ["compressor-1", "compressor-2"]
    assert values["tanflow-furnaces"]["asset"] == ["furnace-1"]
    assert {"main-meter", "chiller-1", "pv-1"} <= set(values["tanflow-energy-carbon"]["asset"])


async def test_one_asset_can_be_chosen(filled: tuple[Influxd, int]) -> None:
    influx, end_ms = filled
    values = {"site": ["dongguan-1"], "asset": ["pv-1"], "main": ["main-meter"]}
    query = expand(panel_queries()["tanflow-energy-carbon: Energy by asset"], values, end_ms - 1_800_000, end_ms)
    assert {row["asset"] for row in influx.query("tanflow", query)} == {"pv-1"}


async def test_a_silent_gateway_gives_no_data(influx: Influxd) -> None:
    influx.create("tanflow")
    query, look_back_s = rule_queries()["Gateway silent"]
    now_ms = time.time_ns() // 10**6
    assert influx.query("tanflow", expand(query, {}, now_ms - look_back_s * 1000, now_ms)) == []
    (rule,) = (r for r in rules() if r["title"] == "Gateway silent")
    assert rule["noDataState"] == "Alerting"


def test_only_what_every_influxdb_speaks() -> None:
    queries = [*panel_queries().values(), *(query for query, _ in rule_queries().values())]
    for query in queries:
        assert query.startswith("SELECT ")
        assert not re.search(r"\b(SLIMIT|SOFFSET|tz)\b", query, re.IGNORECASE), query


def test_every_field_and_tag_asked_for_is_one_the_gateway_writes() -> None:
    specs = [s for s in plant().specs if s]
    fields = {s.like.field for s in specs} | {f"{s.like.field}_q" for s in specs}
    tags = {key for s in specs for key, _ in s.tags}
    measurements = {s.like.measurement for s in specs}
    for query in [*panel_queries().values(), *(query for query, _ in rule_queries().values())]:
        assert set(re.findall(r'"(\w+)"', query)) <= fields | tags | measurements, query


def test_panels_fill_their_rows_and_have_an_id_of_their_own() -> None:
    for board in BOARDS:
        assert all(sum(panel.width for panel in row.panels) == 24 for row in board.rows), board.uid
        assert len({panel.title for panel in board.panels}) == len(board.panels), board.uid
    for board in boards().values():
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_data_source_panels_and_rules_name_each_other() -> None:
    (source,) = load_file("provisioning/datasources/tanflow.yaml")["datasources"]
    assert {panel["datasource"]["uid"] for panel in panels().values()} == {source["uid"]}
    assert {rule["data"][0]["datasourceUid"] for rule in rules()} == {source["uid"]}
    for rule in rules():
        assert rule["condition"] in {data["refId"] for data in rule["data"]}
    (contact,) = load_file("provisioning/alerting/contact-points.yaml")["contactPoints"]
    (policy,) = load_file("provisioning/alerting/policies.yaml")["policies"]
    assert policy["receiver"] == contact["name"]


def test_no_secret_is_in_a_file() -> None:
    (source,) = load_file("provisioning/datasources/tanflow.yaml")["datasources"]
    assert all("$__file{" in value for value in source["secureJsonData"].values())


def test_compose_mounts_what_is_provisioned() -> None:
    grafana: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    (provider,) = load_file("provisioning/dashboards/tanflow.yaml")["providers"]
    mounts = {mount.split(":")[1] for mount in grafana["volumes"]}
    assert {"/etc/grafana/provisioning", provider["options"]["path"]} <= mounts
    assert {"INFLUX_URL", "ALERT_EMAILS"} <= set(grafana["environment"])
    assert "influx_token" in grafana["secrets"]


def test_the_files_are_fresh_and_a_stale_one_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    command = [sys.executable, "-m", "dashboards.generate", "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    monkeypatch.setattr("dashboards.generate.DATABASE", "another")
    assert generate(["--check"]) == 1
    assert "datasources/tanflow.yaml" in capsys.readouterr().err
    assert generate(["--wrong"]) == 2
