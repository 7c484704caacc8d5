"""Dashboards and rules as data → the files Grafana provisions: `python -m dashboards.generate [--check]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from config.generated import generate
from dashboards.boards import BOARDS
from dashboards.panels import Board, Panel, Rule, Variable
from dashboards.rules import RULES

HERE: Final = Path(__file__).parent
SOURCE: Final = {"type": "influxdb", "uid": "tanflow-influxdb"}
DATABASE: Final = "tanflow"
NOTE: Final = "# Written by `python -m dashboards.generate` from the files beside it; change them there.\n"


# ── the dashboard ─────────────────────────────────────────────────────────────────────────────────


def dashboard(board: Board) -> dict[str, Any]:
    """Return a dashboard in the form of Grafana 11."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in board.rows:
        place = _place(0, top, 24, 1)
        panels.append({"id": len(panels) + 1, "type": "row", "title": row.title, "collapsed": False, "gridPos": place})
        panels[-1]["panels"] = []
        left, top = 0, top + 1
        for panel in row.panels:
            panels.append(_panel(panel, len(panels) + 1, _place(left, top, panel.width, row.height)))
            left += panel.width
        top += row.height
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.about,
        "tags": ["tanflow"],
        "schemaVersion": 40,
        "editable": True,
        "timezone": "browser",
        "time": {"from": board.span, "to": "now"},
        "refresh": board.refresh,
        "templating": {"list": [_variable(v) for v in board.variables]},
        "annotations": {"list": []},
        "links": [_LINK],
        "panels": panels,
    }


# From each dashboard to all others, with the range and the choices kept.
_LINK: Final = {
    "type": "dashboards",
    "title": "tanflow",
    "tags": ["tanflow"],
    "asDropdown": True,
    "includeVars": True,
    "keepTime": True,
    "targetBlank": False,
    "icon": "external link",
    "tooltip": "",
    "url": "",
}


def _place(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": SOURCE,
        "query": variable.query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    kind = "timeseries" if panel.kind == "bars" else panel.kind
    defaults: dict[str, Any] = {"unit": panel.unit, "custom": _custom(panel)}
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.states:
        words = {str(value): {"text": word, "color": colour} for value, word, colour in panel.states}
        defaults["mappings"] = [{"type": "value", "options": words}]
    if panel.steps:
        steps = [{"value": value, "color": colour} for value, colour in panel.steps]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return {
        "id": number,
        "type": kind,
        "title": panel.title,
        "description": panel.about,
        "gridPos": place,
        "datasource": SOURCE,
        "interval": panel.every,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [_target(panel.query) | {"alias": panel.label}],
    }


def _custom(panel: Panel) -> dict[str, Any]:
    if panel.kind == "bars":
        return {"drawStyle": "bars", "fillOpacity": 70, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}}
    if panel.kind == "timeseries":
        # Windows are told once each: between two of them the line goes on.
        spans = panel.every.endswith(("m", "h"))
        return {"drawStyle": "line", "lineWidth": 1, "showPoints": "auto", "spanNulls": True if spans else 120_000}
    return {}


def _options(panel: Panel) -> dict[str, Any]:
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
    if panel.kind in ("stat", "bargauge"):
        reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        colour = "value" if panel.steps else "none"
        shape = {"colorMode": colour, "graphMode": "none"} if panel.kind == "stat" else {"displayMode": "basic"}
        return {"reduceOptions": reduce, "orientation": "auto" if panel.kind == "stat" else "horizontal", **shape}
    if panel.kind == "state-timeline":
        return {"showValue": "never", "mergeValues": True, "rowHeight": 0.8, "legend": legend}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _target(query: str) -> dict[str, Any]:
    return {"refId": "A", "datasource": SOURCE, "query": query, "rawQuery": True, "resultFormat": "time_series"}


# ── provisioning ──────────────────────────────────────────────────────────────────────────────────


def datasources() -> dict[str, Any]:
    """Return the data source: the address from the environment, the token from a file, neither written here."""
    source = {
        "name": "tanflow",
        "uid": SOURCE["uid"],
        "type": SOURCE["type"],
        "access": "proxy",
        "isDefault": True,
        "url": "${INFLUX_URL}",
        "jsonData": {
            "dbName": DATABASE,
            "httpMode": "POST",
            "timeInterval": "1s",
            "httpHeaderName1": "Authorization",
        },
        "secureJsonData": {"httpHeaderValue1": "Token $__file{/run/secrets/influx_token}"},
    }
    return {"apiVersion": 1, "datasources": [source]}


def providers() -> dict[str, Any]:
    """Return where Grafana finds the dashboards; each folder of files becomes one of Grafana."""
    provider = {
        "name": "tanflow",
        "type": "file",
        "allowUiUpdates": False,
        "options": {"path": "/var/lib/grafana/dashboards", "foldersFromFilesStructure": True},
    }
    return {"apiVersion": 1, "providers": [provider]}


def rules() -> dict[str, Any]:
    """Return the alert rules."""
    group = {"orgId": 1, "name": "tanflow", "folder": "Gateway", "interval": "1m", "rules": [_rule(r) for r in RULES]}
    return {"apiVersion": 1, "groups": [group]}


def contacts() -> dict[str, Any]:
    """Return whom Grafana tells; the addresses come from the environment."""
    mail = {
        "uid": "tanflow-mail",
        "type": "email",
        "settings": {"addresses": "${ALERT_EMAILS}", "singleEmail": True},
        "disableResolveMessage": False,
    }
    return {"apiVersion": 1, "contactPoints": [{"orgId": 1, "name": "tanflow", "receivers": [mail]}]}


def policies() -> dict[str, Any]:
    """Return how what fires together is told together."""
    policy = {
        "orgId": 1,
        "receiver": "tanflow",
        "group_by": ["site", "alertname"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "4h",
    }
    return {"apiVersion": 1, "policies": [policy]}


def _rule(rule: Rule) -> dict[str, Any]:
    span = {"from": rule.look_back_s, "to": 0}
    last = {"refId": "B", "type": "reduce", "expression": "A", "reducer": "last", "settings": {"mode": "dropNN"}}
    condition = {"evaluator": {"type": rule.evaluator, "params": [rule.limit]}}
    compare = {"refId": "C", "type": "threshold", "expression": "B", "conditions": [condition]}
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": "C",
        "for": rule.hold,
        "noDataState": rule.no_data,
        "execErrState": "Error",
        "labels": {"severity": rule.severity},
        "annotations": {"summary": _literal(rule.summary)},
        "data": [
            {
                "refId": "A",
                "datasourceUid": SOURCE["uid"],
                "relativeTimeRange": span,
                "model": _target(_literal(rule.query)),
            },
            {"refId": "B", "datasourceUid": "__expr__", "relativeTimeRange": span, "model": last},
            {"refId": "C", "datasourceUid": "__expr__", "relativeTimeRange": span, "model": compare},
        ],
    }


def _literal(text: str) -> str:
    """Return text as provisioning files need it: a single $ would be taken for an environment variable."""
    return text.replace("$", "$$")


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


def files() -> dict[Path, str]:
    """Return every file with its content."""
    provisioning = HERE / "provisioning"
    return {
        **{HERE / "json" / board.folder / f"{board.uid}.json": _json(dashboard(board)) for board in BOARDS},
        provisioning / "datasources" / "tanflow.yaml": _yaml(datasources()),
        provisioning / "dashboards" / "tanflow.yaml": _yaml(providers()),
        provisioning / "alerting" / "rules.yaml": _yaml(rules()),
        provisioning / "alerting" / "contact-points.yaml": _yaml(contacts()),
        provisioning / "alerting" / "policies.yaml": _yaml(policies()),
    }


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _yaml(content: dict[str, Any]) -> str:
    return NOTE + yaml.dump(content, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=1_000)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with --check compare them; return the exit code."""
    return generate(files, arguments, "dashboards.generate", "make dashboards")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
