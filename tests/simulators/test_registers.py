"""Registers against struct, which knows nothing of templates, and against values worked out by hand."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.points import Point, Template
from config.protocols.modbus import ModbusDefaults
from config.templates import load_all
from simulators.registers import Image, RegisterMap, modulus, raw_value

FORMATS = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f",
    "float64": "d",
}  # fmt: skip
ORDERS = st.sampled_from(["big", "little"])


def point(type_: str, address: int = 0, quantity: str = "power", unit: str = "kW", **more: object) -> Point:
    place = {"address": address, "type": type_}
    place |= {
        k: more.pop(k) for k in ("byte_order", "word_order", "bit", "length", "table", "not_available") if k in more
    }
    return Point.model_validate({"quantity": quantity, "unit": unit, "modbus": place, **more})


def holding(image: Image) -> bytes:
    return image["holding"].data


def read_back(data: bytes, type_: str, byte_order: str, word_order: str) -> float:
    words = struct.unpack(f"{'<' if byte_order == 'little' else '>'}{len(data) // 2}H", data)
    if word_order == "little":
        words = words[::-1]
    value: float = struct.unpack(">" + FORMATS[type_], struct.pack(f">{len(words)}H", *words))[0]
    return value


@given(st.sampled_from(["int16", "uint16", "int32", "uint32", "int64", "uint64"]), ORDERS, ORDERS, st.data())
def test_whole_numbers_come_back(type_: str, byte_order: str, word_order: str, data: st.DataObject) -> None:
    size = 8 * struct.calcsize(">" + FORMATS[type_])
    low, high = (-(2 ** (size - 1)), 2 ** (size - 1) - 1) if type_[0] == "i" else (0, 2**size - 1)
    value = data.draw(st.integers(max(low, -(2**53)), min(high, 2**53)))
    points = {"p": point(type_, byte_order=byte_order, word_order=word_order)}
    assert read_back(holding(RegisterMap(points).encode({"p": value})), type_, byte_order, word_order) == value


@given(st.floats(width=32), ORDERS, ORDERS)
def test_floats_come_back(value: float, byte_order: str, word_order: str) -> None:
    defaults = ModbusDefaults(byte_order=byte_order, word_order=word_order)
    for type_ in ("float32", "float64"):
        back = read_back(
            holding(RegisterMap({"p": point(type_)}, defaults).encode({"p": value})), type_, byte_order, word_order
        )
        assert back == value or (math.isnan(back) and math.isnan(value))


@given(st.integers(0, 9_999_9999))
def test_bcd_reads_as_its_digits(value: int) -> None:
    assert holding(RegisterMap({"p": point("bcd32")}).encode({"p": value})).hex() == f"{value:08d}"


@pytest.mark.parametrize(
    ("type_", "digits", "index", "raw"),
    [
        ("uint32", None, 2**32 + 5, 5),
        ("uint16", None, 65_536, 0),
        ("uint32", 8, 100_000_123, 123),
        ("uint32", 12, 2**32 + 5, 5),
        ("int32", None, 2**31, -(2**31)),
    ],
)
def test_counters_begin_again_at_their_width(type_: str, digits: int | None, index: float, raw: int) -> None:
    counter = point(type_, quantity="energy_index", unit="kWh", digits=digits)
    assert read_back(holding(RegisterMap({"p": counter}).encode({"p": index})), type_, "big", "big") == raw


def test_gauges_stop_at_the_end_of_their_register() -> None:
    registers = RegisterMap({"p": point("int16")})
    assert holding(registers.encode({"p": 1e6})) == struct.pack(">h", 32_767)
    assert holding(registers.encode({"p": -1e6})) == struct.pack(">h", -32_768)


def test_scale_unit_sign_and_offset_are_undone() -> None:
    # 23.5 kW exported, shown by a meter in tenths of W with import positive: −235,000
    assert raw_value(point("int32", unit="W", scale=0.1, sign=-1), 23.5) == pytest.approx(-235_000)
    # 20 °C in tenths of °F: 68.0 °F
    assert raw_value(point("int16", quantity="temperature", unit="degF", scale=0.1), 20.0) == pytest.approx(680)
    # raw 0 … 4000 for −50 … 150 °C
    assert raw_value(
        point("uint16", quantity="temperature", unit="degC", scale=0.05, offset=-50.0), 0.0
    ) == pytest.approx(1000)


def test_the_width_of_a_counter_in_canonical_units() -> None:
    assert modulus(point("uint32", quantity="energy_index", unit="Wh", scale=10)) == pytest.approx(2**32 / 100)
    assert modulus(point("float32", quantity="energy_index", unit="kWh", digits=6)) == 1e6
    assert modulus(point("float32", quantity="energy_index", unit="kWh")) == 0


def test_no_value_is_what_the_maker_says_it_is() -> None:
    points = {
        "declared": point("int32", 0, not_available=(-(2**31) + 1,)),
        "customary": point("uint16", 2),
        "float": point("float32", 3),
        "bcd": point("bcd16", 5),
    }
    data = holding(RegisterMap(points).encode(dict.fromkeys(points, math.nan)))
    assert struct.unpack(">iHf2s", data)[:2] == (-(2**31) + 1, 0xFFFF)
    assert math.isnan(struct.unpack(">iHf2s", data)[2])
    assert data[-2:] == b"\xff\xff"


def test_bits_share_a_register_and_coils_have_their_own_table() -> None:
    state = {"quantity": "state", "unit": "1"}
    points = {
        "run": point("bool", 7, bit=0, **state),
        "fault": point("bool", 7, bit=9, **state),
        "door": point("bool", 3, table="coil", **state),
        "lamp": point("bool", 5, table="coil", **state),
    }
    image = RegisterMap(points).encode({"run": 1, "fault": 1, "door": 1})
    assert (image["holding"].first, holding(image)) == (7, b"\x02\x01")
    assert (image["coil"].first, image["coil"].data) == (3, b"\x01\0\0")


@pytest.mark.parametrize("template", [t for t in load_all().values() if t.protocol == "modbus"], ids=lambda t: t.id)
def test_every_template_can_be_served(template: Template) -> None:
    registers = RegisterMap(template.points, template.modbus, text="meter")
    for value in (0.0, 1.0, -1.0, 1e30, math.nan, math.inf, -math.inf):
        image = registers.encode(dict.fromkeys(template.points, value))
        for table, block in image.items():
            size = 1 if table in ("coil", "discrete") else 2
            assert len(block.data) == size * (block.end - block.first)


def test_unread_points_show_zero_and_strings_the_name() -> None:
    points = {"a": point("float32", 10), "gap": point("uint16", 14), "name": point("string", 15, length=4)}
    image = RegisterMap(points, text="PAC3200").encode({})
    assert (image["holding"].first, image["holding"].end) == (10, 19)
    assert holding(image) == bytes(10) + b"PAC3200\0"
