"""Modbus peers for Node.js: a server our collector reads, and clients that read, and try to write, our simulator."""

from __future__ import annotations

import struct

import pytest

from config.points import Point
from pipeline.gaps import Gap
from simulators.registers import RegisterMap
from simulators.serve_modbus import ModbusServer, Unit
from tests.collectors.test_modbus_peers import ORDERS, VALUES, ordered
from tests.interop import saw
from tests.peers.modbus_js import VERSIONS, client, modbus_serial_server
from tests.peers.modbus_rig import bound, running
from tests.waiting import until

SERVER = f"modbus-serial {VERSIONS['modbus-serial']} (Node.js server)"
CLIENTS = ["modbus-serial", "jsmodbus"]
READ_AS = {
    "int16": "Int16BE", "uint16": "UInt16BE", "int32": "Int32BE", "uint32": "UInt32BE",
    "int64": "BigInt64BE", "uint64": "BigUInt64BE", "float32": "FloatBE", "float64": "DoubleBE",
}  # fmt: skip
READS = {
    "holding": "readHoldingRegisters",
    "input": "readInputRegisters",
    "coil": "readCoils",
    "discrete": "readDiscreteInputs",
}


async def test_a_modbus_serial_server_is_read_in_every_table_type_and_order(node: str) -> None:
    held: dict[str, dict[int, int]] = {"holding": {}, "input": {}, "coil": {}, "discrete": {}}
    points: dict[str, dict[str, object]] = {}
    expected: dict[str, float] = {}
    for table in ("holding", "input"):
        address = 3
        for word, byte in ORDERS:
            for name, (kind, value, data) in VALUES.items():
                key = f"{table}-{word}-{byte}-{name}"
                raw = ordered(data, word, byte)
                held[table] |= {address + i: register for i, register in enumerate([*raw, 0])}
                points[key] = {"address": address, "type": kind, "table": table, "word_order": word, "byte_order": byte}
                expected[key] = value
                address += len(raw) + 1
    for table in ("coil", "discrete"):
        bits = {7 + i: int(i in (0, 1, 5, 8, 17)) for i in range(20)}
        held[table] = bits
        points |= {f"{table}{a}": {"address": a, "type": "bool", "table": table} for a in bits}
        expected |= {f"{table}{a}": float(v) for a, v in bits.items()}
    async with (
        modbus_serial_server(node, {7: held}) as port,
        running([bound("all", f"127.0.0.1:{port}/7", points)]) as run,
    ):
        await until(lambda: all(run.values(f"all.{key}") for key in points))
        assert {key: run.values(f"all.{key}")[0] for key in points} == expected
        assert run.gaps("all") == [Gap.NONE]
    saw("Modbus TCP", SERVER, "all tables, types and orders", f"{len(expected)} values equal")


async def test_what_a_modbus_serial_server_refuses_leaves_the_rest_standing(node: str) -> None:
    held = {1: {"holding": {10: 5, 900: 6}}}
    points: dict[str, dict[str, object]] = {"good": {"address": 10}, "gone": {"address": 500}, "more": {"address": 900}}
    async with modbus_serial_server(node, held) as port:
        one = bound("one", f"127.0.0.1:{port}/1", points)
        nobody = bound("nobody", f"127.0.0.1:{port}/9", {"any": {"address": 10}})
        async with running([one, nobody]) as run:
            await until(lambda: len(run.values("one.more")) > 2 and Gap.TIMEOUT in run.gaps("nobody"))
            assert set(run.values("one.good")) == {5.0}
            assert run.values("one.gone") == []
            assert set(run.gaps("one")) == {Gap.EXCEPTION}
            assert run.values("nobody.any") == []
    saw("Modbus TCP", SERVER, "exception 2 of one block, exception 11 of a unit", "the other values stand, gaps told")


def image() -> tuple[dict[str, Point], dict[str, float]]:
    """Return points of every type in all four tables and what they read."""
    points: dict[str, Point] = {}
    readings: dict[str, float] = {}
    for table in ("holding", "input"):
        address = 100
        for name, (kind, value, data) in VALUES.items():
            place = {"address": address, "type": kind, "table": table}
            points[f"{table}-{name}"] = Point.model_validate({"quantity": "count", "unit": "1", "modbus": place})
            readings[f"{table}-{name}"] = value
            address += len(data) // 2
    for table in ("coil", "discrete"):
        for address in range(30, 50):
            place = {"address": address, "type": "bool", "table": table}
            points[f"{table}{address}"] = Point.model_validate({"quantity": "state", "unit": "1", "modbus": place})
            readings[f"{table}{address}"] = float(address % 3 == 0)
    return points, readings


@pytest.mark.parametrize("name", CLIENTS)
async def test_javascript_clients_read_every_table_of_the_simulator(node: str, name: str) -> None:
    points, readings = image()
    unit, equal = Unit(RegisterMap(points).encode(readings), max_registers=60), 0
    async with ModbusServer(units={1: unit}) as server, client(node, name, server.port) as peer:
        for key, point in points.items():
            spot = point.modbus
            assert spot is not None
            call = READS[spot.table or "holding"]
            if spot.type == "bool":
                told = await peer.ask(call, spot.address, 1)
                assert bool(told["values"][0]) == bool(readings[key]), key
            elif spot.type in READ_AS:
                told = await peer.ask(call, spot.address, spot.registers, as_=READ_AS[spot.type])
                assert float(told["value"]) == pytest.approx(readings[key], rel=1e-7), key
            else:  # Node.js has no reading of packed decimals
                told = await peer.ask(call, spot.address, spot.registers)
                data = struct.pack(f">{spot.registers}H", *told["values"])
                assert int(data.hex()) == readings[key], key
            equal += 1
        bits = (await peer.ask("readCoils", 30, 20))["values"][:20]
        assert [bool(b) for b in bits] == [a % 3 == 0 for a in range(30, 50)]
        assert await peer.ask("readHoldingRegisters", 90, 2) == {"exception": 2}
        assert await peer.ask("readInputRegisters", 100, 61) == {"exception": 3}
        assert not server.write_attempts
    peer_name = f"{name} {VERSIONS[name]} (Node.js client)"
    saw("Modbus TCP", peer_name, "reads the simulator: all tables and types, exceptions", f"{equal} values equal")


@pytest.mark.writes("modbus-serial and jsmodbus try to write")
@pytest.mark.parametrize("name", CLIENTS)
async def test_javascript_clients_cannot_write_to_the_simulator(node: str, name: str) -> None:
    points, readings = image()
    unit = Unit(RegisterMap(points).encode(readings))
    before = dict(unit.blocks)
    writes = {
        5: ("writeCoil", 30, False),
        6: ("writeRegister", 100, 7),
        15: ("writeCoils", 30, [True, False]),
        16: ("writeRegisters", 100, [1, 2]),
    }
    async with ModbusServer(units={1: unit}) as server, client(node, name, server.port) as peer:
        for call in writes.values():
            assert await peer.ask(*call) == {"exception": 1}
        assert [attempt.function for attempt in server.write_attempts] == list(writes)
        assert {attempt.unit for attempt in server.write_attempts} == {1}
        assert unit.blocks == before
        still = await peer.ask("readHoldingRegisters", 101, 1)
        assert still["values"] == [VALUES["u16"][1]]
    peer_name = f"{name} {VERSIONS[name]} (Node.js client)"
    saw("Modbus TCP", peer_name, "tries to write to the simulator", f"{len(writes)} functions refused and recorded")
