"""Configuration → stages: figures in one, alerts in another."""

from __future__ import annotations

from typing import Any

from config.bindings import bind
from config.model import Gateway
from pipeline.alerts.context import Context
from pipeline.alerts.stage import Alerts
from pipeline.compile import compile_plan
from pipeline.kpi import Windows
from pipeline.spec import Spec
from tanflow.stages import stages

POINTS = {
    "power": {"quantity": "power", "unit": "kW", "opcua": {"node": "ns=2;s=p"}},
    "flow": {"quantity": "volume_flow", "unit": "m3/h", "opcua": {"node": "ns=2;s=f"}},
}
OWN = {"type": "formula", "asset": "a", "formula": "integral(power)", "unit": "MJ", "every": "day"}


def built(**blocks: Any) -> tuple[dict[str, Spec], dict[str, int], list[Any]]:
    """Return the series by key, their ids and the stages of one compressor with the given blocks."""
    asset = {"type": "compressor", "devices": {"m": {"connection": "plc", "points": POINTS}}}
    site = {"name": "works", "region": "GB", "zone": "Europe/London"}
    plc = {"protocol": "opcua", "url": "opc.tcp://127.0.0.1:4840"}
    data = {"version": 1, "site": site, "connections": {"plc": plc}, "areas": {"hall": {"assets": {"a": asset}}}}
    gateway = Gateway.model_validate(data | blocks)
    devices = list(bind(gateway, {}))
    specs = {s.key: s for s in compile_plan(gateway, devices).specs}
    ids = {key: number for number, key in enumerate(specs)}
    return specs, ids, list(stages(Context.of(gateway, devices, ids)))


def test_an_alert_watches_a_figure_of_the_type_or_a_window_of_ones_own() -> None:
    alerts = {
        "dear": {"window": "a.specific-power", "above": 8, "clear_below": 7, "hold_s": 60},
        "much": {"window": "daily", "above": 9, "clear_below": 8},
    }
    specs, ids, (windows, stage) = built(windows={"daily": OWN}, alerts=alerts)
    assert isinstance(windows, Windows)
    assert isinstance(stage, Alerts)
    dear, much, *_ = stage.conditions["threshold"].limits[:2]  # then what the type brings
    assert (dear.watched, dear.completeness) == (ids["a.specific-power.kpi"], ids["a.specific-power.completeness"])
    assert stage.slots[0].state == ids["a.dear.alert"]
    assert stage.slots[0].hold_ns == 120 * 10**9  # and the grace after which a window is told
    assert much.watched == ids["a.daily.kpi"]
    assert specs["a.daily.kpi"].like.field == "daily_mj"
    assert specs["a.specific-power.kpi"].like.field == "specific_power_kw_m3_min"
    assert dict(specs["a.specific-power.kpi"].tags)["window"] == "specific-power"


def test_without_figures_there_are_alerts_alone() -> None:
    asset = {"type": "compressor", "kpis": "none", "devices": {"m": {"connection": "plc", "points": POINTS}}}
    _, _, found = built(areas={"hall": {"assets": {"a": asset}}})
    assert [type(stage) for stage in found] == [Alerts]
    assert sorted(found[0].conditions) == ["health", "stale"]


def test_a_changed_formula_is_a_new_revision() -> None:
    """What decides on rows is part of the plan's digest: `rules` differ where only the text of a formula does."""
    asset = {"type": "compressor", "kpis": "none", "devices": {"m": {"connection": "plc", "points": POINTS}}}
    rules = []
    for formula in ("integral(power)", "2 * integral(power)"):
        gateway = Gateway.model_validate(
            {
                "version": 1,
                "site": {"name": "works", "region": "GB"},
                "connections": {"plc": {"protocol": "opcua", "url": "opc.tcp://127.0.0.1:4840"}},
                "areas": {"hall": {"assets": {"a": asset}}},
                "windows": {"daily": OWN | {"formula": formula}},
            }
        )
        rules.append(compile_plan(gateway, bind(gateway, {})).rules)
    assert rules[0] != rules[1]
