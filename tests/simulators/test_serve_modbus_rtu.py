"""The simulated line, asked by pymodbus and by hand: requests however they are cut, what is refused, and its pace."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.framer import FramerRTU

from config.model import Gateway
from config.protocols.serial import Serial
from simulators.faults import Link
from simulators.registers import Block
from simulators.serve import serve
from simulators.serve_modbus import Unit
from simulators.serve_modbus_rtu import RtuLine, RtuServer
from tests.simulators.small_plant import Ramp, gateway, steps
from tests.waiting import until

IMAGE = {"holding": Block(0, 4, struct.pack(">4H", 10, 11, 12, 13))}


def sealed(body: bytes) -> bytes:
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


READ = sealed(b"\x05\x03\x00\x01\x00\x02")
REPLY = sealed(b"\x05\x03\x04\x00\x0b\x00\x0c")


def rtu(serial: dict[str, Any], address: str) -> Gateway:
    """Return the small plant with its meter on a line."""
    data = gateway().model_dump()
    data["connections"]["floor"] |= {"framing": "rtu", "serial": serial}
    data["areas"]["hall"]["assets"]["meter"]["devices"]["main"]["address"] = address
    return Gateway.model_validate(data)


async def heard(line: RtuLine, *pieces: bytes, count: int = 1) -> list[bytes]:
    """Return what a line says to bytes that arrive in these pieces, once it has said `count` frames."""
    said: list[bytes] = []
    held = bytearray()
    for piece in pieces:
        held += piece
        line.take(held, said.append, said.clear)
    await until(lambda: len(said) >= count)
    return said


@pytest.mark.parametrize(
    "pieces",
    [[READ], [READ[:1], READ[1:7], READ[7:]], [b"\x00\xff" + READ], [READ[:-1] + b"\x00" + READ]],
    ids=["whole", "cut", "noise before", "wrong CRC before"],
)
async def test_a_request_is_found_however_it_arrives(pieces: list[bytes]) -> None:
    assert await heard(RtuLine(units={5: Unit(IMAGE)}), *pieces) == [REPLY]


async def test_two_requests_at_once_are_both_answered() -> None:
    assert await heard(RtuLine(units={5: Unit(IMAGE)}), READ + READ, count=2) == [REPLY, REPLY]


@pytest.mark.parametrize("function", [5, 6, 15, 16, 22, 23])
async def test_a_write_is_refused_and_kept(function: int) -> None:
    body = {15: "00 01 00 02 01 03", 16: "00 01 00 01 02 12 34", 22: "00 01 00 f2 00 25"}
    text = body.get(function, "00 00 00 01 00 01 00 01 02 12 34" if function == 23 else "00 01 ff 00")
    line = RtuLine(units={5: Unit(IMAGE)})
    said = await heard(line, sealed(bytes((5, function)) + bytes.fromhex(text)))
    assert said == [sealed(bytes((5, function | 0x80, 1)))]
    assert [(w.unit, w.function, w.data) for w in line.write_attempts] == [(5, function, bytes.fromhex(text))]


async def test_a_write_to_nobody_is_kept_too_and_nobody_answers() -> None:
    line = RtuLine(units={5: Unit(IMAGE)})
    write = sealed(b"\x00\x06\x00\x01\x12\x34")  # a broadcast: every unit on the line would do it
    assert await heard(line, write + READ) == [REPLY]
    assert [(w.unit, w.function) for w in line.write_attempts] == [(0, 6)]


async def test_faults_of_a_line() -> None:
    unit = Unit(IMAGE)
    line = RtuLine(units={5: unit, 6: Unit(IMAGE)})
    unit.link = Link(exception=4)
    assert await heard(line, READ) == [sealed(b"\x05\x83\x04")]
    unit.link = Link(garbage=b"nonsense")
    assert await heard(line, READ) == [b"nonsense"]
    unit.link = Link(drop="silent")
    other = sealed(b"\x06\x03\x00\x01\x00\x02")
    assert [frame[0] for frame in await heard(line, READ + other)] == [6]


async def test_a_paced_line_takes_the_time_of_its_characters() -> None:
    loop = asyncio.get_running_loop()
    line = RtuLine(Serial(baudrate=1_200, parity="N"), {5: Unit(IMAGE)}, paced=True, turnaround_s=0.05)
    begin = loop.time()
    await heard(line, READ + READ, count=2)
    # Two requests of 8 and two replies of 9 characters, 10 bits each; a turnaround each.
    assert loop.time() - begin >= 2 * (17 * 10 / 1_200 + 0.05) - 0.002


@pytest.mark.writes("pymodbus writes")
async def test_a_configured_line_is_served_on_a_pseudo_terminal() -> None:
    configured = rtu({"port": "/dev/ttyS9", "baudrate": 19_200}, "7")
    async with serve(configured, {}, {"meter": Ramp("meter")}, free_ports=True) as served:
        ((path, line),) = served.network.lines.items()
        settings = served.gateway.connections["floor"].serial  # type: ignore[union-attr]
        assert settings is not None
        assert (settings.port, settings.parity) == (path, "N")
        await steps(served, 5)
        client = AsyncModbusSerialClient(path, baudrate=19_200, parity="N", timeout=60)
        assert await client.connect()
        registers = (await client.read_holding_registers(10, count=6, device_id=7)).registers
        assert struct.unpack(">fII", struct.pack(">6H", *registers)) == (100_000.0, 500, 4)
        refused = await client.write_register(10, 1, device_id=7)
        assert refused.exception_code == 1
        assert [w.function for w in line.write_attempts] == [6]
        client.close()


async def test_a_configured_line_is_served_through_a_serial_server() -> None:
    async with serve(rtu({}, "127.0.0.1:502/7"), {}, {"meter": Ramp("meter")}, free_ports=True) as served:
        (server,) = served.network.lines.values()
        assert isinstance(server, RtuServer)
        await steps(served, 5)
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, framer=FramerType.RTU, timeout=60)
        assert await client.connect()
        registers = (await client.read_holding_registers(10, count=6, device_id=7)).registers
        assert struct.unpack(">fII", struct.pack(">6H", *registers)) == (100_000.0, 500, 4)
        client.close()
