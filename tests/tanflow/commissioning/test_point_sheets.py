"""Configuration → workbook → configuration, workbook → YAML → workbook: nothing is lost; faults name their cells."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from config.errors import ConfigError
from config.load import load
from config.model import Gateway
from config.points import DeviceMap
from config.templates import load_all
from tanflow.commissioning.pasted import yaml_of
from tanflow.commissioning.sheet_plant import Addresses, Imported, imported
from tanflow.commissioning.sheet_read import read_book
from tanflow.commissioning.sheet_rows import blocks_of, rows_of
from tanflow.commissioning.sheet_write import workbook
from tests.tanflow.command import said

ROOT = Path(__file__).parents[3]
SITE: dict[str, Any] = {"version": 1, "site": {"name": "works", "region": "CN-GD"}}
INLINE = frozenset({"points", "connections", "devices"})
# What spreadsheets and YAML each make something else of.
TRAPS = [
    "",
    '"',
    '"a"',
    "TRUE",
    "{}",
    "[1]",
    "#",
    "a: b",
    "=1+1",
    "007",
    "1E5",
    "1e5",
    "3-1",
    "0x1F",
    "no",
    "null",
    "12:30",
    "+8",
    "-",
    "@a",
    "1_000",
    "'x",
    "１２",
    "é\nü",
]

names = st.from_regex(r"[A-Za-z0-9电][A-Za-z0-9_压-]{0,8}", fullmatch=True)
texts = st.one_of(st.sampled_from(TRAPS), st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=30))
numbers = st.floats(-1e12, 1e12).filter(lambda v: v != 0 and abs(v) > 1e-12)
modbus = st.fixed_dictionaries(
    {"address": st.integers(0, 60_000)},
    optional={
        "type": st.sampled_from(["uint16", "int16", "uint32", "float32", "float64", "bcd32"]),
        "table": st.sampled_from(["holding", "input"]),
        "word_order": st.sampled_from(["big", "little"]),
        "byte_order": st.sampled_from(["big", "little"]),
        "not_available": st.lists(st.integers(0, 2**64 - 1), max_size=3),
    },
)
mqtt = st.fixed_dictionaries({}, optional={"path": texts, "topic": st.sampled_from(["a/b", "+/p", "007"])})
opcua = st.one_of(
    st.fixed_dictionaries({"node": st.sampled_from(["ns=2;s=A B", "nsu=urn:x:y;i=17"])}),
    st.fixed_dictionaries({"path": st.sampled_from(["Furnace/Power", "1E5"])}, optional={"index": st.just([1, 2])}),
)
dlt645 = st.fixed_dictionaries({"data": st.sampled_from(["00010000", "02010100"])}, optional={"signed": st.booleans()})
sparkplug = st.fixed_dictionaries({"metric": st.sampled_from(["Node Control/x", "007", "=A1"])})


def point(protocol: str, place: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"quantity": st.just("power"), "unit": st.sampled_from(["kW", "W", "MW"]), protocol: place},
        optional={
            "scale": numbers,
            "offset": numbers,
            "sign": st.sampled_from([1, -1]),
            "valid": st.tuples(st.integers(-100, 0), st.floats(1, 1e6)).map(list),
            "carrier": st.sampled_from(["electricity", "none"]),
            "source": texts,
        },
    )


MODBUS_POINTS = st.dictionaries(names, point("modbus", modbus), min_size=1, max_size=4)
CONNECTIONS = {
    "floor": {"protocol": "modbus", "every_s": 2.5, "framing": "rtu", "serial": {"port": "/dev/ttyS1", "parity": "N"}},
    "meters": {"protocol": "dlt645", "serial": {"port": "/dev/ttyS2"}},
    "broker": {"protocol": "mqtt", "host": "b", "password": {"env": "PW"}, "client_id": "1E5"},
    "plc": {"protocol": "opcua", "url": "opc.tcp://h:4840", "security": {}},
    "spb": {"protocol": "sparkplug", "host": "b", "publish_state": True, "host_id": "007"},
}
DEVICES = {
    "floor": ("7", point("modbus", modbus)),
    "meters": ("000012345678", point("dlt645", dlt645)),
    "broker": ("a/b", point("mqtt", mqtt)),
    "plc": ("", point("opcua", opcua)),
    "spb": ("g/007", point("sparkplug", sparkplug)),
}


@st.composite
def plants(draw: st.DrawFn) -> dict[str, Any]:
    """The blocks of a configuration whose form is right, whatever it means."""
    devices = {}
    for connection, (address, points) in DEVICES.items():
        if draw(st.booleans()):
            device: dict[str, Any] = {
                "connection": connection,
                "points": draw(st.dictionaries(names, points, max_size=3)),
            }
            if not device["points"]:
                device["template"] = "own"
            devices[f"{connection}_1E5"] = device | ({"address": address} if address else {}) | {"prefix": "p_"}
    asset: dict[str, Any] = {"type": "pump", "devices": devices, "facts": {"size": 1.5, "drive": "1E5"}}
    return {
        "connections": CONNECTIONS,
        "templates": {"own": {"protocol": "modbus", "notes": draw(texts), "points": draw(MODBUS_POINTS)}},
        "areas": {"hall": {"assets": {draw(names): asset, "bare": {"type": "meter"}}}},
    }


def model(blocks: dict[str, Any]) -> Gateway:
    return Gateway.model_validate({**SITE, "connections": {}, "areas": {}, **blocks})


def cells(content: bytes) -> dict[str, list[tuple[Any, ...]]]:
    book = load_workbook(io.BytesIO(content))
    return {sheet.title: [*sheet.iter_rows(values_only=True)] for sheet in book.worksheets}


def blocks_from(content: bytes) -> dict[str, Any]:
    """The blocks as far as their form goes: what a plant means is not the sheet's business here."""
    made = imported_form(content)
    assert made is not None
    return made.blocks


def imported_form(content: bytes) -> Imported | None:
    from tanflow.commissioning import sheet_plant

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sheet_plant, "check_plant", lambda plant: [])
        return imported(read_book("points.xlsx", content))


@given(plants(), st.booleans())
@settings(max_examples=30, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # too large to be made smaller
def test_configurations_come_back_equal(blocks: dict[str, Any], in_chinese: bool) -> None:
    before = model(blocks)
    content = workbook(rows_of(blocks_of(before)), in_chinese=in_chinese)
    back = blocks_from(content)
    assert model(back).model_dump() == before.model_dump()
    text = yaml_of(back, INLINE)
    assert yaml.safe_load(text).keys() == back.keys()
    again = workbook(rows_of(blocks_of(model(back))), in_chinese=in_chinese)
    assert cells(again) == cells(content)


@given(plants())
@settings(max_examples=30, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # too large to be made smaller
def test_the_yaml_is_read_as_it_was_meant(tmp_path_factory: pytest.TempPathFactory, blocks: dict[str, Any]) -> None:
    from config.yaml_lines import read

    plain = blocks_of(model(blocks))
    data, _, issues = read(yaml_of(plain, INLINE))
    assert not issues
    assert model(data).model_dump() == model(plain).model_dump()


@pytest.mark.parametrize("path", ["minimal.yaml", "factory.yaml", "many-meters.yaml", "meter-register.yaml"])
def test_the_examples_survive_the_way_there_and_back(path: str, tmp_path: Path) -> None:
    before = load(ROOT / "examples" / path).gateway
    content = workbook(rows_of(blocks_of(before)))
    back = model(imported(read_book("points.xlsx", content)).blocks)
    assert back.areas == before.areas
    assert back.connections == before.connections
    assert back.templates == before.templates


def test_all_shipped_templates_survive_it_as_own_device_maps() -> None:
    own = {
        name: DeviceMap.model_validate(
            template.model_dump(by_alias=True, exclude={"id", "vendor", "model", "source", "confidence"})
        )
        for name, template in load_all().items()
    }
    blocks = {"templates": {name: one.model_dump(mode="json", by_alias=True) for name, one in own.items()}}
    back = blocks_from(workbook(rows_of(blocks_of(model(blocks)))))
    assert model(back).templates == own


# ── what people write ─────────────────────────────────────────────────────────────────────────────


def sheet(*rows: tuple[Any, ...], title: str = "点表", more: dict[str, list[tuple[Any, ...]]] | None = None) -> bytes:
    book = Workbook()
    first = book.active
    assert first is not None
    first.title = title
    for row in rows:
        first.append(row)
    for name, others in (more or {}).items():
        other = book.create_sheet(name)
        for row in others:
            other.append(row)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def faults(content: bytes, addresses: Addresses = "zero") -> list[str]:
    with pytest.raises(ConfigError) as raised:
        imported(read_book("p.xlsx", content), addresses)
    return [f"{problem.path}: {problem.message}" for problem in raised.value.problems]


HEAD = ("设备", "点名", "地址", "功能码", "数据类型", "字节序", "倍率", "单位")


def test_a_point_list_in_chinese_becomes_device_maps() -> None:
    rows = [
        ("电表1", "Ua", 3028, 3, "FLOAT", "CDAB", None, "V"),
        ("电表1", "有功电能", "０ｘ０Ｂ", "04", "uint32", "ABCD", "０．０１", "KWH"),
        ("水表 ".strip(), "流量 ", 7.0, 3, "short", None, 0.1, "m³/h"),
    ]
    made = imported(read_book("表.xlsx", sheet(HEAD, *rows)))
    assert made.blocks["templates"]["电表1"]["points"] == {
        "Ua": {
            "unit": "V",
            "quantity": "voltage",
            "modbus": {
                "address": 3028, "table": "holding", "type": "float32", "word_order": "little", "byte_order": "big",
            },
        },
        "有功电能": {
            "unit": "kWh",
            "quantity": "energy_index",
            "scale": 0.01,
            "modbus": {"address": 11, "table": "input", "type": "uint32", "word_order": "big", "byte_order": "big"},
        },
    }  # fmt: skip
    assert made.blocks["templates"]["水表"]["points"]["流量"]["quantity"] == "volume_flow"
    assert [note.path for note in made.notes] == ["点表!H2", "点表!H3", "点表!H4"]


def test_registers_counted_from_one_or_from_40001() -> None:
    one = imported(read_book("p.xlsx", sheet(HEAD, ("a", "x", 1, 3, "int16", None, 1, "V"))), "one")
    assert one.blocks["templates"]["a"]["points"]["x"]["modbus"]["address"] == 0
    rows = [("a", "x", 40001, None, "int16", None, 1, "V"), ("a", "y", 330001, None, "int16", None, 1, "V")]
    modicon = imported(read_book("p.xlsx", sheet(HEAD, *rows)), "modicon").blocks["templates"]["a"]["points"]
    assert modicon["x"]["modbus"] == {"address": 0, "type": "int16", "table": "holding"}
    assert modicon["y"]["modbus"] == {"address": 30_000, "type": "int16", "table": "input"}


def test_every_fault_is_told_at_once_and_by_its_cell() -> None:
    import datetime

    rows = [
        ("电表1", "Ua", "3028?", 3, "FLOAT", None, 1, "V"),
        ("电表1", 7, 3, 3, "float32", None, 1, "V"),
        ("电表1", "Ub", 3, 9, "float32", None, 1, "V"),
        ("电表1", "Uc", 3, 3, "float31", None, datetime.datetime(2026, 3, 1), "V"),
        ("电表1", "U d", 3, 3, "float32", None, 0, "V"),
        ("电表1", "Ue", 70_000, 3, "float32", None, 1, "V"),
        ("电表1", "Uf", 1, 3, "float32", None, 1, "furlong"),
        ("电表1", "Uf", 1, 3, "float32", None, 1, "V", "stray"),
    ]
    found = faults(sheet(HEAD, *rows))
    assert {fault.split(":")[0] for fault in found} >= {
        "点表!C2", "点表!B3", "点表!D4", "点表!E5", "点表!G5", "点表!C7", "点表!I9",
    }  # fmt: skip
    assert any("leading zeros and 1E5 are lost" in fault for fault in found)
    assert any("the spreadsheet has changed what was typed" in fault for fault in found)


def test_unknown_and_doubled_headings() -> None:
    row = ("a", "x", 1, 3, "int16", None, 1, "V", 2)
    found = faults(sheet((*HEAD, "Adresse", "点位名称", "Point", "Wert"), row))
    assert any(fault.startswith("点表!I1: 'Adresse' is no column") for fault in found)
    assert any(fault.startswith("点表!J1: is a second column name") for fault in found)
    assert "点表!K1: 'Point' is no column of points; did you mean 'name'?" in found
    (other,) = (fault for fault in found if fault.startswith("点表!L1: 'Wert' is no column of points; known here: "))
    assert "name, quantity, unit, kind" in other


def test_devices_name_what_they_stand_on() -> None:
    more: dict[str, list[tuple[Any, ...]]] = {
        "devices": [
            ("area", "asset", "name", "connection", "address", "template"),
            ("hall", "press", "m", "floor", "10.0.0.5/1", "no_such_template"),
            ("hall", "pump", "m", "flor", "10.0.0.5/2", None),
            (None, "pump", "n", "floor", "x", None),
        ],
        "connections": [("name", "protocol", "every_s"), ("floor", "modbus", 0)],
    }
    points = [("area", "asset", "device", "name", "quantity", "unit", "modbus.address")]
    points += [("hall", "pump", "m", "p", "power", "kW", 3), ("hall", "pump", "gone", "p", "power", "kW", 3)]  # type: ignore[list-item]
    found = faults(sheet(*points, title="points", more=more))
    assert any(fault.startswith("connections!C2: ") for fault in found)
    assert any(fault.startswith("devices!A4: ") for fault in found)
    assert any(fault.startswith("points!C3: there is no device hall.pump.gone") for fault in found)
    more["connections"][1] = ("floor", "modbus", 1)
    del more["devices"][3]
    found = faults(sheet(*points[:2], title="points", more=more))
    assert any(fault.startswith("devices!F2: ") and "no_such_template" in fault for fault in found)
    assert any(fault.startswith("devices!D3: ") and "flor" in fault for fault in found)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"\xd0\xcf\x11\xe0old", b"\0\1\2", sheet(("a", "b"))])
def test_what_is_no_point_list_is_a_sentence(content: bytes) -> None:
    with pytest.raises(ConfigError):
        imported(read_book("p.xlsx", content))


def test_a_workbook_that_unpacks_without_end_is_refused() -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"xl/{number}.xml", b"\0" * (60 << 20))
    with pytest.raises(ConfigError, match="unpack to more than"):
        read_book("p.xlsx", bomb.getvalue())


def test_the_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target, source = tmp_path / "p.xlsx", ROOT / "examples" / "factory.yaml"
    assert said(monkeypatch, capsys, "points", "export", "-c", source, "-o", target, "--chinese").code == 0
    assert "is there already" in said(monkeypatch, capsys, "points", "export", "-c", source, "-o", target).err
    told = said(monkeypatch, capsys, "import", target)
    assert told.code == 0
    whole = tmp_path / "gateway.yaml"
    whole.write_text("version: 1\nsite: {name: works, region: CN-GD}\n" + told.out, "utf-8")
    before, after = load(source).gateway, load(whole).gateway
    assert (after.areas, after.connections, after.templates) == (before.areas, before.connections, before.templates)
    wrong = tmp_path / "wrong.xlsx"
    wrong.write_bytes(sheet(HEAD, ("a", "x", "?", 3, "int16", None, 1, "V")))
    told = said(monkeypatch, capsys, "import", wrong)
    assert (told.code, told.out) == (2, "")
    assert "点表!C2" in told.err
