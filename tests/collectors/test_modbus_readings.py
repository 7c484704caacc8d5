"""Words of a block → all their readings: the true one is among them, at its place, and none beyond the block."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.modbus_frames import Read
from collectors.modbus_plan import Place, Scale
from collectors.modbus_readings import Heard, is_configured, raw_of, readings, words
from config.protocols.modbus import REGISTERS, Order, RegisterType, Table

FORMATS: dict[RegisterType, str] = {
    "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "uint64": ">Q", "float32": ">f",
    "float64": ">d",
}  # fmt: skip
ORDERS = st.sampled_from(("big", "little"))


def block(data: bytes, address: int, table: Table = "holding", length: int | None = None) -> Heard:
    return Heard(Read(1, table, address, len(data) // 2 if length is None else length), data, 1)


def at(address: int, kind: RegisterType, word: Order = "big", byte: Order = "big", bit: int | None = None) -> Place:
    return Place("holding", address, REGISTERS[kind], kind, word, byte, bit, ())


def on_wire(data: bytes, word: Order, byte: Order) -> bytes:
    """Return big-endian bytes as a device of this order sends them."""
    pairs = [data[n : n + 2] for n in range(0, len(data), 2)]
    pairs = pairs if word == "big" else pairs[::-1]
    return b"".join(pair if byte == "big" else pair[::-1] for pair in pairs)


@given(st.sampled_from(sorted(FORMATS)), ORDERS, ORDERS, st.sampled_from((-1, 0, 1)), st.data())
def test_what_a_device_meant_is_among_the_readings(
    kind: RegisterType, word: Order, byte: Order, offset: int, data: st.DataObject
) -> None:
    """Whatever its type, its order of bytes, and whether its manual counts from 0, from 1 or from 2."""
    raw = data.draw(st.binary(min_size=2 * REGISTERS[kind], max_size=2 * REGISTERS[kind]))
    (meant,) = struct.unpack(FORMATS[kind], raw)
    before, behind = (data.draw(st.binary(min_size=2, max_size=2)) for _ in range(2))
    heard = block(before + on_wire(raw, word, byte) + behind, 99)
    found = [
        r.value
        for r in readings(heard, at(100 - offset, "uint16"))
        if (r.type, r.word_order, r.byte_order, r.offset)
        == (kind, word if REGISTERS[kind] > 1 else "big", byte, offset)
    ]
    assert len(found) == 1
    assert found[0] == float(meant) or (math.isnan(found[0]) and not math.isfinite(meant))


def test_a_float_of_the_sdm630_by_hand() -> None:
    """230.5 is 0x43668000 (IEEE 754): CDAB where the words stand the other way round."""
    heard = block(bytes.fromhex("0007 4366 8000 0001"), 99)
    found = {(r.type, r.order): r.value for r in readings(heard, at(100, "float32")) if r.offset == 0}
    assert found["float32", "ABCD"] == 230.5
    assert found["uint16", "AB"] == 0x4366
    assert found["bcd32", "CDAB"] == 80_004_366.0
    swapped = block(bytes.fromhex("0007 8000 4366 0001"), 99)
    assert {(r.order, r.offset): r.value for r in readings(swapped, at(100, "float32")) if r.type == "float32"}[
        "CDAB", 0
    ] == 230.5
    assert words(heard) == ["0x0007", "0x4366", "0x8000", "0x0001"]
    assert raw_of(heard, at(100, "float32")) == bytes.fromhex("43668000")


def test_just_one_reading_is_the_configured_one() -> None:
    heard = block(bytes(range(16)), 96)
    for spot in (at(100, "float32", "little"), at(100, "uint16"), at(98, "bool", bit=3), at(98, "bool")):
        assert sum(is_configured(r, spot) for r in readings(heard, spot)) == 1, spot


def test_nothing_reaches_beyond_the_block() -> None:
    alone = block(b"\0\1", 100)
    assert {(r.type, r.offset) for r in readings(alone, at(100, "uint16"))} == {
        ("int16", 0), ("uint16", 0), ("bcd16", 0),
    }  # fmt: skip
    assert readings(alone, at(103, "uint16")) == []
    assert raw_of(alone, at(100, "float32")) is None


def test_a_digit_above_nine_is_no_decimal() -> None:
    found = {r.type: r.value for r in readings(block(b"\0\x1a", 100), at(100, "uint16")) if r.order == "AB"}
    assert math.isnan(found["bcd16"])
    assert found["uint16"] == 26


@pytest.mark.parametrize("address", range(10))
def test_bits_are_read_one_by_one(address: int) -> None:
    """Coils of a block stand lowest bit first (Modbus Application Protocol V1.1b3 §6.1)."""
    heard = block(bytes([0b1100_1010, 0b01]), 0, "coil", 10)
    expected = [0, 1, 0, 1, 0, 0, 1, 1, 1, 0]
    spot = Place("coil", address, 1, "bool", "big", "big", None, ())
    found = {r.offset: r.value for r in readings(heard, spot)}
    assert found == {o: expected[address + o] for o in (-1, 0, 1) if 0 <= address + o < 10}
    assert words(heard) == [str(bit) for bit in expected]


def test_the_bits_of_a_word_beside_each_other() -> None:
    spot = at(100, "bool", bit=3)
    bits = {r.bit: r.value for r in readings(block(b"\x00\x08", 100), spot) if r.type == "bool"}
    expected: dict[int | None, float] = {bit: float(bit == 3) for bit in range(16)}
    assert bits == expected | {None: 1.0}


def test_a_sign_in_the_top_bit_is_thought_of_where_it_is_set() -> None:
    """0x83E4 by thousandths is a power factor of −0.996 on a Schneider CM4000 (FAQ FA357734)."""
    found = {(r.type, r.order): r.value for r in readings(block(b"\x83\xe4", 100), at(100, "uint16"))}
    assert found["sm16", "AB"] == -996
    assert ("sm16", "BA") in found  # 0xE483: also set
    assert not [r for r in readings(block(b"\x03\x04", 100), at(100, "uint16")) if r.type == "sm16"]
    assert [
        r.value for r in readings(block(b"\x03\xe4", 100), at(100, "sm16")) if is_configured(r, at(100, "sm16"))
    ] == [996]


def test_a_reading_is_scaled_by_the_registers_beside_it() -> None:
    """All types at once, and one address along: a manual that miscounts does so for the scale register too."""
    scale = Scale("exponent", at(101, "int16"))
    spot = at(100, "int16")._replace(scales=(scale,))
    found = {
        (r.type, r.order, r.offset): r.value for r in readings(block(b"\x09\x03\xff\xff\x09\x04\x00\x01", 100), spot)
    }
    assert found["int16", "AB", 0] == pytest.approx(230.7)
    assert math.isnan(found["uint16", "AB", 1])  # 0xFFFF by what follows it, 10^2308: no exponent
    alone = readings(block(b"\x09\x03", 100), spot)
    assert {r.value for r in alone if is_configured(r, spot)} == {2307.0}  # what scales it is not in the block


def test_a_clock_is_read_in_every_layout() -> None:
    spot = Place("holding", 100, 3, "time_bytes", "big", "big", None, (), zone="Asia/Shanghai")
    heard = Heard(Read(1, "holding", 100, 6), bytes.fromhex("1A03 1412 0030") + bytes(6), 1_774_000_000 * 10**9)
    found = readings(heard, spot)
    assert {r.type for r in found} == {"time_unix", "time_words", "time_bytes", "time_bcd", "time_cp56"}
    (configured,) = [r for r in found if is_configured(r, spot)]
    assert configured.value == 848.0  # 2026-03-20 18:00:48 in Shanghai is shown at 09:46:40 UTC
