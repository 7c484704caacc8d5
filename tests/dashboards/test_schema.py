"""The dashboards against Grafana's own schema: TypeScript holds each file to the types Grafana publishes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.grafana import boards, panels
from tests.services.node import PEERS

SCHEMA = PEERS / "node_modules" / "@grafana" / "schema" / "dist" / "esm"
# Type of a panel → the module of its options, and whether it publishes the form of its fields too.
MODULES = {
    "timeseries": ("timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen", True),
    "stat": ("stat/panelcfg/x/StatPanelCfg_types.gen", False),
    "bargauge": ("bargauge/panelcfg/x/BarGaugePanelCfg_types.gen", False),
    "state-timeline": ("statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen", True),
}
# An enum takes no literal of its own value in TypeScript, JSON has nothing else: the types are read with their values.
HEAD = """
import type {Dashboard} from "schema/raw/dashboard/x/dashboard_types.gen";
type Plain<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends Array<infer I> ? Array<Plain<I>> : T extends object ? {[K in keyof T]: Plain<T[K]>} : T;
"""


def source(dashboards: dict[str, Any], shown: dict[str, Any]) -> str:
    """Return the program: every dashboard, and every panel's options and fields, each held to its type."""
    lines = [HEAD]
    for kind, (module, fields) in MODULES.items():
        names = f"Options as {_name(kind)}Options" + (f", FieldConfig as {_name(kind)}Fields" if fields else "")
        lines.append(f'import type {{{names}}} from "schema/raw/composable/{module}";')
    lines += [f"({json.dumps(board)}) satisfies Plain<Dashboard>;" for board in dashboards.values()]
    for panel in shown.values():
        kind = _name(panel["type"])
        lines.append(f"({json.dumps(panel['options'])}) satisfies Plain<Partial<{kind}Options>>;")
        if MODULES[panel["type"]][1]:
            custom = panel["fieldConfig"]["defaults"]["custom"]
            lines.append(f"({json.dumps(custom)}) satisfies Plain<Partial<{kind}Fields>>;")
    return "\n".join(lines) + "\n"


def _name(kind: str) -> str:
    return "".join(word.title() for word in kind.split("-"))


def compiled(node: str, folder: Path, text: str) -> str:
    """Return what TypeScript says of a program, "" where nothing is wrong."""
    (folder / "boards.ts").write_text(text, "utf-8")
    options = {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "types": [],
        "paths": {"schema/*": [f"{SCHEMA}/*"]},
    }
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["boards.ts"]}))
    command = [node, str(PEERS / "node_modules" / "typescript" / "bin" / "tsc"), "-p", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False).stdout


def test_every_dashboard_is_one_by_grafanas_schema(node: str, tmp_path: Path) -> None:
    assert compiled(node, tmp_path, source(boards(), panels())) == ""


@pytest.mark.parametrize(
    ("place", "wrong"),
    [("uiid", "a key it does not know"), ("schemaVersion", "40"), ("graphTooltip", 7), ("refresh", 10)],
)
def test_what_is_none_is_refused(node: str, tmp_path: Path, place: str, wrong: Any) -> None:
    small = {"uid": "one", "title": "one", "schemaVersion": 40, "panels": []}
    assert compiled(node, tmp_path, source({"sound": small}, {})) == ""
    assert "error TS" in compiled(node, tmp_path, source({"broken": small | {place: wrong}}, {}))


def test_options_of_another_panel_are_refused(node: str, tmp_path: Path) -> None:
    panel = next(iter(panels().values())) | {"type": "stat", "options": {"graphMode": "sometimes"}}
    assert "sometimes" in compiled(node, tmp_path, source({}, {"broken": panel}))
