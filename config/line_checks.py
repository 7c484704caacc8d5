"""A plant → units read twice and serial ports opened twice: what is wrong between devices that share a way."""

from __future__ import annotations

from collections.abc import Iterator

from config.plant_checks import Finding, Plant
from config.protocols.dlt645 import Dlt645Connection
from config.protocols.modbus import ModbusConnection

_At = tuple[str, int, int]  # host or serial port, TCP port (0: none), unit
_Place = tuple[object, ...]


def check_lines(plant: Plant) -> Iterator[Finding]:
    """Yield what is wrong with ways that are shared."""
    yield from _shared_ports(plant)
    yield from _doubled_units(plant)


def _shared_ports(plant: Plant) -> Iterator[Finding]:
    owner: dict[str, str] = {}
    for name, connection in plant.gateway.connections.items():
        if not isinstance(connection, ModbusConnection | Dlt645Connection) or connection.serial is None:
            continue
        port = connection.serial.port
        if port is not None and (first := owner.setdefault(port, name)) != name:
            message = f"{port} belongs to connection '{first}' already; a line has one: put its devices there"
            yield ("connections", name, "serial", "port"), message


def _doubled_units(plant: Plant) -> Iterator[Finding]:
    readers: dict[tuple[_At, _Place], str] = {}
    for path, asset_name, _, name, device in plant.devices():
        connection = plant.gateway.connections.get(device.connection)
        if not isinstance(connection, ModbusConnection):
            continue
        try:
            host, port, unit = connection.unit_address(device.address)
        except ValueError:
            continue
        at = (host or str(connection.line.port), port, unit)
        template = plant.templates.get(device.template or "")
        table = template.modbus.table if template else "holding"
        me = f"{asset_name}.{name}"
        for point in plant.points(device).values():
            if point.modbus is None:
                continue
            place = (point.modbus.table or table, point.modbus.address, point.modbus.type, point.modbus.bit)
            if (first := readers.setdefault((at, place), me)) != me:
                yield (*path, "address"), f"{device.address} is read by device '{first}' already; is the unit right?"
                break
