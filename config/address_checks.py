"""A device and its connection → what is wrong with where it says its values stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from config.connections import Connection
from config.model import Device
from config.protocols.dlt645 import dlt645_address
from config.protocols.mqtt import check_topic_filter
from config.protocols.sparkplug import sparkplug_address

Found = tuple[tuple[str | int, ...], str]  # where below the device, and what is wrong there
_HINT: Final = {
    "modbus": "host[:port][/unit], e.g. 192.168.1.20/1",
    "dlt645": "the meter's 12 digits, over TCP host:port/digits",
    "mqtt": "an MQTT topic, e.g. factory/+/power",
    "sparkplug": "group/edge_node or group/edge_node/device",
}


def address_mistakes(connection: Connection, device: Device) -> Iterator[Found]:
    """Yield what is wrong with a device's address, and with those of its own points."""
    if connection.protocol == "opcua":
        if device.address:
            yield ("address",), "a device on OPC UA has no address; each point names its node"
        return
    try:
        _CHECKS[connection.protocol](connection, device)
    except ValueError as error:
        hint = f"needs 'address:'; {_HINT[connection.protocol]}"
        yield ("address",), str(error) if device.address else hint
    for name, point in device.points.items():
        if point.mqtt and point.mqtt.topic is not None:
            try:
                check_topic_filter(point.mqtt.topic)
            except ValueError as error:
                yield ("points", name, "mqtt", "topic"), str(error)


def _modbus(connection: Any, device: Device) -> None:
    connection.unit_address(device.address)


def _dlt645(connection: Any, device: Device) -> None:
    address = dlt645_address(device.address)
    if bool(address.host) == (connection.serial.port is not None):
        here = (
            "the meter's digits alone" if address.host else "host:port/digits, or give the connection serial: {port: …}"
        )
        raise ValueError(f"'{device.address}' does not fit its connection; write {here}")


def _mqtt(connection: Any, device: Device) -> None:
    if device.address or not all(p.mqtt and p.mqtt.topic for p in device.points.values()):
        check_topic_filter(device.address)


_CHECKS: Final[dict[str, Callable[[Any, Device], object]]] = {
    "modbus": _modbus,
    "dlt645": _dlt645,
    "mqtt": _mqtt,
    "sparkplug": lambda _, device: sparkplug_address(device.address),
}
