"""Addresses as written in the configuration → their parts; a wrong one is told with what would be right."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MODBUS_PORT: Final = 502
MODBUS_UNIT: Final = 1
_MODBUS: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-fA-F:.%\w]+)\]|(?P<host>[\w.-]+))(?::(?P<port>[0-9]{1,5}))?(?:/(?P<unit>[0-9]{1,3}))?"
)
_MQTT_BYTES: Final = 65_535


class ModbusAddress(NamedTuple):
    """A Modbus unit behind a TCP endpoint."""

    host: str
    port: int
    unit: int


def modbus_address(text: str) -> ModbusAddress:
    """Return the parts of `host[:port][/unit]`; port 502 and unit 1 when left out, IPv6 in brackets.

    Raises ValueError with a sentence.
    """
    match = _MODBUS.fullmatch(text)
    if not match:
        raise ValueError(f"'{text}' is not a Modbus address; write host[:port][/unit], e.g. 192.168.1.20/1")
    port, unit = int(match["port"] or MODBUS_PORT), int(match["unit"] or MODBUS_UNIT)
    if not 1 <= port <= 65_535:
        raise ValueError(f"port {port} does not exist; ports go from 1 to 65535")
    if unit > 255:
        raise ValueError(f"unit {unit} does not exist; units go from 0 to 255")
    return ModbusAddress(match["v6"] or match["host"], port, unit)


def check_topic_filter(text: str) -> None:
    """Raise ValueError with a sentence unless `text` is an MQTT topic filter (MQTT 5.0, 4.7)."""
    if not text:
        raise ValueError("an MQTT topic is needed, e.g. factory/+/power")
    if "\0" in text or len(text.encode()) > _MQTT_BYTES:
        raise ValueError("an MQTT topic has at most 65535 bytes and no NUL character")
    levels = text.split("/")
    if "#" in text and (levels[-1] != "#" or "#" in "".join(levels[:-1])):
        raise ValueError(f"'{text}': '#' stands alone as the last level, e.g. factory/#")
    if any("+" in level and level != "+" for level in levels):
        raise ValueError(f"'{text}': '+' stands alone for one level, e.g. factory/+/power")
