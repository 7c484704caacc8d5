"""Assets written in place → the plan of a site that has them, and its series by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.bindings import bind
from config.model import Gateway
from pipeline.compile import compile_plan
from pipeline.plan import Plan
from pipeline.spec import Spec

ON_MODBUS = {"address": 0, "type": "uint32"}


def plan_of(assets: Mapping[str, Any], **more: Any) -> Plan:
    """Return the plan of a site with these assets, all in one hall, on one Modbus connection."""
    gateway = Gateway.model_validate(
        {
            "version": 1,
            "site": {"name": "s", "region": "CN-GD"},
            "connections": {
                "floor": {"protocol": "modbus", "every_s": 5},
                "roof": {"protocol": "mqtt", "host": "127.0.0.1"},
            },
            "areas": {"hall": {"assets": assets}},
        }
        | more
    )
    return compile_plan(gateway, bind(gateway, {}))


def meter(*points: str, quantity: str = "energy_index", unit: str = "kWh", **known: Any) -> dict[str, Any]:
    """Return a device with counters of these names."""
    return {
        "connection": "floor",
        "address": "127.0.0.1/1",
        "points": {p: {"quantity": quantity, "unit": unit, "modbus": ON_MODBUS} | known for p in points},
    }


def specs(assets: Mapping[str, Any], **more: Any) -> dict[str, Spec]:
    return {s.key: s for s in plan_of(assets, **more).specs}
