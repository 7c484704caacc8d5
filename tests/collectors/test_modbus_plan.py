"""Compiling points into blocks, and decoding: against struct, against pymodbus, and stacked against single."""

from __future__ import annotations

import dataclasses
import math
import struct
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from collectors.modbus_decode import Block
from collectors.modbus_frames import BITS, Read, encode
from collectors.modbus_plan import Place, compile_plan, decode_text, place
from config.templates import load_all
from pipeline.quality import BAD, RANGE

STRUCT = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
    "float32": "f", "float64": "d",
}  # fmt: skip
BCD = {"bcd16": 4, "bcd32": 8, "bcd64": 16}
REGISTERS = {k: struct.calcsize(f">{v}") // 2 for k, v in STRUCT.items()} | {k: d // 4 for k, d in BCD.items()}
ORDER = st.sampled_from(["big", "little"])
Order = Literal["big", "little"]


def spot(address: int, kind: Any = "uint16", **more: Any) -> Place:
    given = {
        "table": "holding", "registers": REGISTERS.get(kind, 1), "word_order": "big", "byte_order": "big", "bit": None,
        "not_available": (),
    }  # fmt: skip
    return Place(**{**given, "address": address, "type": kind, **more})


def one(place: Place, data: bytes) -> tuple[float, int]:
    (block,) = compile_plan([place]).blocks
    values, quality = block.decode(np.frombuffer(data, np.uint8)[np.newaxis])
    return float(values[0, 0]), int(quality[0, 0])


def moved(data: bytes, word: str, byte: str) -> bytes:
    pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
    pairs = pairs if word == "big" else pairs[::-1]
    return b"".join(p if byte == "big" else p[::-1] for p in pairs)


@given(st.sampled_from(sorted(STRUCT)), ORDER, ORDER, st.binary(min_size=8, max_size=8))
def test_numbers_decode_as_struct_says(kind: str, word: str, byte: str, noise: bytes) -> None:
    data = noise[: 2 * REGISTERS[kind]]
    (expected,) = struct.unpack(f">{STRUCT[kind]}", data)
    value, quality = one(spot(0, kind, word_order=word, byte_order=byte), moved(data, word, byte))
    if math.isfinite(expected):
        assert (value, quality) == (float(expected), 0)
    else:
        assert math.isnan(value)
        assert quality == BAD | RANGE


@given(st.data(), st.sampled_from(sorted(STRUCT)), ORDER)
def test_numbers_decode_as_pymodbus_encodes(data: st.DataObject, kind: str, word: Order) -> None:
    bits = 16 * REGISTERS[kind]
    if kind.startswith("float"):
        value: float = data.draw(st.floats(allow_nan=False, allow_infinity=False, width=32 if bits == 32 else 64))
    else:
        low, high = (0, 2**bits - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        value = data.draw(st.integers(low, high))
    registers = ModbusClientMixin.convert_to_registers(
        value, getattr(ModbusClientMixin.DATATYPE, kind.upper()), word_order=word
    )
    raw = struct.pack(f">{len(registers)}H", *registers)
    assert one(spot(0, kind, word_order=word), raw) == (float(value), 0)


@given(st.sampled_from(sorted(BCD)), ORDER, ORDER, st.integers(0, 10**16 - 1))
def test_bcd_decodes_its_digits(kind: str, word: str, byte: str, number: int) -> None:
    number %= 10 ** BCD[kind]
    data = bytes.fromhex(f"{number:0{BCD[kind]}d}")
    place = spot(0, kind, word_order=word, byte_order=byte)
    assert one(place, moved(data, word, byte)) == (float(number), 0)


@given(st.sampled_from(sorted(BCD)), st.data())
def test_a_digit_above_nine_is_no_number(kind: str, data: st.DataObject) -> None:
    digits = ["0"] * BCD[kind]
    digits[data.draw(st.integers(0, len(digits) - 1))] = data.draw(st.sampled_from("ABCDEF"))
    value, quality = one(spot(0, kind), bytes.fromhex("".join(digits)))
    assert math.isnan(value)
    assert quality == BAD | RANGE


@pytest.mark.parametrize(
    ("kind", "raw", "absent"),
    [
        ("int16", b"\x80\x00", 0x8000),
        ("int16", b"\x80\x00", -0x8000),
        ("uint32", b"\xff\xff\xff\xff", 0xFFFFFFFF),
        ("int32", b"\x80\x00\x00\x00", -(2**31)),
        ("uint64", b"\xff" * 8, 2**64 - 1),
        ("float32", b"\x7f\x7f\xff\xff", 0x7F7FFFFF),
        ("bcd16", b"\x99\x99", 0x9999),
    ],
)
def test_declared_raw_values_are_no_number(kind: str, raw: bytes, absent: int) -> None:
    value, quality = one(spot(0, kind, not_available=(absent, 1)), raw)
    assert math.isnan(value)
    assert quality == BAD | RANGE
    assert one(spot(0, kind, not_available=(1,)), raw)[1] == 0


@given(st.integers(0, 15), ORDER, st.integers(0, 0xFFFF))
def test_a_bit_of_a_register(bit: int, byte: str, register: int) -> None:
    data = moved(register.to_bytes(2, "big"), "big", byte)
    assert one(spot(9, "bool", bit=bit, byte_order=byte), data) == (float(register >> bit & 1), 0)


@given(st.sampled_from(["coil", "discrete"]), st.lists(st.integers(0, 300), min_size=1, unique=True), st.randoms())
def test_bits_come_packed_least_significant_first(table: str, addresses: list[int], random: Any) -> None:
    state = [random.random() < 0.5 for _ in range(301)]
    plan = compile_plan([spot(a, "bool", table=table) for a in addresses])
    for block in plan.blocks:
        # Packed as a whole number, quite unlike the decoder: bit i of it is the i-th bit asked for.
        number = sum(state[block.address + i] << i for i in range(block.count))
        raw = np.frombuffer(number.to_bytes(-(-block.count // 8), "little"), np.uint8)[np.newaxis]
        values, _ = block.decode(raw)
        assert values[0].tolist() == [float(state[addresses[i]]) for i in block.points]


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]), max_size=12), ORDER)
def test_text(text: str, byte: Order) -> None:
    data = text.encode().ljust(12, b"\0") + b"\0\0"
    assert decode_text(moved(data, "big", byte), byte) == text


def any_spot(kind: str, address: int, table: str, bit: int) -> Place:
    if table in BITS:
        return spot(address, "bool", table=table)
    return spot(address, kind, table=table, bit=bit if kind == "bool" else None)


PLACE = st.builds(
    any_spot,
    st.sampled_from(["bool", *REGISTERS]),
    st.integers(0, 700),
    st.sampled_from(["holding", "input", "coil", "discrete"]),
    st.integers(0, 15),
)


@given(st.lists(PLACE, min_size=1, max_size=40), st.integers(4, 125), st.integers(0, 124))
def test_blocks_keep_the_limits_and_hold_every_value_whole(places: list[Place], limit: int, gap: int) -> None:
    plan = compile_plan(places, limit, gap)
    assert sorted(i for block in plan.blocks for i in block.points) == list(range(len(places)))
    for block in plan.blocks:
        weight = 16 if block.table in BITS else 1
        encode(block.read(1))  # a device may be asked for it
        assert block.count <= limit * weight
        inside = sorted((places[i].address, places[i].end) for i in block.points)
        assert inside[0][0] == block.address
        assert max(end for _, end in inside) == block.address + block.count
        reached = inside[0][1]
        for start, end in inside:
            assert start - reached <= gap * weight
            reached = max(reached, end)
        assert {places[i].table for i in block.points} == {block.table}


@given(st.lists(PLACE, min_size=1, max_size=20), st.integers(1, 7), st.randoms())
def test_stacked_replies_decode_as_each_alone(places: list[Place], replies: int, random: Any) -> None:
    for block in compile_plan(places).blocks:
        size = Read(1, block.table, block.address, block.count).size
        raw = np.frombuffer(random.randbytes(replies * size), np.uint8).reshape(replies, size)
        values, quality = block.decode(raw)
        for row in range(replies):
            alone, alone_quality = block.decode(raw[row : row + 1])
            np.testing.assert_array_equal(values[row], alone[0])
            np.testing.assert_array_equal(quality[row], alone_quality[0])


def blocks(*places: Place, limit: int = 125, gap: int = 16) -> list[tuple[int, int]]:
    return [(b.address, b.count) for b in compile_plan(places, limit, gap).blocks]


def test_a_gap_is_read_over_or_split_at_its_limit() -> None:
    assert blocks(spot(0), spot(17)) == [(0, 18)]
    assert blocks(spot(0), spot(18)) == [(0, 1), (18, 1)]
    assert blocks(spot(0), spot(1), gap=0) == [(0, 2)]


def test_a_value_at_the_limit_goes_whole_into_the_next_block() -> None:
    assert blocks(*[spot(2 * i, "float32") for i in range(63)]) == [(0, 124), (124, 2)]
    assert blocks(spot(0), spot(78, "int32"), spot(80), gap=124, limit=80) == [(0, 80), (80, 1)]


def test_tables_are_never_mixed() -> None:
    got = compile_plan([spot(0), spot(1, table="input"), spot(2, "bool", table="coil")]).blocks
    assert {(b.table, b.address) for b in got} == {("holding", 0), ("input", 1), ("coil", 2)}


def test_a_value_wider_than_one_read_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="float64 at holding 5 needs 4 registers in one read, but max_registers is 2"):
        compile_plan([spot(5, "float64")], max_registers=2)


def test_strings_stay_out_of_the_values() -> None:
    plan = compile_plan([spot(0), spot(1, "string", registers=10)])
    assert [(b.address, b.count) for b in plan.blocks] == [(0, 1)]
    assert [(b.address, b.count) for b in plan.identity] == [(1, 10)]
    assert isinstance(plan.identity[0], Block)


@pytest.mark.parametrize("name", sorted(name for name, t in load_all().items() if t.protocol == "modbus"))
def test_every_template_compiles_into_few_blocks(name: str) -> None:
    template = load_all()[name]
    points = [p.modbus for p in template.points.values() if p.modbus]
    plan = compile_plan([place(p, template.modbus) for p in points], template.max_registers, template.max_gap)
    assert 1 <= len(plan.blocks) <= 4 + len(points) // 8
    for block in (*plan.blocks, *plan.identity):
        encode(block.read(1))


@given(st.sampled_from(sorted(STRUCT)), ORDER, ORDER, st.integers(1, 5), st.booleans(), st.data())
def test_numbers_side_by_side_decode_as_those_that_are_gathered(
    kind: str, word: Order, byte: Order, count: int, absent: bool, data: st.DataObject
) -> None:
    size = REGISTERS[kind]
    raw = np.frombuffer(data.draw(st.binary(min_size=6 * size * count, max_size=6 * size * count)), np.uint8)
    replies = raw.reshape(3, 2 * size * count)
    no_value = (int.from_bytes(replies[0, : 2 * size].tobytes(), "big"),) if absent else ()
    order = {"word_order": word, "byte_order": byte, "not_available": no_value}
    (block,) = compile_plan([spot(n * size, kind, **order) for n in range(count)]).blocks
    (gather,) = block.gathers
    assert (gather.plain is not None) == (byte == "big" and (word == "big" or size == 1))
    gathered = dataclasses.replace(block, gathers=(dataclasses.replace(gather, plain=None),))
    with np.errstate(invalid="ignore"):
        for mine, theirs in zip(block.decode(replies), gathered.decode(replies), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    if absent and gather.plain is not None:
        assert np.isnan(block.decode(replies[:1])[0][0, 0])
