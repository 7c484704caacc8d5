"""What asset types bring as alerts: rules that hold together, figures of kW, and only where an asset can have them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from config.alerting import alerts_of
from config.alerts import Deviation, GradeDrop, IntensityAlert, Rule, Threshold
from config.asset_types import Alarm, AssetType, load_all
from config.kpis import figures
from config.model import Gateway
from config.points import Point
from config.quantities import QUANTITIES
from config.type_alerts import origin, type_alerts

TYPES = load_all()
SHIFTS = {"day": {"start": "06:00", "end": "22:00"}}
ALARMS = [(kind, name) for kind in TYPES.values() for name in kind.alarms]


def point(quantity: str) -> Point:
    return Point(quantity=quantity, unit=QUANTITIES[quantity].unit, opcua={"node": "ns=2;s=x"})


def points_of(kind: AssetType) -> dict[str, Point]:
    return {role.names[0]: point(role.quantity) for role in kind.roles.values()}


def brought(
    assets: dict[str, Any], shifts: dict[str, Any] | None = None, **blocks: Any
) -> tuple[Gateway, dict[str, Rule]]:
    """Return a plant in which every asset shows all points of its type, and the alerts its types bring."""
    site = {"name": "works", "region": "GB", "shifts": SHIFTS if shifts is None else shifts}
    areas = {"hall": {"assets": assets}}
    gateway = Gateway.model_validate({"version": 1, "site": site, "connections": {}, "areas": areas} | blocks)
    found = figures(gateway, {name: points_of(TYPES[asset["type"]]) for name, asset in assets.items()})
    return gateway, {f"{asset}.{name}": rule for asset, name, rule in type_alerts(gateway, found)}


def facts_of(kind: AssetType) -> dict[str, Any]:
    return {name: fact.one_of[0] if fact.one_of else 100.0 for name, fact in kind.facts.items()}


@pytest.mark.parametrize(("kind", "name"), ALARMS, ids=[f"{kind.id}.{name}" for kind, name in ALARMS])
def test_every_alarm_becomes_an_alert_of_an_asset_that_shows_everything(kind: AssetType, name: str) -> None:
    facts = facts_of(kind) | {fact: next(w for w in kind.facts[fact].one_of if w != word)
                              for fact, word in kind.alarms[name].unless.items()}  # fmt: skip
    gateway, rules = brought({"a": {"type": kind.id, "facts": facts, "kpis": list(kind.kpis)}})
    alarm = kind.alarms[name]
    if alarm.type == "grade" and f"a.{name}" not in rules:
        return  # a size of 100 is none of its table's: whether it is graded there is tried below
    rule = rules[f"a.{name}"]
    assert rule.hold_s == 3_600 * alarm.hold_h
    assert rule.advice == alarm.advice
    assert alarm.source in origin(gateway, "a", name)
    if alarm.waste:
        assert getattr(rule, "waste", "") == f"a.{alarm.waste}"


def test_each_kind_is_brought_by_some_type() -> None:
    by_type = {"threshold": Threshold, "deviation": Deviation, "intensity": IntensityAlert, "grade": GradeDrop}
    for name, rule in by_type.items():
        assert any(isinstance(alarm.rule("a"), rule) for kind in TYPES.values() for alarm in kind.alarms.values()), name


def test_an_asset_may_want_none_or_some() -> None:
    furnace = {"type": "furnace"}
    _, every = brought({"f": furnace})
    assert set(every) == {"f.too-much-air", "f.idling-hot", "f.thirsty"}  # no baseline is stated: not drifting
    assert brought({"f": furnace | {"alerts": "none"}})[1] == {}
    assert set(brought({"f": furnace | {"alerts": ["thirsty"]}})[1]) == {"f.thirsty"}
    assert brought({"f": furnace | {"kpis": "none"}})[1] == {}


def test_nights_need_hours_outside_all_shifts() -> None:
    round_the_clock = {"a": {"start": "06:00", "end": "18:00"}, "b": {"start": "18:00", "end": "06:00"}}
    assert "m.night-load" in brought({"m": {"type": "meter"}})[1]
    for shifts in ({}, round_the_clock):
        assert brought({"m": {"type": "meter"}}, shifts)[1] == {}


def test_leaks_are_told_of_the_station_not_of_each_machine() -> None:
    """What flows at night flows through whichever machine runs; and a variable-speed one never runs unloaded."""
    fixed = {"type": "compressor", "facts": {"drive": "fixed_speed_oil_injected_rotary"}}
    variable = {"type": "compressor", "facts": {"drive": "variable_speed_oil_injected_rotary"}}
    station = {"type": "compressor_station", "members": ["a"], "facts": {"rated_flow_m3_min": 20}}
    _, rules = brought({"a": fixed, "b": fixed, "c": variable, "s": station})
    assert {name for name in rules if name.endswith(".leaks")} == {"b.leaks", "s.leaks"}
    assert {name for name in rules if name.endswith(".expensive-air")} == {"b.expensive-air", "c.expensive-air",
                                                                           "s.expensive-air"}  # fmt: skip


def test_only_what_is_graded_can_drop() -> None:
    machine = {"drive": "fixed_speed_oil_injected_rotary", "cooling": "air", "rated_kw": 55, "pressure_mpa": 0.7}
    assert "c.poor-grade" in brought({"c": {"type": "compressor", "facts": machine}})[1]
    assert "c.poor-grade" not in brought({"c": {"type": "compressor", "facts": machine | {"rated_kw": 56}}})[1]
    chiller = {"capacity_kw": 700, "use": "comfort", "condenser": "water_cooled"}
    assert "c.poor-grade" in brought({"c": {"type": "chiller", "facts": chiller}})[1]


def test_a_rule_of_ones_own_takes_the_place_of_the_types() -> None:
    mine = {"window": "f.idle-power", "above": 99}
    gateway, _ = brought({"f": {"type": "furnace"}}, alerts={"idling-hot": mine})
    found = figures(gateway, {"f": points_of(TYPES["furnace"])})
    (alert,) = [a for a in alerts_of(gateway, [], found) if a.name == "idling-hot"]
    assert isinstance(alert.rule, Threshold)
    assert alert.rule.above == 99
    assert origin(gateway, "f", "idling-hot") == "gateway.yaml"
    assert origin(gateway, "gateway", "disk-low") == "every plant"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kpi": "nothing", "above": 1},
        {"kpi": "load"},
        {"kpi": "load", "above": 1, "below": 2},
        {"kpi": "load", "above": 1, "worse_than": 2},
        {"kpi": "load", "type": "grade"},
        {"kpi": "load", "above": 1, "waste": "load"},
        {"kpi": "load", "type": "deviation", "above": 3},
    ],
)
def test_an_alarm_that_cannot_be_a_rule_is_refused(wrong: dict[str, Any]) -> None:
    kpis = {"load": {"formula": "mean(power)", "unit": "%"}}
    with pytest.raises(ValidationError):
        AssetType.model_validate({"id": "x", "title": "", "kpis": kpis, "alarms": {"a": wrong | {"source": "s"}}})


def test_an_alarm_is_told_of_one_asset() -> None:
    rule = Alarm(kpi="load", above=1.0, hold_h=2.0, waste="lost", source="s").rule("press")
    assert isinstance(rule, Threshold)
    assert (rule.window, rule.waste, rule.hold_s) == ("press.load", "press.lost", 7_200)
