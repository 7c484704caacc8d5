"""Serial lines with others' software at an end: libmodbus and pymodbus as units, mbpoll as the one who asks."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from config.protocols.serial import Serial
from pipeline.gaps import Gap
from simulators.registers import Block
from simulators.serve_modbus import ModbusServer, Unit
from simulators.serve_modbus_rtu import RtuPort
from tests.collectors.test_modbus_peers import (
    ORDERS,
    VALUES,
    Start,
    encoded_by_pymodbus,
    libmodbus,
    libmodbus_program,
    ordered,
)
from tests.interop import saw
from tests.peers.line_rig import Cable
from tests.peers.modbus_rig import bound, running
from tests.waiting import until

__all__ = ["libmodbus", "libmodbus_program"]  # fixtures

BAUD = 115_200
SERIAL: dict[str, Any] = {"baudrate": BAUD, "parity": "N"}


async def test_libmodbus_serves_every_type_and_order_on_a_line(libmodbus: Start, tmp_path: Path) -> None:
    content: list[tuple[str, int, int]] = [("c", 7, 1), ("d", 9, 1)]
    points: dict[str, dict[str, Any]] = {
        f"{table}-{at}": {"address": at, "type": "bool", "table": table}
        for table in ("coil", "discrete")
        for at in (7, 9)
    }
    expected = {"coil-7": 1.0, "coil-9": 0.0, "discrete-7": 0.0, "discrete-9": 1.0}
    for letter, table in (("h", "holding"), ("i", "input")):
        address = 3
        for word, byte in ORDERS:
            for name, (kind, value, data) in VALUES.items():
                raw = ordered(data, word, byte)
                content += [(letter, address + i, register) for i, register in enumerate(raw)]
                key = f"{table}-{word}-{byte}-{name}"
                points[key] = {"address": address, "type": kind, "table": table, "word_order": word, "byte_order": byte}
                expected[key] = value
                address += len(raw) + 1
    points["beyond"] = {"address": 1500}
    async with Cable(tmp_path) as cable:
        await asyncio.to_thread(libmodbus, content, cable.far, str(BAUD), "17")
        async with running([bound("m", "17", points)], framing="rtu", serial=SERIAL | {"port": cable.near}) as run:
            await until(lambda: all(run.values(f"m.{key}") for key in expected))
            assert {key: run.values(f"m.{key}")[0] for key in expected} == expected
            assert set(run.gaps("m")) == {Gap.EXCEPTION}
            assert "holding 1500–1500: exception 2 (illegal data address)" in run.counters.links["m.meter"]
    what = "every type × order in both register tables, bits, an exception"
    saw("Modbus RTU", "libmodbus 3.1 (C server)", what, f"{len(expected)} values equal")


async def test_pymodbus_encodes_on_a_line_what_is_decoded_here(tmp_path: Path) -> None:
    blocks, points, expected = encoded_by_pymodbus()
    devices = [SimDevice(7, blocks), SimDevice(9, [SimData(0, values=4711, datatype=DataType.UINT16)])]
    async with Cable(tmp_path) as cable:
        server = ModbusSerialServer(devices, port=cable.far, baudrate=BAUD, parity="N")
        await server.listen()
        try:
            both = [bound("p", "7", points), bound("q", "9", {"x": {"address": 0}})]
            async with running(both, framing="rtu", serial=SERIAL | {"port": cable.near}) as run:
                await until(lambda: run.values("p.f64") and run.values("q.x"))
                assert {name: run.values(f"p.{name}")[0] for name in points} == expected
                assert run.values("q.x")[0] == 4711
        finally:
            await server.shutdown()
    saw(
        "Modbus RTU",
        "pymodbus 3 (serial server)",
        "every type it knows, two units",
        f"{len(expected) + 1} values equal",
    )


async def mbpoll(*arguments: str) -> dict[int, str]:
    """Return what mbpoll read once, by reference; AssertionError with its words where it failed."""
    process = await asyncio.create_subprocess_exec(
        "mbpoll", "-0", "-1", "-o", "10", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told = (await process.communicate())[0].decode()
    assert process.returncode == 0, told
    return {int(at): value.strip() for at, value in re.findall(r"^\[(\d+)\]:\s+(.*)$", told, re.MULTILINE)}


def shown() -> Unit:
    """Return a unit with registers 0, 1, 2 … up to 199 and every third bit set."""
    data = b"".join(n.to_bytes(2) for n in range(200))
    bits = bytes(n % 3 == 0 for n in range(200))
    return Unit(
        {
            "holding": Block(0, 200, data),
            "input": Block(0, 200, data),
            "coil": Block(0, 200, bits),
            "discrete": Block(0, 200, bits),
        }
    )


async def reads_all(*way: str) -> int:
    """Let mbpoll read every table along a way; return how many values were right."""
    right = 0
    for table, first, count in (("4", 0, 125), ("3", 75, 125), ("0", 0, 125), ("1", 75, 125)):
        told = await mbpoll("-t", table, "-r", str(first), "-c", str(count), *way)
        whole = table in "34"
        expected = {n: str(n) if whole else str(int(n % 3 == 0)) for n in range(first, first + count)}
        assert told == expected
        right += len(told)
    return right


async def test_mbpoll_reads_simulated_units_over_tcp() -> None:
    async with ModbusServer(units={5: shown()}) as server:
        right = await reads_all("-m", "tcp", "-p", str(server.port), "-a", "5", "127.0.0.1")
        assert not server.write_attempts
    saw(
        "Modbus TCP",
        "mbpoll 1.0 (client of our simulator)",
        "all four tables, 125 values a read",
        f"{right} values equal",
    )


@pytest.mark.writes("mbpoll tries to")
async def test_mbpoll_reads_a_simulated_line_and_its_write_is_refused(tmp_path: Path) -> None:
    async with Cable(tmp_path) as cable:
        line = Serial(port=cable.far, baudrate=BAUD, parity="N")
        async with RtuPort(line, {5: shown()}) as server:
            way = ("-m", "rtu", "-b", str(BAUD), "-P", "none", "-a", "5", cable.near)
            right = await reads_all(*way)
            assert not server.write_attempts
            process = await asyncio.create_subprocess_exec(
                "mbpoll",
                "-0",
                "-1",
                "-r",
                "3",
                *way,
                "4711",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            told = (await process.communicate())[0].decode()
            assert "Illegal function" in told
            assert [(w.unit, w.function, w.data) for w in server.write_attempts] == [(5, 6, b"\x00\x03\x12\x67")]
            assert await mbpoll("-t", "4", "-r", "3", "-c", "1", *way) == {3: "3"}
    saw(
        "Modbus RTU",
        "mbpoll 1.0 (client of our simulator)",
        "all four tables, a write refused",
        f"{right} values equal",
    )
