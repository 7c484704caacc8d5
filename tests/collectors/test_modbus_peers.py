"""Real servers of others as peers: libmodbus (C) and pymodbus; every table, type and order, and what they refuse."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from pipeline.gaps import Gap
from tests.interop import saw
from tests.peers.modbus_rig import bound, running
from tests.waiting import until

SOURCE = Path(__file__).parents[1] / "peers" / "modbus_server.c"
Content = list[tuple[str, int, int]]
Start = Callable[..., int]  # (content, port, baud rate and unit of a serial line where it is not TCP) → TCP port


@pytest.fixture(scope="session")
def libmodbus_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("libmodbus") / "modbus_server"
    if shutil.which("gcc") is None or not Path("/usr/include/modbus/modbus.h").exists():
        pytest.fail("needs a C compiler and libmodbus: apt-get install gcc libmodbus-dev")
    build = ["gcc", "-Wall", "-Werror", "-I/usr/include/modbus", "-o", str(program), str(SOURCE), "-lmodbus"]
    subprocess.run(build, check=True)
    return program


@pytest.fixture
def libmodbus(libmodbus_program: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(content: Content, *line: str) -> int:
        server = subprocess.Popen([libmodbus_program, *line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(server)
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("".join(f"{t} {a} {v}\n" for t, a, v in content) + "go\n")
        server.stdin.flush()
        return int(server.stdout.readline())

    yield start
    for server in started:
        server.communicate(timeout=60)


def words(data: bytes) -> list[int]:
    return list(struct.unpack(f">{len(data) // 2}H", data))


# name: (type, value, bytes in the usual order, most significant first)
VALUES: dict[str, tuple[str, float, bytes]] = {
    "i16": ("int16", -12345, struct.pack(">h", -12345)),
    "u16": ("uint16", 54321, struct.pack(">H", 54321)),
    "i32": ("int32", -1234567890, struct.pack(">i", -1234567890)),
    "u32": ("uint32", 3456789012, struct.pack(">I", 3456789012)),
    "i64": ("int64", -(2**50) - 3, struct.pack(">q", -(2**50) - 3)),
    "u64": ("uint64", 2**52 + 12345, struct.pack(">Q", 2**52 + 12345)),
    "f32": ("float32", 230.125, struct.pack(">f", 230.125)),
    "f64": ("float64", 1234567.891, struct.pack(">d", 1234567.891)),
    "b16": ("bcd16", 4711, bytes.fromhex("4711")),
    "b32": ("bcd32", 12345678, bytes.fromhex("12345678")),
    "b64": ("bcd64", 123456789012345, bytes.fromhex("0123456789012345")),
}
ORDERS = [("big", "big"), ("big", "little"), ("little", "big"), ("little", "little")]  # (word, byte)


def ordered(data: bytes, word: str, byte: str) -> list[int]:
    """Return the registers of a value in another order, moved about as plain lists of bytes."""
    pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
    pairs = pairs if word == "big" else pairs[::-1]
    return words(b"".join(p if byte == "big" else p[::-1] for p in pairs))


async def test_libmodbus_serves_every_type_and_order_in_both_register_tables(libmodbus: Start) -> None:
    content: list[tuple[str, int, int]] = []
    points: dict[str, dict[str, object]] = {}
    expected: dict[str, float] = {}
    for letter, table in (("h", "holding"), ("i", "input")):
        address = 3
        for word, byte in ORDERS:
            for name, (kind, value, data) in VALUES.items():
                key = f"{table}-{word}-{byte}-{name}"
                raw = ordered(data, word, byte)
                content += [(letter, address + i, register) for i, register in enumerate(raw)]
                points[key] = {"address": address, "type": kind, "table": table, "word_order": word, "byte_order": byte}
                expected[key] = value
                address += len(raw) + 1
    device = bound("all", f"127.0.0.1:{libmodbus(content)}", points)
    async with running([device]) as run:
        await until(lambda: all(run.values(f"all.{key}") for key in points))
        assert {key: run.values(f"all.{key}")[0] for key in points} == expected
        assert run.gaps("all") == [Gap.NONE]
    what = "every type × order in both register tables"
    saw("Modbus TCP", "libmodbus 3.1 (C server)", what, f"{len(expected)} values equal")


async def test_libmodbus_serves_bits_of_all_four_tables_and_strings(
    libmodbus: Start, caplog: pytest.LogCaptureFixture
) -> None:
    bits = {7: 1, 8: 0, 15: 1, 16: 1, 300: 1}
    content = [(letter, a, v) for letter in "cd" for a, v in bits.items()]
    content += [("h", 40, 0b1000_0000_0000_0101), ("i", 41, 0b0000_0001_0000_0000)]
    content += [("h", 60 + i, w) for i, w in enumerate(words(b"EM24-4711\0\0\0"))]
    points: dict[str, dict[str, object]] = {
        f"{table}{a}": {"address": a, "type": "bool", "table": table} for table in ("coil", "discrete") for a in bits
    }
    points |= {f"h{bit}": {"address": 40, "type": "bool", "bit": bit} for bit in range(16)}
    points |= {"i8": {"address": 41, "type": "bool", "bit": 8, "table": "input"}}
    points |= {"any": {"address": 40, "type": "bool"}, "none": {"address": 42, "type": "bool"}}
    points |= {"serial": {"address": 60, "type": "string", "length": 6}}
    caplog.set_level("INFO", "tanflow.collector")
    async with running([bound("b", f"127.0.0.1:{libmodbus(content)}/1", points)]) as run:
        await until(lambda: run.values("b.none"))
        got = {name: run.values(f"b.{name}")[0] for name in points if name != "serial"}
    expected = {f"{table}{a}": float(v) for table in ("coil", "discrete") for a, v in bits.items()}
    expected |= {f"h{bit}": float(bit in (0, 2, 15)) for bit in range(16)} | {"i8": 1.0, "any": 1.0, "none": 0.0}
    assert got == expected
    assert run.values("b.serial") == []
    assert next(r.message for r in caplog.records if "answers" in r.message).endswith("answers (serial EM24-4711)")


async def test_a_block_libmodbus_refuses_leaves_the_others_standing(libmodbus: Start) -> None:
    points: dict[str, dict[str, object]] = {
        "good": {"address": 10},
        "beyond": {"address": 1500},
        "more": {"address": 900},
    }
    async with running([bound("m", f"127.0.0.1:{libmodbus([('h', 10, 5), ('h', 900, 6)])}", points)]) as run:
        await until(lambda: len(run.values("m.more")) > 2)
        assert set(run.values("m.good")) == {5.0}
        assert set(run.values("m.more")) == {6.0}
        assert run.values("m.beyond") == []
        assert set(run.gaps("m")) == {Gap.EXCEPTION}
        assert "holding 1500–1500: exception 2 (illegal data address)" in run.counters.links["m.meter"]


PYMODBUS = {
    "int16": DataType.INT16, "uint16": DataType.UINT16, "int32": DataType.INT32, "uint32": DataType.UINT32,
    "int64": DataType.INT64, "uint64": DataType.UINT64, "float32": DataType.FLOAT32, "float64": DataType.FLOAT64,
}  # fmt: skip


def encoded_by_pymodbus() -> tuple[list[SimData], dict[str, dict[str, Any]], dict[str, float]]:
    """Return registers as pymodbus encodes them, the points that read them, and the values they must show."""
    blocks, points, expected = [], {}, {}
    address = 0
    for name, (kind, value, data) in VALUES.items():
        if kind in PYMODBUS:
            blocks.append(SimData(address, values=value, datatype=PYMODBUS[kind]))
            points[name] = {"address": address, "type": kind}
            expected[name] = value
            address += len(data) // 2
    return blocks, points, expected


async def test_pymodbus_encodes_what_is_decoded_here() -> None:
    blocks, points, expected = encoded_by_pymodbus()
    server = ModbusTcpServer(SimDevice(7, blocks), address=("127.0.0.1", 0))
    await server.listen()
    try:
        port = server.transport.sockets[0].getsockname()[1]
        async with running([bound("p", f"127.0.0.1:{port}/7", points)]) as run:
            await until(lambda: run.values("p.f64"))
            assert {name: run.values(f"p.{name}")[0] for name in points} == expected
    finally:
        await server.shutdown()
    saw("Modbus TCP", "pymodbus 3 (server)", "every type it knows", f"{len(expected)} values equal")
