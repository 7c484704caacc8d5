"""A device and its connection → what is wrong with its address there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from config.connections import Connection
from config.model import Device
from config.points import Point
from config.protocols.dlt645 import dlt645_address
from config.protocols.mqtt import check_topic
from config.protocols.sparkplug import sparkplug_address

Found = tuple[tuple[str | int, ...], str]  # where below the device, and what is wrong there
_HINT: Final = {
    "modbus": "host[:port][/unit], e.g. 192.168.1.20/1",
    "dlt645": "the meter's 12 digits, over TCP host:port/digits",
    "mqtt": "an MQTT topic, e.g. factory/+/power",
    "sparkplug": "group/edge_node or group/edge_node/device",
}


def address_mistakes(connection: Connection, device: Device, points: Mapping[str, Point]) -> Iterator[Found]:
    """Yield what is wrong with a device's address; `points` are all it has, those of its template too."""
    if connection.protocol == "opcua":
        if device.address:
            yield ("address",), "a device on OPC UA has no address; each point names its node"
        return
    if not device.address and connection.protocol == "mqtt" and all(p.mqtt and p.mqtt.topic for p in points.values()):
        return
    try:
        _CHECKS[connection.protocol](connection, device)
    except ValueError as error:
        hint = f"needs 'address:'; {_HINT[connection.protocol]}"
        yield ("address",), str(error) if device.address else hint


def _modbus(connection: Any, device: Device) -> None:
    connection.unit_address(device.address)


def _dlt645(connection: Any, device: Device) -> None:
    address = dlt645_address(device.address)
    if bool(address.host) == (connection.serial.port is not None):
        here = (
            "the meter's digits alone" if address.host else "host:port/digits, or give the connection serial: {port: …}"
        )
        raise ValueError(f"'{device.address}' does not fit its connection; write {here}")


_CHECKS: Final[dict[str, Callable[[Any, Device], object]]] = {
    "modbus": _modbus,
    "dlt645": _dlt645,
    "mqtt": lambda _, device: check_topic(device.address),
    "sparkplug": lambda _, device: sparkplug_address(device.address),
}
