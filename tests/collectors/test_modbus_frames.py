"""Frames: only reading requests can be made; whatever bytes come back, there is data or a named failure."""

from __future__ import annotations

import contextlib
import struct
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import modbus_line, modbus_tcp
from collectors.modbus_frames import Failure, Malformed, Read, encode, good_header, read_reply, take_frame
from pipeline.gaps import Gap
from tests.peers.modbus_rig import frame, registers

TABLES = st.sampled_from(["holding", "input", "coil", "discrete"])
READS = st.builds(Read, st.integers(0, 255), TABLES, st.integers(0, 60_000), st.integers(1, 125))
ANY = st.integers(-10, 70_000)


@given(ANY, TABLES, ANY, ANY)
def test_only_the_four_reading_requests_can_be_encoded(unit: int, table: Any, address: int, length: int) -> None:
    with contextlib.suppress(ValueError):
        request = encode(Read(unit, table, address, length))
        protocol, size, to, function, at, many = struct.unpack(">HHBBHH", request)
        assert function in (1, 2, 3, 4)
        assert (protocol, size, to, at, many) == (0, 6, unit, address, length)
        assert at + many <= 65_536
        assert 1 <= many <= (2_000 if function < 3 else 125)


@given(st.text() | st.integers())
def test_no_other_table_can_be_asked(table: Any) -> None:
    if table not in ("holding", "input", "coil", "discrete"):
        with pytest.raises(KeyError):
            encode(Read(1, table, 0, 1))


@pytest.mark.parametrize(
    ("way", "sends"),
    [
        (modbus_tcp, "write(transaction + exchange.request)"),
        (modbus_line, "write(self.asked.request if read == asked else encode(read))"),
    ],
    ids=["tcp", "rtu"],
)
def test_a_way_sends_from_one_place_and_only_encoded_reads(way: ModuleType, sends: str) -> None:
    source = open(str(way.__file__), encoding="utf-8").read()  # noqa: SIM115
    assert source.count(".write(") == 1
    assert f"self._transport.{sends}" in source
    assert source.count("return Form(encode(read), ") == 1


@given(READS, st.data())
def test_a_good_reply_gives_its_data(read: Read, data: st.DataObject) -> None:
    body = data.draw(st.binary(min_size=read.size, max_size=read.size))
    function = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}[read.table]
    whole = frame(7, read.unit, bytes([function, read.size]) + body)
    assert whole[2:9] == good_header(read)
    assert read_reply(read, whole) == body


@given(st.lists(st.binary(min_size=1, max_size=253), max_size=8), st.data())
def test_frames_are_found_however_they_are_cut(pdus: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(frame(i, 1, pdu) for i, pdu in enumerate(pdus))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    buffer, found = bytearray(), []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        buffer += whole[start:end]
        while (got := take_frame(buffer)) is not None:
            found.append(got[7:])
    assert found == pdus
    assert not buffer


@given(READS, st.binary(max_size=600))
def test_any_bytes_end_in_data_or_a_failure(read: Read, noise: bytes) -> None:
    buffer = bytearray(noise)
    with contextlib.suppress(Malformed):
        while (got := take_frame(buffer)) is not None:
            answer = read_reply(read, got)
            assert isinstance(answer, Failure) or len(answer) == read.size


READ = Read(3, "holding", 100, 2)


@pytest.mark.parametrize(
    ("whole", "cause", "words"),
    [
        (frame(1, 3, b"\x83\x02"), Gap.EXCEPTION, "holding 100–101: exception 2 (illegal data address)"),
        (frame(1, 3, b"\x83\x63"), Gap.EXCEPTION, "exception 99 (unknown code)"),
        (frame(1, 3, b"\x83\x0b"), Gap.TIMEOUT, "gateway target device failed to respond"),
        (frame(1, 4, registers(3, [1, 2])), Gap.MALFORMED, "unit 4 answered instead of 3"),
        (frame(1, 3, registers(4, [1, 2])), Gap.MALFORMED, "answer to function 4 instead of 3"),
        (frame(1, 3, b"\x84\x02"), Gap.MALFORMED, "answer to function 132"),
        (frame(1, 3, registers(3, [1])), Gap.MALFORMED, "2 bytes of data (2 announced) instead of 4"),
        (frame(1, 3, b"\x03\x04\x00\x01\x00"), Gap.MALFORMED, "3 bytes of data (4 announced) instead of 4"),
        (frame(1, 3, b"\x03"), Gap.MALFORMED, "0 bytes of data (none announced)"),
        (frame(1, 3, b"\x83"), Gap.MALFORMED, "function 131"),
    ],
)
def test_a_wrong_answer_is_named(whole: bytes, cause: Gap, words: str) -> None:
    answer = read_reply(READ, whole)
    assert isinstance(answer, Failure)
    assert answer.cause is cause
    assert words in answer.words


@pytest.mark.parametrize(
    "head", [b"\x00\x01\x00\x07\x00\x06\x01", b"\x00\x01\x00\x00\x00\x01\x01", b"GET / HTTP/1.1\r\n"]
)
def test_what_is_no_modbus_is_malformed(head: bytes) -> None:
    with pytest.raises(Malformed):
        take_frame(bytearray(head))
