"""All that a register can mean, in all orders, gaps and blocks: the stacked decoder against a scalar second reader."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterable
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.modbus_decode import Block
from collectors.modbus_plan import SCALE_KINDS, Place, Scale, compile_plan, place
from config.points import Point
from config.protocols.modbus import REGISTERS, ModbusDefaults, ModbusPoint, ModbusScale, RegisterType, absent_values
from pipeline.quality import BAD, RANGE
from simulators.registers import RegisterMap
from tests.collectors.register_reader import read

AT_NS = 1_774_000_000_123_456_000  # 2026-03-20, a week before summer time in Europe
TYPES = [t for t in get_args(RegisterType) if t != "string"]
CLOCKS = [t for t in TYPES if t.startswith("time_")]
NUMBERS = [t for t in TYPES if t not in CLOCKS and t != "bool"]
SCALES = ["int16", "uint16", "int32", "uint32", "float32", "bcd16"]
ORDER: st.SearchStrategy[Any] = st.sampled_from(["big", "little"])
ADDRESS = st.integers(0, 90)
# Words that mean something special somewhere, among words that do not.
WORD = st.one_of(
    st.sampled_from([0, 1, 2, 10, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0xFFFE, 0x7FC0, 0x7F80, 0xFF80, 0x3F80, 0xBFC0]),
    st.integers(0, 0xFFFF),
    st.integers(0, 12),
)
MEMORY = st.lists(WORD, min_size=110, max_size=110).map(lambda words: dict(enumerate(words)))


@st.composite
def scales(draw: st.DrawFn, table: Any, word: Any, byte: Any) -> Scale:
    kind = draw(st.sampled_from(SCALE_KINDS))
    type_: Any = draw(st.sampled_from(SCALES))
    bit = draw(st.none() | st.integers(0, 15)) if kind == "sign" else None
    absent = draw(st.sampled_from([(), absent_values(type_, "sunspec"), (1,)]))
    width, type_ = (REGISTERS[type_], type_) if bit is None else (1, "bool")
    at = draw(ADDRESS)
    return Scale(kind, Place(table, at, width, type_, word, byte, bit, absent if bit is None else ()))


@st.composite
def places(draw: st.DrawFn) -> Place:
    kind: Any = draw(st.sampled_from(TYPES))
    table: Any = draw(st.sampled_from(["holding", "input"]))
    word, byte = draw(ORDER), draw(ORDER)
    spot = Place(table, draw(ADDRESS), REGISTERS[kind], kind, word, byte, None, ())
    if kind == "bool":
        return spot._replace(bit=draw(st.none() | st.integers(0, 15)))
    if kind in CLOCKS:
        return spot._replace(zone=draw(st.sampled_from(["UTC", "Asia/Shanghai", "America/St_Johns"])))
    spot = spot._replace(scales=tuple(draw(st.lists(scales(table, word, byte), max_size=3))))
    if kind.startswith("float") and draw(st.booleans()):
        return spot._replace(form=draw(st.sampled_from(["quadrants", "lead_lag"])))
    absent = draw(st.sampled_from([(), absent_values(kind, "sunspec"), absent_values(kind, "highest"), (0, 5)]))
    return spot._replace(not_available=absent)


def raw(blocks: Iterable[dict[int, int]], block: Block) -> np.ndarray[Any, np.dtype[np.uint8]]:
    data = b"".join(
        struct.pack(f">{block.count}H", *(m[block.address + i] for i in range(block.count))) for m in blocks
    )
    return np.frombuffer(data, np.uint8).reshape(-1, 2 * block.count)


def same(got: float, expected: float | None) -> bool:
    if expected is None or abs(expected) > 1.7e308:
        return math.isnan(got)
    return math.isclose(got, expected, rel_tol=1e-14, abs_tol=1e-300) or abs(got - expected) < 5e-324


@settings(max_examples=300)
@given(st.lists(places(), min_size=1, max_size=12), st.lists(MEMORY, min_size=1, max_size=3), st.integers(0, 124))
def test_everything_decodes_as_the_second_reader_says(
    spots: list[Place], units: list[dict[int, int]], gap: int
) -> None:
    at_ns = np.array([AT_NS + 17 * n * 10**9 for n in range(len(units))])
    seen: list[int] = []
    for block in compile_plan(spots, 125, gap).blocks:
        with np.errstate(invalid="ignore"):  # some NaN signal
            values, quality = block.decode(raw(units, block), at_ns)
        assert values.shape == quality.shape == (len(units), len(block.points))
        for row, memory in enumerate(units):
            for column, index in enumerate(block.points):
                expected, spot = read(memory, spots[index], int(at_ns[row])), spots[index]
                got = float(values[row, column])
                if spot.type in CLOCKS and expected is not None:
                    assert got == pytest.approx(expected, abs=2e-6), spot
                else:
                    assert same(got, expected), (spot, got, expected)
                assert quality[row, column] == (BAD | RANGE if math.isnan(got) else 0)
        seen += block.points
    assert sorted(seen) == list(range(len(spots)))


@given(st.integers(-32768, 32767), st.integers(-10, 10))
def test_a_power_of_ten_is_exact(number: int, exponent: int) -> None:
    """One rounding, as if the decimal number had been read from a display."""
    spot = place(ModbusPoint(address=0, type="int16", scale_by=(ModbusScale(address=1),)), ModbusDefaults())
    (block,) = compile_plan([spot]).blocks
    words = {0: number & 0xFFFF, 1: exponent & 0xFFFF}
    assert float(block.decode(raw([words], block))[0][0, 0]) == float(f"{number}e{exponent}")


def decoded(words: bytes, **given: Any) -> float:
    spot = place(ModbusPoint.model_validate({"address": 0, **given}), ModbusDefaults())
    (block,) = compile_plan([spot]).blocks
    data = words[2 * block.address : 2 * (block.address + block.count)]
    return float(block.decode(np.frombuffer(data, np.uint8)[np.newaxis], np.array([AT_NS]))[0][0, 0])


@pytest.mark.parametrize(
    ("words", "given", "value"),
    [
        # Schneider Electric FAQ FA357734 (CM4000): 0x83E4 by thousandths is a power factor of −0.996.
        ("83E4", {"type": "sm16"}, -996.0),
        # PowerLogic PM750 manual 63230-507-201A1, table B-1: 500 is a leading power factor of 0.5; bit 15 is lagging.
        ("01F4", {"type": "sm16", "form": "lead_lag"}, 500.0),
        ("81F4", {"type": "sm16", "form": "lead_lag"}, 500.0),
        # Schneider iEM3000 manual DOCA0005EN-04 p. 109: quadrants 1 and 2 as they are, 3: −2 − r, 4: 2 − r.
        ("3F4CCCCD", {"type": "float32", "form": "quadrants"}, 0.8),
        ("BF4CCCCD", {"type": "float32", "form": "quadrants"}, -0.8),
        ("BF99999A", {"type": "float32", "form": "quadrants"}, -0.8),
        ("3F99999A", {"type": "float32", "form": "quadrants"}, 0.8),
        ("40200000", {"type": "float32", "form": "quadrants"}, math.nan),
        # IME and Socomec meters: power without a sign, and its sign in a register of its own (4140, 4146).
        ("000003E8 0001", {"type": "uint32", "scale_by": [{"address": 2, "type": "uint16", "as": "sign"}]}, -1000.0),
        ("000003E8 0000", {"type": "uint32", "scale_by": [{"address": 2, "type": "uint16", "as": "sign"}]}, 1000.0),
        ("000003E8 0007", {"type": "uint32", "scale_by": [{"address": 2, "type": "uint16", "as": "sign"}]}, math.nan),
        ("0064 0008", {"scale_by": [{"address": 1, "as": "sign", "bit": 3}]}, -100.0),
        # A ratio and an exponent, in this order.
        ("0064 001E FFFF", {"scale_by": [{"address": 1, "as": "factor"}, {"address": 2}]}, 300.0),
        ("0064 0000", {"scale_by": [{"address": 1, "as": "factor"}]}, math.nan),
        ("0064 000B", {"scale_by": [{"address": 1}]}, math.nan),
        ("0064 FFF5", {"scale_by": [{"address": 1}]}, math.nan),
        ("0064 8000", {"scale_by": [{"address": 1}]}, math.nan),
        ("FFFF", {"absent": "sunspec"}, math.nan),
        ("FFFF", {"absent": "sunspec", "not_available": []}, 65535.0),
        ("7FFF", {"type": "int16", "absent": "highest"}, math.nan),
        ("8000 0000 0000 0000", {"type": "int64", "absent": "sunspec"}, math.nan),
        ("FFFF", {"type": "int16", "absent": "ones"}, math.nan),
        ("FFFF", {"type": "int16", "absent": "sunspec"}, -1.0),
    ],
)
def test_known_answers(words: str, given: dict[str, Any], value: float) -> None:
    assert decoded(bytes.fromhex(words), **given) == pytest.approx(value, abs=1e-7, nan_ok=True)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("time_unix", "69BD1AD0"),  # 1 774 000 848 s
        ("time_words", "07EA 0003 0014 000A 0000 0030"),
        ("time_words", "001A 0003 0014 000A 0000 0030"),
        ("time_bytes", "1A03 140A 0030"),
        ("time_bcd", "2603 2010 0048"),
        ("time_cp56", "001A 03D4 0A00 BB80"),
    ],
)
def test_a_clock_says_how_far_ahead_it_is(kind: str, words: str) -> None:
    """2026-03-20 10:00:48 is shown; the answer came at 09:46:40.123456 UTC."""
    assert decoded(bytes.fromhex(words), type=kind, zone="UTC") == pytest.approx(847.876544, abs=1e-6)
    if kind != "time_unix":
        assert decoded(bytes.fromhex(words), type=kind, zone="Asia/Shanghai") == pytest.approx(847.876544 - 28_800)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("time_unix", "00000000"), ("time_unix", "FFFFFFFF"), ("time_words", "07EA 0002 001D 0000 0000 0000"),
        ("time_words", "07EA 0003 0014 0018 0000 0000"), ("time_bytes", "1A0D 1400 0000"),
        ("time_bcd", "260A 2010 0048"),
        ("time_bytes", "0000 0000 0000"), ("time_cp56", "001A 03D4 0A80 BB80"), ("time_cp56", "001A 03D4 0A00 EA60"),
    ],
)  # fmt: skip
def test_what_no_calendar_has_is_no_time(kind: str, words: str) -> None:
    assert math.isnan(decoded(bytes.fromhex(words), type=kind, zone="UTC"))


def test_the_hour_that_comes_twice_is_not_in_doubt() -> None:
    """Berlin, 2026-10-25: at 00:30 and at 01:30 UTC a right clock shows 02:30."""
    spot = place(ModbusPoint(address=0, type="time_bcd", zone="Europe/Berlin"), ModbusDefaults())
    (block,) = compile_plan([spot]).blocks
    shown = np.frombuffer(bytes.fromhex("2610 2502 3000") * 2, np.uint8).reshape(2, -1)
    at_ns = np.array([1_792_888_200, 1_792_891_800]) * 10**9
    assert block.decode(shown, at_ns)[0].ravel().tolist() == [0.0, 0.0]


def test_a_value_and_what_scales_it_are_one_read() -> None:
    far = place(ModbusPoint(address=300, type="int16", scale_by=(ModbusScale(address=390),)), ModbusDefaults())
    near = place(ModbusPoint(address=310), ModbusDefaults())
    blocks = compile_plan([near, far], max_gap=0).blocks
    assert [(b.address, b.count) for b in blocks] == [(300, 91)]
    with pytest.raises(ValueError, match=r"91 registers apart, but one read brings at most 80.*not be of one instant"):
        compile_plan([far], max_registers=80)


# ── what the simulator serves comes back ──────────────────────────────────────────────────────────


def point(quantity: str, unit: str, **place: Any) -> Point:
    return Point.model_validate({"quantity": quantity, "unit": unit, "modbus": place})


@st.composite
def served(draw: st.DrawFn) -> dict[str, Any]:
    """A point of any type and order, scaled by registers behind it."""
    kind = draw(st.sampled_from([t for t in NUMBERS if not t.startswith("bcd")]))
    after = REGISTERS[kind]
    behind = []
    for as_ in draw(st.lists(st.sampled_from(["factor", "exponent"]), max_size=2, unique=True)):
        behind.append({"address": after, "type": "int16", "as": as_})
        after += 1
    if kind.startswith("uint") and draw(st.booleans()):
        behind.append({"address": after, "type": "uint16", "as": "sign", **draw(st.sampled_from([{}, {"bit": 9}]))})
    orders = {"word_order": draw(ORDER), "byte_order": draw(ORDER)}
    return {
        "address": 0,
        "type": kind,
        "absent": draw(st.sampled_from(["none", "sunspec"])),
        "scale_by": behind,
        **orders,
    }


@given(served(), st.floats(-20_000, 20_000, width=32))
def test_what_is_served_comes_back(given: dict[str, Any], value: float) -> None:
    one = point("power", "kW", **given)
    assert one.modbus is not None
    signed = not given["type"].startswith("uint") or any(s["as"] == "sign" for s in given["scale_by"])
    value = value if signed else abs(value)
    image = RegisterMap({"p": one}).encode({"p": value})["holding"]
    spot = place(one.modbus, ModbusDefaults())
    (block,) = compile_plan([spot]).blocks
    got, quality = block.decode(np.frombuffer(image.data, np.uint8)[np.newaxis])
    kinds = {s["as"] for s in given["scale_by"]}
    floating = given["type"].startswith("float")
    step = 1e-6 * abs(value) if floating else max(10.0 if "factor" in kinds else 1.0, abs(value) / 30_000)
    assert float(got[0, 0]) == pytest.approx(value, abs=step)
    assert not quality.any()


@given(st.sampled_from(CLOCKS), ORDER, ORDER, st.integers(-10_000, 10_000), st.sampled_from(["UTC", "Asia/Shanghai"]))
def test_a_served_clock_is_as_wrong_as_it_is_meant_to_be(
    kind: str, word: str, byte: str, wrong_s: int, zone: str
) -> None:
    one = point("clock_offset", "s", address=5, type=kind, zone=zone, word_order=word, byte_order=byte)
    assert one.modbus is not None
    image = RegisterMap({"clock": one}).encode({"clock": float(wrong_s)}, AT_NS)["holding"]
    (block,) = compile_plan([place(one.modbus, ModbusDefaults())]).blocks
    got, _ = block.decode(np.frombuffer(image.data, np.uint8)[np.newaxis], np.array([AT_NS]))
    assert float(got[0, 0]) == pytest.approx(wrong_s, abs=1.0)


@pytest.mark.parametrize(("form", "kind"), [("quadrants", "float32"), ("lead_lag", "float32")])
def test_a_served_power_factor_comes_back(form: str, kind: str) -> None:
    one = point("power_factor", "1", address=0, type=kind, form=form)
    assert one.modbus is not None
    (block,) = compile_plan([place(one.modbus, ModbusDefaults())]).blocks
    for value in (-1.0, -0.8, 0.0, 0.8, 1.0):
        image = RegisterMap({"pf": one}).encode({"pf": value})["holding"]
        got = float(block.decode(np.frombuffer(image.data, np.uint8)[np.newaxis])[0][0, 0])
        assert got == pytest.approx(abs(value) if form == "lead_lag" else value, abs=1e-6)


def test_an_exponent_follows_its_values_and_all_of_them_come_from_one_step() -> None:
    """Two phases share a scale register, as in SunSpec: the greater one decides, neither is ever cut off."""
    points = {
        n: point("power", "W", address=a, type="int16", absent="sunspec", scale_by=[{"address": 2}])
        for n, a in (("a", 0), ("b", 1))
    }
    registers = RegisterMap(points)
    spots = [place(p.modbus, ModbusDefaults()) for p in points.values() if p.modbus]
    (block,) = compile_plan(spots).blocks
    for size in (0.001, 1.0, 30.0, 33.0, 5e3, 2e6):
        image = registers.encode({"a": size, "b": -size / 3})["holding"]
        got = block.decode(np.frombuffer(image.data, np.uint8)[np.newaxis])[0][0]
        assert got.tolist() == pytest.approx([1e3 * size, -1e3 * size / 3], rel=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_any_bytes_decode_to_numbers_or_to_none(seed: int) -> None:
    """Thousands of random replies to a plan of everything: no crash, nothing infinite, bad where there is NaN."""
    noise = random.Random(seed)
    spots = [Place("holding", n, REGISTERS[t], t, "big", "big", None, ()) for n, t in enumerate(TYPES)]
    helper = Place("holding", 30, 1, "int16", "big", "big", None, ())
    spots += [s._replace(scales=(Scale("exponent", helper),)) for s in spots if s.type in NUMBERS]
    (block,) = compile_plan(spots).blocks
    data = np.frombuffer(noise.randbytes(2 * block.count * 2_000), np.uint8).reshape(2_000, -1)
    with np.errstate(invalid="ignore"):
        values, quality = block.decode(data, np.full(2_000, AT_NS))
    assert np.isfinite(values[quality == 0]).all()
    assert np.isnan(values[quality != 0]).all()
