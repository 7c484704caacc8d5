"""What needs no rule, what replaces it, and rules that are right; those that are wrong are cases in data/broken."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from config.alerting import Alert, alerts_of
from config.alerts import CalibrationDue, Frozen, Health, Rule, Stale
from config.bindings import bind
from config.errors import GatewayError
from config.kpis import figures, points_of
from config.model import Gateway
from pipeline.compile import compile_plan

METER = {
    "power": {"quantity": "power", "unit": "kW", "modbus": {"address": 0, "type": "uint32"}},
    "voltage": {"quantity": "voltage", "unit": "V", "modbus": {"address": 2, "type": "uint32"}},
    "energy_import": {"quantity": "energy_index", "unit": "kWh", "modbus": {"address": 4, "type": "uint32"}},
}
PLC = {
    "warmth": {"quantity": "temperature", "unit": "degC", "mqtt": {"path": "t"}},
    "pressure": {"quantity": "pressure", "unit": "bar", "mqtt": {"path": "p"}},
    "running": {"quantity": "state", "unit": "1", "mqtt": {"path": "s"}},
}
DOCS = Path(__file__).parents[2] / "docs" / "alerts.md"
SINK = {"type": "influxdb", "api": "v1", "url": "http://127.0.0.1:8086", "database": "plant"}


def gateway(asset: dict[str, Any] | None = None, device: dict[str, Any] | None = None, **blocks: Any) -> Gateway:
    """Return a plant of one asset with a meter on Modbus and a controller on MQTT, the given keys added."""
    devices = {
        "m": {"connection": "floor", "address": "10.0.0.1/1", "points": METER, **(device or {})},
        "plc": {"connection": "broker", "address": "plant/plc", "points": PLC},
    }
    connections = {"floor": {"protocol": "modbus"}, "broker": {"protocol": "mqtt", "host": "127.0.0.1"}}
    main = {"type": "other", "devices": devices, **(asset or {})}
    data = {"version": 1, "site": {"name": "works", "region": "GB"}, "connections": connections}
    return Gateway.model_validate(data | {"areas": {"hall": {"assets": {"main": main}}}} | blocks)


def alerts(config: Gateway) -> dict[str, Alert[Rule]]:
    devices = list(bind(config, {}))
    found = alerts_of(config, devices, figures(config, points_of(devices)))
    assert len({alert.key for alert in found}) == len(found)
    return {f"{alert.asset}.{alert.name}": alert for alert in found}


def test_what_every_plant_has() -> None:
    """The meter is read each second: 300 and 900 s are the least. Nobody says how often the controller speaks; its
    pressure and temperature may rest with its machine, so it is never taken for frozen unasked.
    """
    found = alerts(gateway(sinks={"db": SINK}, data={"min_free_mb": 300}))
    assert sorted(found) == [
        "gateway.collector-broker-down",
        "gateway.collector-broker-rejected",
        "gateway.collector-floor-down",
        "gateway.collector-floor-rejected",
        "gateway.disk-low",
        "gateway.sink-db-behind",
        "gateway.sink-db-down",
        "gateway.sink-db-rejected",
        "main.m-frozen",
        "main.m-stale",
        "main.plc-stale",
    ]
    assert found["main.m-stale"].rule == Stale(type="stale", device="main.m", after_s=300)
    assert found["main.m-frozen"].rule == Frozen(type="frozen", device="main.m", after_s=900)
    assert found["main.plc-stale"].rule == Stale(type="stale", device="main.plc", after_s=3_600)
    low = Health(type="health", component="disk", counter="free_mb", below=600, severity="critical")
    assert found["gateway.disk-low"].rule == low
    assert found["gateway.sink-db-down"].rule.hold_s == 300


@pytest.mark.parametrize(("every_s", "stale_s", "frozen_s"), [(60.0, 1_200, 3_600), (7_200.0, 86_400, 86_400)])
def test_slow_devices_have_more_time(every_s: float, stale_s: float, frozen_s: float) -> None:
    found = alerts(gateway(device={"every_s": every_s}))
    assert found["main.m-stale"].rule == Stale(type="stale", device="main.m", after_s=stale_s)
    assert found["main.m-frozen"].rule == Frozen(type="frozen", device="main.m", after_s=frozen_s)


def test_a_rule_for_the_same_takes_its_place() -> None:
    own = {
        "quiet": {"type": "stale", "device": "main.m", "after_s": 60},
        "full": {"type": "health", "component": "disk", "counter": "free_mb", "below": 9_000},
    }
    found = alerts(gateway(alerts=own))
    assert "main.m-stale" not in found
    assert "gateway.disk-low" not in found
    assert {"main.quiet", "main.m-frozen", "gateway.full"} <= found.keys()


def test_an_asset_chooses() -> None:
    """Named, a controller is asked for standing still as well."""
    assert {a for a in alerts(gateway({"alerts": "none"})) if a.startswith("main.")} == set()
    chosen = alerts(gateway({"alerts": ["m-stale", "plc-frozen"]}))
    assert {a for a in chosen if a.startswith("main.")} == {"main.m-stale", "main.plc-frozen"}


def test_meters_with_a_due_date_are_watched() -> None:
    meters = {
        "M1": {"device": "main.m", "serial": "A1", "accuracy": 0.5, "due": "2030-01-01"},
        "M2": {"serial": "A2", "accuracy": 0.5, "due": "2030-01-01"},
        "M3": {"serial": "A3", "accuracy": 0.5},
    }
    found = alerts(gateway(accounting={"meters": meters}))
    assert {a for a in found if a.endswith("calibration")} == {"main.M1-calibration", "gateway.M2-calibration"}
    assert found["main.M1-calibration"].rule == CalibrationDue(type="calibration", meter="M1")


def test_a_budget_of_what_is_not_accounted_is_refused_when_compiled() -> None:
    rule = {"type": "budget", "points": ["main.energy_import"], "quantity": "co2e", "limit": 1_000}
    fine = gateway(alerts={"month": rule})
    assert any(s.key == "main.month.alert" for s in compile_plan(fine, bind(fine, {})).specs)
    unaccounted = gateway({"energy": "none"}, alerts={"month": rule})
    with pytest.raises(GatewayError, match=r"no kg CO₂e follow from 'main\.energy_import'"):
        compile_plan(unaccounted, bind(unaccounted, {}))


def test_the_examples_of_the_guide_are_rules() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    written = [yaml.safe_load(textwrap.dedent(block)) for block in blocks]
    rules = {n: r for block in written for n, r in block.get("alerts", block).items() if n != "boiler-1"}
    assert {"furnace-dear", "month-of-the-hall", "disk-soon-full"} <= rules.keys()
    for name, rule in rules.items():
        assert TypeAdapter(Rule).validate_python(rule), name
