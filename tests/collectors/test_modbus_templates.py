"""Every device template against registers others have read, and served by the simulator to a client of others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.client.mixin import ModbusClientMixin

from collectors.modbus_plan import compile_plan, place
from config.points import Point, Template
from config.protocols.modbus import ModbusPoint, absent_values
from config.quantities import conversion
from config.templates import load_all
from simulators.registers import RegisterMap
from simulators.serve_modbus import ModbusServer, Unit
from tests.interop import saw
from tests.pinned import FOLDER, KINDS, Vector, canonical, vectors

TEMPLATES = {name: t for name, t in load_all().items() if t.protocol == "modbus"}
DATATYPES = {
    "int16": ModbusClientMixin.DATATYPE.INT16, "uint16": ModbusClientMixin.DATATYPE.UINT16,
    "int32": ModbusClientMixin.DATATYPE.INT32, "uint32": ModbusClientMixin.DATATYPE.UINT32,
    "int64": ModbusClientMixin.DATATYPE.INT64, "uint64": ModbusClientMixin.DATATYPE.UINT64,
    "float32": ModbusClientMixin.DATATYPE.FLOAT32, "float64": ModbusClientMixin.DATATYPE.FLOAT64,
}  # fmt: skip


def kept(point: Point, raw: float) -> float:
    """Return what is kept of a raw value: conversion(sign · scale · raw + offset)."""
    return canonical(point, point.sign * point.scale * raw + point.offset, point.unit)


def decoded(template: Template, vector: Vector) -> dict[str, float]:
    """Return every point a vector expects, in the unit it is kept in, as a collector's plan reads it."""
    points = {name: template.points[name] for name in vector.expected}
    places = [place(p.modbus, template.modbus) for p in points.values() if p.modbus]
    found: dict[str, float] = {}
    for block in compile_plan(places, template.max_registers, template.max_gap).blocks:
        raw = np.frombuffer(vector.raw(block.table, block.address, block.count), np.uint8)
        values, _ = block.decode(raw.reshape(1, -1))
        found |= {list(points)[i]: float(values[0, column]) for column, i in enumerate(block.points)}
    return {name: kept(points[name], value) for name, value in found.items()}


def test_every_folder_is_a_templates() -> None:
    assert {p.name for p in FOLDER.iterdir() if p.is_dir()} <= set(load_all())
    assert len(TEMPLATES) >= 30


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_every_point_is_pinned_by_bytes_of_others(template: Template) -> None:
    pinned = vectors(template.id)
    assert pinned, f"{template.id} has no folder in tests/data/templates: config/README.md says what belongs there"
    assert {v.kind for v in pinned} <= set(KINDS)
    assert all(v.source and v.licence and v.how for v in pinned)
    named = {name for v in pinned for name in v.expected}
    assert named == set(template.points)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_registers_mean_what_others_say(template: Template) -> None:
    for vector in vectors(template.id):
        found = decoded(template, vector)
        for name, (value, unit) in vector.expected.items():
            if value is None:
                assert math.isnan(found[name]), f"{name}: no value, says {vector.source}"
            else:
                wanted = canonical(template.points[name], value, unit)
                assert found[name] == pytest.approx(wanted, rel=1e-9, abs=1e-9), f"{name}: {vector.source}"


class Reader:
    """pymodbus reading one unit: its converter gives the raw value, what makes it plain is said once more here."""

    def __init__(self, client: AsyncModbusTcpClient, unit: int, template: Template) -> None:
        self.client = client
        self.unit = unit
        self.shared = template.modbus

    async def registers(self, table: str, address: int, count: int) -> Sequence[int]:
        ask = {"holding": self.client.read_holding_registers, "input": self.client.read_input_registers}[table]
        reply = await ask(address, count=count, device_id=self.unit)
        assert not reply.isError(), reply
        return reply.registers

    async def value(self, place: ModbusPoint) -> float:
        table, order = place.table or self.shared.table, place.word_order or self.shared.word_order
        words = await self.registers(table, place.address, place.registers)
        number = self.client.convert_from_registers(words, DATATYPES[place.type], word_order=order)
        assert isinstance(number, int | float)
        for scale in place.scale_by:
            assert scale.as_ == "sign"
            assert scale.bit is not None
            signs = await self.registers(table, scale.address, 1)
            number *= -1 if signs[0] >> scale.bit & 1 else 1
        if place.form == "quadrants" and abs(number) > 1:
            number = (2 if number > 0 else -2) - number
        return number


async def test_every_template_is_served_to_a_client_of_others() -> None:
    """The simulator is given what others read in the registers of each device; pymodbus reads each value back."""
    shown = [(t, v) for t in TEMPLATES.values() for v in vectors(t.id)]
    units: dict[int, Unit] = {}
    for number, (template, vector) in enumerate(shown, 1):
        readings = {
            name: math.nan if value is None else canonical(template.points[name], value, unit)
            for name, (value, unit) in vector.expected.items()
        }
        units[number] = Unit(RegisterMap(template.points, template.modbus).encode(readings), template.max_registers)
    count = 0
    async with ModbusServer(units=units) as server:
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=30)
        assert await client.connect()
        for number, (template, vector) in enumerate(shown, 1):
            for name, (value, unit) in vector.expected.items():
                point = template.points[name]
                assert point.modbus is not None
                raw = await Reader(client, number, template).value(point.modbus)
                where = f"{template.id}.{name}: {vector.source}"
                if value is None:
                    convention = point.modbus.absent or template.modbus.absent
                    assert raw in (point.modbus.not_available or absent_values(point.modbus.type, convention)), where
                else:
                    step = abs(point.scale) * conversion(point.unit, point.quantity)[0] / 2
                    wanted = canonical(point, value, unit)
                    within = pytest.approx(wanted, rel=1e-6, abs=0 if "float" in point.modbus.type else step)
                    assert kept(point, raw) == within, where
                count += 1
        client.close()
    told = f"{count} values of {len(TEMPLATES)} devices equal"
    saw("Modbus TCP", "pymodbus 3 (client)", "every template served by the simulator, value by value", told)
