"""The Modbus server read by pymodbus and by raw bytes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
from pymodbus.client import AsyncModbusTcpClient

from config.points import Point
from config.protocols.modbus import ModbusDefaults
from simulators.faults import Link
from simulators.registers import Block, RegisterMap
from simulators.serve_modbus import ModbusServer, Unit

POINTS = {
    "power": {"quantity": "power", "unit": "W", "modbus": {"address": 52, "type": "float32"}},
    "energy": {"quantity": "energy_index", "unit": "kWh", "scale": 0.01, "modbus": {"address": 54, "type": "uint32"}},
    "running": {"quantity": "state", "unit": "1", "modbus": {"address": 3, "type": "bool", "table": "coil"}},
    "alarm": {"quantity": "state", "unit": "1", "modbus": {"address": 13, "type": "bool", "table": "discrete"}},
    "level": {"quantity": "ratio", "unit": "%", "modbus": {"address": 0, "type": "uint16", "table": "holding"}},
}
METER = RegisterMap({n: Point.model_validate(p) for n, p in POINTS.items()}, ModbusDefaults(table="input"))
SHOWN = METER.encode({"power": 12.5, "energy": 1234.56, "running": 1, "alarm": 1, "level": 42})


@pytest.fixture
async def server() -> AsyncIterator[ModbusServer]:
    async with ModbusServer(units={1: Unit(SHOWN), 2: Unit(SHOWN, max_registers=2)}) as server:
        yield server


@pytest.fixture
async def client(server: ModbusServer) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=600, retries=0)
    assert await client.connect()
    yield client
    client.close()


async def test_all_four_tables(client: AsyncModbusTcpClient, server: ModbusServer) -> None:
    registers = (await client.read_input_registers(52, count=4, device_id=1)).registers
    assert struct.unpack(">fI", struct.pack(">4H", *registers)) == (12_500.0, 123_456)
    assert (await client.read_holding_registers(0, count=1, device_id=1)).registers == [42]
    assert (await client.read_coils(3, count=1, device_id=1)).bits[0] is True
    assert (await client.read_discrete_inputs(13, count=1, device_id=1)).bits[0] is True
    assert server.requests == {1: 1, 2: 1, 3: 1, 4: 1}


async def test_what_does_not_exist_is_refused(client: AsyncModbusTcpClient) -> None:
    for address, count, unit, code in ((51, 2, 1, 2), (55, 2, 1, 2), (52, 125, 1, 2), (52, 3, 2, 3), (52, 2, 9, 11)):
        answer = await client.read_input_registers(address, count=count, device_id=unit)
        assert answer.isError()
        assert answer.exception_code == code, (address, count, unit)


@pytest.mark.writes("pymodbus writes")
async def test_writes_are_refused_and_kept(client: AsyncModbusTcpClient, server: ModbusServer) -> None:
    answers = (
        await client.write_register(0, 7, device_id=1),
        await client.write_coil(3, False, device_id=1),
        await client.write_registers(0, [1, 2], device_id=1),
    )
    assert [a.exception_code for a in answers] == [1, 1, 1]
    assert [(w.unit, w.function) for w in server.write_attempts] == [(1, 6), (1, 5), (1, 16)]
    assert server.write_attempts[0].data == struct.pack(">HH", 0, 7)
    assert (await client.read_holding_registers(0, count=1, device_id=1)).registers == [42]


async def ask(port: int, sent: bytes, size: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for i in range(len(sent)):  # one byte at a time: a request may arrive in any pieces
            writer.write(sent[i : i + 1])
            await writer.drain()
        return await asyncio.wait_for(reader.readexactly(size) if size else reader.read(), 300)
    finally:
        writer.close()


async def test_requests_in_pieces_and_in_a_row(server: ModbusServer) -> None:
    request = struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 0, 1)
    answer = bytes.fromhex("0007 0000 0005 01 03 02 002a")
    assert await ask(server.port, request + request, 2 * len(answer)) == 2 * answer


@pytest.mark.writes("a client sends what is no Modbus")
@pytest.mark.parametrize("garbage", ["GET / HTTP/1.1\r\n\r\n", "\0\1\0\0\0\0\1\3", "\0\1\0\0\xff\xff\1\3"])
async def test_what_is_not_modbus_is_hung_up_on(server: ModbusServer, garbage: str) -> None:
    with pytest.raises(OSError):  # noqa: PT012 - reset, or closed without a byte
        assert await ask(server.port, garbage.encode("latin-1"), 0) == b""
        raise ConnectionResetError


@pytest.mark.writes("a client sends what is no request")
async def test_a_request_of_the_wrong_length_is_refused(server: ModbusServer) -> None:
    assert await ask(server.port, struct.pack(">HHHBBH", 1, 0, 4, 1, 3, 0), 9) == bytes.fromhex("000100000003018303")


async def test_the_ways_a_link_fails(client: AsyncModbusTcpClient, server: ModbusServer) -> None:
    unit = server.units[1]
    unit.link = Link(exception=4)
    assert (await client.read_input_registers(52, count=2, device_id=1)).exception_code == 4
    unit.link = Link(lag_s=0.05)
    loop = asyncio.get_running_loop()
    asked = loop.time()
    assert not (await client.read_input_registers(52, count=2, device_id=1)).isError()
    assert loop.time() - asked >= 0.05
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for drop in ("silent", "close"):
        unit.link = Link(drop=drop)
        before = server.requests[3]
        writer.write(struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 0, 1))
        if drop == "silent":
            # the neighbour behind the same port still answers, and that answer is the only one that comes
            writer.write(struct.pack(">HHHBBHH", 8, 0, 6, 2, 3, 0, 1))
            assert (await reader.readexactly(11)).hex() == "0008000000050203020" + "02a"
            assert server.requests[3] == before + 2
        else:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await reader.readexactly(1)
    writer.close()


async def test_a_block_is_always_of_one_step(client: AsyncModbusTcpClient, server: ModbusServer) -> None:
    for step in range(50):
        server.units[1].show({"input": Block(0, 100, struct.pack(">H", step) * 100)})
        registers = (await client.read_input_registers(0, count=100, device_id=1)).registers
        assert set(registers) == {step}
