"""The provisioned files → every query as Grafana would send it, for a range and the choice "All"."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.services.influxd import Influxd

FOLDER = Path(__file__).parents[2] / "dashboards"


def load(name: str) -> Any:
    text = (FOLDER / name).read_text("utf-8")
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


def boards() -> dict[str, dict[str, Any]]:
    """Return the dashboards by uid."""
    return {path.stem: load(str(path.relative_to(FOLDER))) for path in sorted(FOLDER.glob("json/*/*.json"))}


def panels() -> dict[str, dict[str, Any]]:
    """Return every panel by `uid: title`."""
    return {
        f"{uid}: {panel['title']}": panel
        for uid, board in boards().items()
        for panel in board["panels"]
        if panel["type"] != "row"
    }


def panel_queries() -> dict[str, str]:
    """Return `uid: title` → query, macros and variables still in it."""
    return {name: target["query"] for name, panel in panels().items() for target in panel["targets"]}


def rules() -> list[dict[str, Any]]:
    groups = load("provisioning/alerting/rules.yaml")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def rule_queries() -> dict[str, tuple[str, int]]:
    """Return rule title → (query, look-back [s]); the doubled $ of provisioning files is undone as Grafana does."""
    return {
        rule["title"]: (data["model"]["query"].replace("$$", "$"), data["relativeTimeRange"]["from"])
        for rule in rules()
        for data in rule["data"]
        if data["datasourceUid"] != "__expr__"
    }


def chosen(influx: Influxd, database: str, uid: str) -> dict[str, list[str]]:
    """Return the values each variable of a dashboard offers, asked for in its order."""
    values: dict[str, list[str]] = {}
    for variable in boards()[uid]["templating"]["list"]:
        query = expand(variable["query"], values)
        values[variable["name"]] = sorted(row["value"] for row in influx.query(database, query))
    return values


def expand(query: str, values: dict[str, list[str]], from_ms: int = 0, to_ms: int = 0, interval: str = "10s") -> str:
    """Return the query with macros and variables replaced; fails when one is left."""

    def alternatives(match: re.Match[str]) -> str:
        escaped = [re.sub(r"([^\w\s])", r"\\\1", value) for value in values[match[1]]]
        return f"({'|'.join(escaped)})"

    query = query.replace("$timeFilter", f"time >= {from_ms}ms and time <= {to_ms}ms")
    query = query.replace("$__interval", interval)
    query = re.sub(r"\$\{(\w+):regex\}", alternatives, query)
    assert "${" not in query, query
    assert "$_" not in query, query
    return query


def answers(influx: Influxd, database: str, from_ms: int, to_ms: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield (title, rows with a value) of every panel and rule, asked of the database for the range."""
    values = {uid: chosen(influx, database, uid) for uid in boards()}
    steps = {name: panel["interval"] for name, panel in panels().items()}
    for name, query in panel_queries().items():
        mine = values[name.partition(":")[0]]
        yield name, _with_value(influx.query(database, expand(query, mine, from_ms, to_ms, steps[name])))
    for title, (query, look_back_s) in rule_queries().items():
        rows = influx.query(database, expand(query, values, to_ms - look_back_s * 1000, to_ms))
        yield f"rule: {title}", _with_value(rows)


def _with_value(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if any(isinstance(v, int | float) for k, v in row.items() if k != "time")]
