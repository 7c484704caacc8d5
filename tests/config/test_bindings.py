"""Points of a device as they are compiled: a clock without a zone shows the site's time."""

from __future__ import annotations

from config.bindings import bind
from config.model import Gateway

CLOCKS = {
    "local": {"quantity": "clock_offset", "unit": "s", "modbus": {"address": 1, "type": "time_words"}},
    "stated": {"quantity": "clock_offset", "unit": "s", "modbus": {"address": 9, "type": "time_bcd", "zone": "UTC"}},
    "unix": {"quantity": "clock_offset", "unit": "s", "modbus": {"address": 20, "type": "time_unix"}},
    "power": {"quantity": "power", "unit": "kW", "modbus": {"address": 30}},
}


def test_a_clock_without_a_zone_shows_the_sites_time() -> None:
    device = {"connection": "floor", "address": "10.0.0.1/1", "template": "meter", "prefix": "a-"}
    assets = {"m": {"type": "meter", "devices": {"meter": device}}}
    plant = {
        "version": 1,
        "site": {"name": "works", "region": "CN", "zone": "Asia/Shanghai"},
        "connections": {"floor": {"protocol": "modbus"}},
        "templates": {"meter": {"protocol": "modbus", "points": CLOCKS}},
        "areas": {"hall": {"assets": assets}},
    }
    gateway = Gateway.model_validate(plant)
    (bound,) = bind(gateway, gateway.templates)
    zones = {name: point.modbus.zone for name, point in bound.points.items() if point.modbus}
    assert zones == {"a-local": "Asia/Shanghai", "a-stated": "UTC", "a-unix": None, "a-power": None}
