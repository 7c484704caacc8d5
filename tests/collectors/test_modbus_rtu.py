"""RTU frames: known ones from outside; whatever bytes come, there is data with its CRC, a named failure or nothing."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from collectors.modbus_frames import Failure, Read
from collectors.modbus_rtu import crc, encode, find_reply, first_frame, good_header, malformed, on_line_s, silence_s
from config.protocols.serial import Serial
from pipeline.gaps import Gap

TABLES = st.sampled_from(["holding", "input", "coil", "discrete"])
READS = st.builds(Read, st.integers(1, 247), TABLES, st.integers(0, 60_000), st.integers(1, 125))
READ = Read(17, "holding", 107, 3)

# Request, good reply and data of known exchanges: Wikipedia, "Modbus", and simplymodbus.ca's examples of FC01–FC04.
KNOWN = [
    (READ, "11 03 00 6B 00 03 76 87", "11 03 06 AE 41 56 52 43 40 49 AD", "AE 41 56 52 43 40"),
    (Read(17, "coil", 19, 37), "11 01 00 13 00 25 0E 84", "11 01 05 CD 6B B2 0E 1B 45 E6", "CD 6B B2 0E 1B"),
    (Read(17, "discrete", 196, 22), "11 02 00 C4 00 16 BA A9", "11 02 03 AC DB 35 20 18", "AC DB 35"),
    (Read(17, "input", 8, 1), "11 04 00 08 00 01 B2 98", "11 04 02 00 0A F8 F4", "00 0A"),
]


@pytest.mark.parametrize(("read", "request_", "reply", "data"), KNOWN)
def test_known_exchanges(read: Read, request_: str, reply: str, data: str) -> None:
    assert encode(read) == bytes.fromhex(request_)
    assert find_reply(read, bytes.fromhex(reply)) == bytes.fromhex(data)


def test_a_known_checksum_and_exception() -> None:
    # PI-MBUS-300 Rev. J, "CRC Generation": 02 07 gives 1241 hexadecimal, sent as 41 12.
    assert crc(b"\x02\x07") == b"\x41\x12"
    answer = find_reply(Read(10, "coil", 1185, 1), bytes.fromhex("0A 81 02 B0 53"))  # simplymodbus.ca, exceptions
    assert isinstance(answer, Failure)
    assert answer.cause is Gap.EXCEPTION
    assert answer.words == "coil 1185–1185: exception 2 (illegal data address)"


@given(st.binary(max_size=300))
def test_the_checksum_is_that_of_another_implementation(data: bytes) -> None:
    assert int.from_bytes(crc(data), "big") == FramerRTU.compute_CRC(data)


@given(st.integers(-10, 300), TABLES, st.integers(-10, 70_000), st.integers(-10, 3_000))
def test_only_the_four_reading_requests_to_one_unit_can_be_encoded(unit: int, table: str, at: int, length: int) -> None:
    with contextlib.suppress(ValueError):
        request = encode(Read(unit, table, at, length))  # type: ignore[arg-type]
        assert 1 <= request[0] <= 247
        assert request[1] in (1, 2, 3, 4)
        assert len(request) == 8


@given(READS, st.binary(max_size=40), st.data())
def test_a_reply_is_found_behind_noise_and_however_it_is_cut(read: Read, noise: bytes, data: st.DataObject) -> None:
    body = data.draw(st.binary(min_size=read.size, max_size=read.size))
    frame = good_header(read) + body
    frame += crc(frame)
    whole = noise + frame
    if whole.startswith(encode(read)):
        return  # heard as an echo
    found = [find_reply(read, whole[:end]) for end in range(len(noise), len(whole) + 1)]
    assert found[-1] == body
    assert all(early is None for early in found[:-1])


@given(READS, st.binary(max_size=600))
def test_any_bytes_end_in_data_with_its_own_checksum_a_failure_or_nothing(read: Read, noise: bytes) -> None:
    answer = find_reply(read, noise)
    if isinstance(answer, bytes):
        frame = good_header(read) + answer
        assert frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big") in noise
    elif answer is None:
        assert malformed(read, noise).words
    first_frame(noise)


@given(READS, st.data())
def test_a_changed_bit_is_never_taken(read: Read, data: st.DataObject) -> None:
    body = data.draw(st.binary(min_size=read.size, max_size=read.size))
    frame = bytearray(good_header(read) + body)
    frame += crc(bytes(frame))
    at = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[at // 8] ^= 1 << at % 8
    assert not isinstance(find_reply(read, bytes(frame)), bytes)


def test_an_echo_that_looks_like_a_reply_is_none() -> None:
    read = Read(9, "coil", 0x0312, 20)  # its request is `09 01 03 …`: the header of a reply of three bytes
    echo = encode(read)
    assert find_reply(read, echo) is None
    reply = good_header(read) + b"\x01\x02\x03"
    assert find_reply(read, echo + reply + crc(reply)) == b"\x01\x02\x03"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("11 03 06 AE 41 56 52 43 41 49 AD", "the reply's CRC is wrong"),
        ("12 03 06 AE 41 56 52 43 40", "unit 18 answered instead of 17"),
        ("11 04 06 AE 41 56 52 43 40", "answer to function 4 instead of 3"),
        ("11 03 04 AE 41 56 52", "4 bytes of data (4 announced) instead of 6"),
        ("47 45 54 20 2F", "bytes that are no reply: 47 45 54 20 2f"),
    ],
)
def test_what_is_wrong_is_named(reply: str, words: str) -> None:
    data = bytes.fromhex(reply)
    whole = data if "CRC" in words else data + crc(data)
    assert find_reply(READ, whole) is None
    failure = malformed(READ, whole)
    assert failure.cause is Gap.MALFORMED
    assert words in failure.words


def test_times_on_the_line() -> None:
    # Modbus over Serial Line V1.02 §2.5.1.1: t3.5 is 1.750 ms above 19,200 baud.
    assert silence_s(Serial(baudrate=38_400)) == 0.00175
    assert silence_s(Serial(baudrate=9_600)) == pytest.approx(3.5 * 11 / 9_600)
    # 8 characters asked, 5 + 6 answered, 11 bits each, and the silence before each.
    assert on_line_s(READ, Serial(baudrate=9_600)) == pytest.approx((8 + 11) * 11 / 9_600 + 2 * 3.5 * 11 / 9_600)
