"""Frames of DL/T 645 against what meters said elsewhere, against the peer's codec, and against damage of every kind."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from dlt645 import DLT645Protocol
from dlt645.common.transform import bcd_to_float, float_to_bcd
from hypothesis import given
from hypothesis import strategies as st

from collectors.dlt645_frames import (
    Code,
    Reassembler,
    Reply,
    address_request,
    error_words,
    follow_request,
    identifier_bytes,
    meter_bytes,
    meter_digits,
    read_request,
)
from collectors.dlt645_frames import _frame as encode
from collectors.dlt645_plan import Unfit, decode, field_of
from config.protocols.dlt645 import Dlt645Point

FRAMES: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parents[1] / "data" / "dlt645" / "frames.yaml").read_text("utf-8")
)
EVERY = [one for kind in FRAMES.values() for one in kind]


def name(one: dict[str, Any]) -> str:
    return f"{one['source']} {one['hex'][-17:]}"


def heard(data: bytes) -> list[Reply]:
    return Reassembler().feed(data)


def value_of(one: dict[str, Any], data: bytes) -> float:
    """Return what is taken for the answer's value when `data` comes in place of the frame; NaN when nothing is."""
    meter, identifier = meter_bytes(one["meter"]), identifier_bytes(one["data"])
    place = Dlt645Point(data=one["data"], item=one.get("item"))
    for reply in heard(data):
        if reply.answers(meter, Code.READ, identifier) and not reply.refused:
            try:
                return field_of(place, 0).read(reply.data[4:])
            except Unfit:
                return math.nan
    return math.nan


def test_what_is_pinned_is_enough_and_whole() -> None:
    assert len(EVERY) >= 40
    for one in EVERY:
        frame = bytes.fromhex(one["hex"])
        frame = frame[frame.index(0x68) :]
        assert sum(frame[:-2]) & 0xFF == frame[-2], name(one)


@pytest.mark.parametrize("one", FRAMES["requests"], ids=name)
def test_requests_are_those_others_send(one: dict[str, Any]) -> None:
    assert read_request(meter_bytes(one["meter"]), identifier_bytes(one["data"])) == bytes.fromhex(one["hex"])


@pytest.mark.parametrize("one", FRAMES["replies"], ids=name)
def test_replies_of_meters_give_the_value_their_source_says(one: dict[str, Any]) -> None:
    assert value_of(one, bytes.fromhex(one["hex"])) == one["value"]


@pytest.mark.parametrize("one", FRAMES["refusals"], ids=name)
def test_refusals_of_meters(one: dict[str, Any]) -> None:
    (reply,) = heard(bytes.fromhex(one["hex"]))
    assert (meter_digits(reply.meter), reply.refused, reply.data) == (one["meter"], True, bytes((one["error"],)))
    assert reply.answers(meter_bytes(one["meter"]), Code.READ, b"any.")


@pytest.mark.parametrize("one", FRAMES["addresses"], ids=name)
def test_meters_say_their_address(one: dict[str, Any]) -> None:
    (reply,) = heard(bytes.fromhex(one["hex"]))
    assert reply.code is Code.ADDRESS
    assert meter_digits(reply.data) == meter_digits(reply.meter) == one["meter"]


def test_nothing_but_the_three_reading_commands_can_be_encoded() -> None:
    assert {code.value for code in Code} == {0x11, 0x12, 0x13}
    for command in set(range(256)) - {0x11, 0x12, 0x13}:
        with pytest.raises(ValueError, match="is not a valid Code"):
            encode(bytes(6), command, b"")  # type: ignore[arg-type]
    assert address_request().hex(" ").upper() == "68 AA AA AA AA AA AA 68 13 00 DF 16"
    assert follow_request(meter_bytes("1" * 12), bytes.fromhex("00010203"), 1)[8:10] == b"\x12\x05"


def test_errors_in_words() -> None:
    assert error_words(2) == "error 02H (no such data)"
    assert error_words(0x44) == "error 44H (wrong password or not permitted, too many tariffs)"
    assert error_words(0) == "error 00H"


# ── against the peer's codec ──────────────────────────────────────────────────────────────────────

digits = st.text("0123456789", min_size=12, max_size=12)
identifiers = st.binary(min_size=4, max_size=4)


@given(digits, identifiers, st.integers(0, 255))
def test_the_peer_understands_what_is_asked(meter: str, identifier: bytes, number: int) -> None:
    for sent, control, data in (
        (read_request(meter_bytes(meter), identifier), 0x11, identifier),
        (follow_request(meter_bytes(meter), identifier, number), 0x12, identifier + bytes((number,))),
    ):
        frame = DLT645Protocol.deserialize(sent)
        assert frame is not None
        assert (bytes(frame.addr), frame.ctrl_code, bytes(frame.data)) == (meter_bytes(meter), control, data)


@given(
    digits,
    st.sampled_from([0x91, 0xB1, 0xD1, 0x92, 0xB2, 0xD2, 0x93, 0xD3]),
    st.binary(max_size=200),
    st.integers(0, 4),
    st.integers(1, 40),
)
def test_what_the_peer_encodes_is_understood_in_pieces_too(
    meter: str, control: int, data: bytes, preamble: int, piece: int
) -> None:
    sent = bytes(DLT645Protocol.build_frame(meter_bytes(meter), control, data, preamble))
    frames = Reassembler()
    found = [reply for at in range(0, len(sent), piece) for reply in frames.feed(sent[at : at + piece])]
    assert [(r.meter, r.data) for r in found] == [(meter_bytes(meter), data)]
    assert (found[0].code | 0x80 | found[0].more << 5 | found[0].refused << 6) == control
    assert frames.damaged == frames.clear() == 0


FORMATS = ["XXXXXX.XX", "XX.XXXX", "XXX.XXX", "XXX.X", "X.XXX", "XX.XX", "XXXXXXXX.XXXX"]


@given(st.sampled_from(FORMATS), st.data())
def test_values_are_those_of_an_independent_decoder(form: str, data: st.DataObject) -> None:
    places = form.count("X")
    decimals = len(form.partition(".")[2])
    most = 8 * 10 ** (places - 1) - 1  # the top bit is the sign
    number = data.draw(st.integers(-most, most))
    raw = bytes(float_to_bcd(number / 10**decimals, form, "little"))
    assert decode(raw, decimals, signed=True) == bcd_to_float(raw, form, "little")
    assert decode(raw, decimals, signed=True) == number / 10**decimals
    if number >= 0:
        assert decode(raw, decimals, signed=False) == number / 10**decimals


@given(st.binary(min_size=1, max_size=7), st.integers(0, 4), st.booleans())
def test_digits_that_are_none_are_no_value(raw: bytes, decimals: int, signed: bool) -> None:
    text = (raw[:-1] + bytes((raw[-1] & (0x7F if signed else 0xFF),)))[::-1].hex()
    assert math.isnan(decode(raw, decimals, signed=signed)) == any(c in "abcdef" for c in text)


# ── damage ────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.binary(max_size=60) | st.sampled_from([bytes.fromhex(one["hex"]) for one in EVERY]), max_size=12))
def test_whatever_comes_only_whole_frames_are_taken(pieces: list[bytes]) -> None:
    frames = Reassembler()
    stream = b"".join(pieces)
    for reply in [r for piece in pieces for r in frames.feed(piece)]:
        control = reply.code | 0x80 | reply.more << 5 | reply.refused << 6
        assert bytes(DLT645Protocol.build_frame(reply.meter, control, reply.data, 0)) in stream
    assert frames.clear() <= 212  # what is held is at most a frame that is not complete


@pytest.mark.parametrize("one", FRAMES["replies"], ids=name)
def test_no_flipped_bit_gives_another_value(one: dict[str, Any]) -> None:
    frame = bytes.fromhex(one["hex"])
    begins = frame.index(0x68)
    for bit in range(8 * len(frame)):
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        got = value_of(one, bytes(damaged))
        if bit // 8 < begins:
            assert got == one["value"] or math.isnan(got)  # the preamble says nothing; as 68H it hides a frame
        else:
            assert math.isnan(got)


def test_two_flips_that_cancel_out_in_the_sum_cannot_be_seen() -> None:
    """The protocol's checksum is a sum: +1 here and −1 there pass. The line's parity sees each of them."""
    one = next(one for one in FRAMES["replies"] if one["value"] == 239.4)
    frame = bytearray.fromhex(one["hex"])
    frame[22] ^= 0x01  # C7H → C6H
    frame[23] ^= 0x01  # 56H → 57H
    assert value_of(one, bytes(frame)) == 249.3


def test_a_false_start_and_an_echo_do_not_hide_the_reply() -> None:
    one = FRAMES["replies"][0]
    reply = bytes.fromhex(one["hex"])
    request = bytes.fromhex(FRAMES["requests"][1]["hex"])
    for before in (b"\x68", b"\x68" * 7, b"\x68\xfe\xfe\xfe\xfe\xfe\xfe", request, request[:9], b"\x00\xff" * 50):
        assert value_of(one, before + reply) == one["value"], before
    assert value_of(one, reply[:-3]) != one["value"]


@pytest.mark.parametrize(
    ("place", "data", "words"),
    [
        ({"data": "02010100"}, "341200", "3 bytes where 2 are expected"),
        ({"data": "0201FF00", "item": 1}, "341256", "no row of values of 2"),
        ({"data": "0201FF00", "item": 2}, "34125678", "has 2 values, none with item: 2"),
        ({"data": "01010000"}, "341200", "3 bytes where 8 are expected"),
    ],
)
def test_an_answer_of_another_length_is_no_value(place: dict[str, Any], data: str, words: str) -> None:
    with pytest.raises(Unfit, match=words):
        field_of(Dlt645Point(**place), 0).read(bytes.fromhex(data))


def test_a_demand_is_told_apart_from_its_time_and_rows_are_counted() -> None:
    demand = bytes.fromhex("452301 3011230726")
    assert field_of(Dlt645Point(data="01010000"), 0).read(demand) == 1.2345
    row = Dlt645Point(data="0101FF00", item=1)
    assert field_of(row, 0).read(bytes(8) + demand) == 1.2345
    rates = bytes.fromhex("00010000 00020000 00030000 00040000 00050000")
    assert [field_of(Dlt645Point(data="05060101", item=i), 0).read(rates) for i in range(5)] == [1, 2, 3, 4, 5]
    assert field_of(Dlt645Point(data="02030000"), 0).read(bytes.fromhex("341285")) == -5.1234
