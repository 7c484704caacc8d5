"""Captures of the Zeek project decode to what Zeek's own analyser says of them; malformed ones stop nothing."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from collectors.modbus_frames import EXCEPTIONS, Failure, Malformed, Read, encode, read_reply, take_frame
from collectors.modbus_plan import Place, compile_plan
from config.protocols.modbus import Table
from pipeline.gaps import Gap
from tests.peers.modbus_rig import bound, counting, frame, registers, running, serving
from tests.waiting import until

DATA = Path(__file__).parents[1] / "data" / "zeek"
CAPTURES = sorted(p.name for p in DATA.glob("*.pcap"))
NAMES = {
    "READ_COILS": 1, "READ_HOLDING_REGISTERS": 3, "WRITE_SINGLE_COIL": 5, "WRITE_SINGLE_REGISTER": 6,
    "READ_INPUT_REGISTERS": 4,
}  # fmt: skip


class Segment(NamedTuple):
    source: int  # TCP ports
    target: int
    payload: bytes


def capture(name: str) -> Iterator[Segment]:
    """Yield the TCP payloads of a little-endian pcap file of Ethernet frames."""
    data = (DATA / name).read_bytes()
    assert data[:4] == b"\xd4\xc3\xb2\xa1"
    at = 24
    while at + 16 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 8)
        packet, at = data[at + 16 : at + 16 + size], at + 16 + size
        if packet[12:14] != b"\x08\x00" or packet[23] != 6:
            continue
        ip = packet[14:]
        tcp = ip[4 * (ip[0] & 15) : int.from_bytes(ip[2:4], "big")]
        payload = tcp[4 * (tcp[12] >> 4) :]
        if payload:
            yield Segment(*struct.unpack_from(">HH", tcp), payload)


def frames(payload: bytes) -> list[bytes]:
    buffer, found = bytearray(payload), []
    while (whole := take_frame(buffer)) is not None:
        found.append(whole)
    return found


class Said(NamedTuple):
    """One event of Zeek's: transaction, unit, and the arguments after the header."""

    event: str
    port: int
    transaction: int
    unit: int
    rest: str


LINE = re.compile(r"(?:\d+ )?(modbus_\w+), \[.*?orig_p=(\d+)/tcp.*?\], \[tid=(\d+), .*?uid=(\d+), .*?\](?:, (.*))?")


def said(name: str, event: str) -> list[Said]:
    matches = map(LINE.fullmatch, (DATA / name).read_text().splitlines())
    events = [Said(m[1], int(m[2]), int(m[3]), int(m[4]), m[5] or "") for m in matches if m]
    return [e for e in events if e.event == event]


def reply_of(name: str, event: Said) -> bytes:
    """Return the frame a response event of Zeek's stands for."""
    replies = [
        whole
        for segment in capture(name)
        if segment.source == 502 and segment.target == event.port
        for whole in frames(segment.payload)
    ]
    (found,) = [r for r in replies if int.from_bytes(r[:2], "big") == event.transaction]
    return found


def decoded(read: Read, whole: bytes) -> list[float]:
    """Return what a plan of single registers (or bits) over the whole block decodes from a reply."""
    kind = "bool" if read.table == "coil" else "uint16"
    places = [Place(read.table, read.address + i, 1, kind, "big", "big", None, ()) for i in range(read.length)]
    (block,) = compile_plan(places).blocks
    assert block.read(read.unit) == read
    data = read_reply(read, whole)
    assert isinstance(data, bytes)
    values, quality = block.decode(np.frombuffer(data, np.uint8)[np.newaxis])
    assert not quality.any()
    return [float(v) for v in values[0]]


def numbers(text: str) -> list[int]:
    return [int(v) for v in re.findall(r"\d+", text)]


def test_register_values_are_those_zeek_reads() -> None:
    events = said("baseline.modbus.register_parsing.output", "modbus_read_input_registers_response")
    assert len(events) == 2
    for event in events:
        *values, length = numbers(event.rest)
        read = Read(event.unit, "input", 400, length)
        assert decoded(read, reply_of("fuzz-1011.pcap", event)) == values


def test_coil_values_are_those_zeek_reads() -> None:
    events = said("baseline.modbus.coil_parsing_small.output", "modbus_read_coils_response")
    assert len(events) == 8
    for event in events:
        values = [float(v == "T") for v in re.findall("[TF]", event.rest)]
        assert decoded(Read(event.unit, "coil", 0, 3), reply_of("modbusSmall.pcap", event)) == values[:3]


@pytest.mark.parametrize(
    ("name", "output", "event", "table"),
    [
        ("modbusSmall.pcap", "coil_parsing_small", "modbus_read_coils_request", "coil"),
        ("fuzz-1011.pcap", "register_parsing", "modbus_read_input_registers_request", "input"),
    ],
)
def test_requests_are_the_bytes_on_the_wire(name: str, output: str, event: str, table: Table) -> None:
    events = said(f"baseline.modbus.{output}.output", event)
    wire = [s.payload for s in capture(name) if s.target == 502]
    assert events
    for asked in events:
        read = Read(asked.unit, table, *numbers(asked.rest))
        if read.length > 2_000 or (table == "input" and read.length > 125):
            with pytest.raises(ValueError, match="1 to 125 values"):  # the fuzzed request asks for 147 registers
                encode(read)
        else:
            assert asked.transaction.to_bytes(2, "big") + encode(read) in wire


def rows(name: str) -> list[list[str]]:
    """Return tid, unit, function, direction and exception of a Zeek log."""
    lines = (DATA / name).read_text().splitlines()
    return [line.split("\t")[6:11] for line in lines if not line.startswith("#")]


def seen(segment: Segment, whole: bytes) -> tuple[int, int, int, str]:
    return int.from_bytes(whole[:2], "big"), whole[6], whole[7], "REQ" if segment.target == 502 else "RESP"


def function_of(name: str) -> int:
    return NAMES[name] if name in NAMES else int(name.removeprefix("unknown-"))


def test_functions_are_those_zeek_logs_and_other_protocols_are_malformed() -> None:
    log = rows("baseline.modbus.modbus_and_non_modbus_on_port_502.modbus.log")
    expected = [(int(tid), int(unit), function_of(name), way) for tid, unit, name, way, _ in log]
    got = []
    for segment in capture("modbus-and-non-modbus-p502.pcap"):
        if 3082 in segment[:2]:
            got += [seen(segment, whole) for whole in frames(segment.payload)]
        elif segment.target == 502:
            with pytest.raises(Malformed):
                frames(segment.payload)
    assert got == expected


def test_exceptions_are_those_zeek_logs() -> None:
    """Zeek leaves out what it could not put in sequence; everything it logs must be there."""
    expected: Counter[tuple[object, ...]] = Counter()
    for tid, unit, name, way, exception in rows("baseline.modbus.exception_handling.modbus.log"):
        words = exception.lower().replace("_", " ") if exception != "-" else ""
        expected[(int(tid), int(unit), function_of(name), way, words)] += 1
    got: Counter[tuple[object, ...]] = Counter()
    for segment in capture("fuzz-72.pcap"):
        try:
            found = frames(segment.payload)
        except Malformed:
            continue
        for whole in found:
            words = EXCEPTIONS[whole[8]] if whole[7] & 0x80 else ""
            got[(*seen(segment, whole), words)] += 1
    # The one request Zeek logs before it is whole: it announces 37 bytes, of which 6 are there.
    assert expected - got == Counter({(0, 0, 38, "REQ", ""): 1})
    assert any(words == "illegal function" for *_, words in expected)


@pytest.mark.parametrize("name", CAPTURES)
def test_no_capture_breaks_the_decoder(name: str) -> None:
    for segment in capture(name):
        for table in ("holding", "input", "coil", "discrete"):
            try:
                for whole in frames(segment.payload):
                    answer = read_reply(Read(whole[6], table, 0, 3), whole)
                    assert isinstance(answer, Failure | bytes)
            except Malformed:
                pass


@pytest.mark.parametrize("own_transaction", [True, False])
@pytest.mark.parametrize("name", CAPTURES)
async def test_a_capture_as_answers_never_stops_the_collector(name: str, own_transaction: bool) -> None:
    answers = [s.payload for s in capture(name)][:40]

    def raw(request: bytes) -> bytes:
        if not answers:
            return request[:2] + frame(0, request[6], registers(3, [42]))[2:]
        answer = answers.pop(0)
        return request[:2] + answer[2:] if own_transaction else answer

    async with serving(counting) as server:
        server.raw = raw
        device = bound("m", f"127.0.0.1:{server.port}", {"x": {"address": 0}})
        async with running([device], every_s=0.02, timeout_s=0.05, backoff_max_s=0.02) as run:
            await until(lambda: 42.0 in run.values("m.x"))
            await until(lambda: run.gaps("m")[-1] == Gap.NONE)
            await until(lambda: run.counters.links["m.meter"] == "")  # a loaded machine may be late for a period
        assert not answers
