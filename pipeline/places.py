"""A point of a device → where it is read, as a short text: equal places show the same register or node."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import orjson

from config.bindings import BoundDevice
from config.connections import Connection
from config.points import Point
from config.protocols.dlt645 import Dlt645Connection, dlt645_address
from config.protocols.modbus import ModbusConnection
from config.protocols.mqtt import Broker
from config.protocols.opcua import OpcuaConnection

_BYTES: Final = 6


class Places:
    """The places of one device's points: `within@where`, hashed.

    What stands before the @ changes with the register, the unit or the node: an index read there is another one. What
    stands behind it changes with host, port or server alone: the same device may have moved.
    """

    def __init__(self, bound: BoundDevice, connection: Connection, written: dict[int, bytes]) -> None:
        """Take what many devices share: `written`, a point's place by its id."""
        self._bound = bound
        self._written = written
        self._unit, where = _parts(bound, connection)
        self._where = _short(where.encode())

    def of(self, point: Point) -> str:
        """Return the place of a point."""
        if id(point) not in self._written:
            place = getattr(point, point.protocol).model_dump(mode="json", exclude_defaults=True)
            shared = self._bound.modbus.model_dump(mode="json", exclude_defaults=True) if point.modbus else {}
            self._written[id(point)] = orjson.dumps([point.protocol, place, shared])
        return f"{_short(self._unit.encode() + self._written[id(point)])}@{self._where}"


def is_same(before: str, now: str) -> bool:
    """Return whether two places show the same register or node; an unknown one, of an earlier version, does."""
    return not before or not now or before.split("@")[0] == now.split("@")[0]


def _parts(bound: BoundDevice, connection: Connection) -> tuple[str, str]:
    """Return (what names the device where it is reached, where that is)."""
    address = bound.device.address
    if isinstance(connection, ModbusConnection):
        host, port, unit = connection.unit_address(address)
        return str(unit), f"{host}:{port} {connection.serial.port if connection.serial else ''}"
    if isinstance(connection, Dlt645Connection):
        host, port, meter = dlt645_address(address)
        return meter, f"{host}:{port} {connection.serial.port}"
    if isinstance(connection, OpcuaConnection):
        return "", connection.url
    assert isinstance(connection, Broker)
    return address, f"{connection.host}:{connection.port}"


def _short(text: bytes) -> str:
    return blake2b(text, digest_size=_BYTES).hexdigest()
