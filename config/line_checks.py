"""A plant → units read twice and lines with two masters: what is wrong between devices that share a way."""

from __future__ import annotations

from collections.abc import Iterator

from config.plant_checks import Finding, Plant
from config.points import Point
from config.protocols.dlt645 import Dlt645Connection, dlt645_address
from config.protocols.modbus import ModbusConnection

_At = tuple[str, int, str]  # host or serial port, TCP port (0: none), unit or meter
_Place = tuple[object, ...]


def check_lines(plant: Plant) -> Iterator[Finding]:
    """Yield what is wrong with ways that are shared."""
    yield from _shared_ports(plant)
    yield from _shared_servers(plant)
    yield from _doubled_units(plant)


def is_line(connection: object) -> bool:
    """Return whether a connection is the one master of serial lines, local or behind serial servers."""
    return isinstance(connection, Dlt645Connection) or (
        isinstance(connection, ModbusConnection) and connection.framing == "rtu"
    )


def _shared_ports(plant: Plant) -> Iterator[Finding]:
    owner: dict[str, str] = {}
    for name, connection in plant.gateway.connections.items():
        if not isinstance(connection, ModbusConnection | Dlt645Connection) or connection.serial is None:
            continue
        port = connection.serial.port
        if port is not None and (first := owner.setdefault(port, name)) != name:
            message = f"{port} belongs to connection '{first}' already; a line has one: put its devices there"
            yield ("connections", name, "serial", "port"), message


def _shared_servers(plant: Plant) -> Iterator[Finding]:
    """Yield the first device of each connection on a serial server that is another connection's."""
    owner: dict[tuple[str, int], str] = {}
    told: set[tuple[str, int, str]] = set()
    for path, _, _, _, device in plant.devices():
        connection = plant.gateway.connections.get(device.connection)
        try:
            at = _where(connection, device.address)
        except ValueError:
            continue
        if at is None or not at[1]:
            continue
        host, port = at[0].lower(), at[1]
        first = owner.setdefault((host, port), device.connection)
        if first == device.connection or (host, port, device.connection) in told:
            continue
        if is_line(connection) or is_line(plant.gateway.connections[first]):
            told.add((host, port, device.connection))
            message = f"{host}:{port} belongs to connection '{first}' already; a line has one: put its devices there"
            yield (*path, "address"), message


def _doubled_units(plant: Plant) -> Iterator[Finding]:
    readers: dict[tuple[_At, _Place], str] = {}
    for path, asset_name, _, name, device in plant.devices():
        connection = plant.gateway.connections.get(device.connection)
        try:
            at = _where(connection, device.address)
        except ValueError:
            continue
        if at is None:
            continue
        template = plant.templates.get(device.template or "")
        table = template.modbus.table if template else "holding"
        me = f"{asset_name}.{name}"
        for point in plant.points(device).values():
            place = _place(point, table)
            if place and (first := readers.setdefault((at, place), me)) != me:
                doubted = "unit" if point.modbus else "address"
                yield (
                    (*path, "address"),
                    f"{device.address} is read by device '{first}' already; is the {doubted} right?",
                )
                break


def _where(connection: object, address: str) -> _At | None:
    """Return the line a device is on, and which one it is there; None where there are no lines."""
    if isinstance(connection, ModbusConnection):
        host, port, unit = connection.unit_address(address)
        return host or str(connection.line.port), port, str(unit)
    if isinstance(connection, Dlt645Connection):
        host, port, meter = dlt645_address(address)
        return host or str(connection.serial.port), port, meter
    return None


def _place(point: Point, table: str) -> _Place:
    """Return what tells a point from others of its device; nothing where it stands on another protocol."""
    if point.modbus:
        return point.modbus.table or table, point.modbus.address, point.modbus.type, point.modbus.bit
    return (point.dlt645.data, point.dlt645.item) if point.dlt645 else ()
