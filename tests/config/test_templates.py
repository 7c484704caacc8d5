"""Every template: sourced, readable in blocks, and as register maps collected independently of it say."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from collectors.modbus_plan import compile_plan, place
from config import templates
from config.errors import ConfigError
from config.points import Template
from config.quantities import QUANTITIES, conversion
from config.templates import Templates, load_all

MAPS = Path(__file__).parents[1] / "data" / "register_maps"
DEVICES: dict[str, Any] = {d["id"]: d for d in yaml.safe_load((MAPS / "devices.yaml").read_text("utf-8"))}
LEFT_OUT: dict[str, dict[str, str]] = yaml.safe_load((MAPS / "left_out.yaml").read_text("utf-8"))
RENAMED = {"siemens_7kt1665_pac1600": "siemens_7kt1665", "carlo_gavazzi_em24_rs485": "carlo_gavazzi_em24"}
SAME_UNIT = {"": "1", "rpm": "1/min", "% RLA": "%", "1/h": "1", "bits": "1"}
TEMPLATES = load_all()
ON_MODBUS = {name: t for name, t in TEMPLATES.items() if t.protocol == "modbus"}
NETTED = {"energy_net_l1", "energy_net_l2", "energy_net_l3", "energy_net_total", "reactive_energy_total"}
CAN_FALL = defaultdict(set, {"janitza_umg_19000": NETTED})  # import less export: no counters


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_template_is_sourced_and_readable_in_blocks(template: Template) -> None:
    assert all(template.source)
    assert template.confidence
    for name, point in template.points.items():
        scale, _ = conversion(point.unit, point.quantity)
        assert scale > 0, name
        assert point.protocol == template.protocol, name
        assert not point.modbus or point.modbus.registers <= template.max_registers, name
        if "energy" in name:
            assert point.quantity in ("energy_index", "reactive_energy_index", "apparent_energy_index"), name
            assert point.effective_kind == ("gauge" if name in CAN_FALL[template.id] else "counter"), name


@pytest.mark.parametrize("template", ON_MODBUS.values(), ids=ON_MODBUS)
def test_no_two_points_share_registers(template: Template) -> None:
    taken: dict[tuple[str, int], str] = {}
    for name, point in template.points.items():
        assert point.modbus is not None
        table = point.modbus.table or template.modbus.table
        for register in range(point.modbus.address, point.modbus.address + point.modbus.registers):
            other = taken.setdefault((table, register), name)
            assert other == name, f"{name} and {other} both cover {table} {register}"


@pytest.mark.parametrize("template", ON_MODBUS.values(), ids=ON_MODBUS)
def test_reads_stay_within_the_limit_of_the_device(template: Template) -> None:
    places = [place(p.modbus, template.modbus) for p in template.points.values() if p.modbus]
    plan = compile_plan(places, template.max_registers, template.max_gap)
    assert all(block.count <= template.max_registers for block in plan.blocks)
    assert sorted(i for block in plan.blocks for i in block.points) == list(range(len(places)))


def wire_address(device: dict[str, Any], point: dict[str, Any]) -> int:
    if "address" in point:
        return int(point["address"])
    return int(point["register"]) - (30_001 if point["register"] < 40_000 else 40_001)


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_every_documented_point_is_there_or_left_out_with_a_reason(device: dict[str, Any]) -> None:
    omitted = LEFT_OUT.get(device["id"], {})
    template = TEMPLATES.get(RENAMED.get(device["id"], device["id"]))
    if template is None:
        assert omitted["*"]
        return
    assert template.modbus.table == ("input" if device["function_code"] == 4 else "holding")
    assert template.modbus.word_order == ("little" if "LSW" in device.get("word_order", "") else "big")
    by_address = {p.modbus.address: p for p in template.points.values() if p.modbus}
    for documented in device["points"]:
        if documented["measurement"] in omitted:
            assert omitted[documented["measurement"]]
            continue
        point = by_address[wire_address(device, documented)]
        assert point.modbus is not None
        if "type" in documented:
            assert point.modbus.type == documented["type"], documented
        if "scale" in documented:
            assert point.scale == documented["scale"], documented
        unit = documented["unit"]
        if "|" not in unit:  # a unit the device can be set to either way is settled in the template's notes
            assert point.unit == SAME_UNIT.get(unit, unit), documented


def test_templates_hold_nothing_undocumented() -> None:
    documented = {
        RENAMED.get(d["id"], d["id"]): {wire_address(d, p) for p in d["points"]}
        for d in DEVICES.values()
        if d["protocol"].startswith("modbus")
    }
    for id_, known in documented.items():
        if id_ not in TEMPLATES:
            continue
        for name, point in TEMPLATES[id_].points.items():
            repeated = re.fullmatch(r"alarm_word_[2-5]", name)  # 40021-40025 are documented as one entry
            assert repeated or (point.modbus and point.modbus.address in known), f"{id_}.{name}"


@pytest.mark.parametrize(
    ("template", "point", "expected"),
    [
        ("carlo_gavazzi_em24", "energy_import", {"address": 66, "type": "int32"}),
        ("siemens_pac3200", "energy_import", {"address": 801, "type": "float64"}),
        ("siemens_pac3200", "frequency", {"address": 55, "type": "float32"}),
        ("pulute_mam6080", "energy_import", {"address": 77, "type": "uint32"}),
        ("abb_b23_b24", "energy_import", {"address": 20480, "type": "uint64", "not_available": (2**64 - 1,)}),
        ("abb_b23_b24", "power", {"address": 23316, "type": "int32", "not_available": (2**31 - 1,)}),
        ("ingersoll_rand_xe145m", "discharge_pressure", {"address": 2}),
        ("trane_rthd_ch530", "capacity", {"address": 2}),
    ],
)
def test_known_traps(template: str, point: str, expected: dict[str, Any]) -> None:
    place = TEMPLATES[template].points[point].modbus
    assert place is not None
    assert {key: getattr(place, key) for key in expected} == expected


def test_names_that_assets_are_accounted_by() -> None:
    counting = [t for t in TEMPLATES.values() if any(p.quantity == "energy_index" for p in t.points.values())]
    assert len(counting) >= 30
    for template in counting:  # what only generates exports
        named = [template.points[n] for n in ("energy_import", "energy_export") if n in template.points]
        assert named, template.id
        assert all(p.quantity == "energy_index" and p.effective_kind == "counter" for p in named), template.id
    assert all(QUANTITIES[p.quantity] for t in TEMPLATES.values() for p in t.points.values())


def test_a_file_that_is_no_template_or_has_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "config" / "templates" / "acrel_adw300.yaml").read_text("utf-8")
    (tmp_path / "b.yaml").write_text(text)
    (tmp_path / "c.yaml").write_text("id: c\n")
    monkeypatch.setattr(templates, "files", lambda _: tmp_path)
    monkeypatch.setattr(templates, "_names", templates._names.__wrapped__)
    with pytest.raises(ConfigError, match=r"(?s)b.yaml.*must be the file's name, not 'acrel_adw300'.*c.yaml.*no.*"):
        load_all()


def test_own_device_maps_go_before_shipped_ones_which_are_read_when_asked_for() -> None:
    own = TEMPLATES["acrel_adw300"].model_copy(update={"notes": "ours"})
    known = Templates({"acrel_adw300": own, "ours": own})
    assert known["acrel_adw300"] is known["ours"] is own
    assert known["abb_b23_b24"] is TEMPLATES["abb_b23_b24"]
    assert {*known} == {*TEMPLATES, "ours"}
    assert len(known) == len(TEMPLATES) + 1
    assert "../gateway.schema" not in known
