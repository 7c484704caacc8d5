"""What the user writes of each protocol, one file each: its connection, a device's address, where a point stands."""

from __future__ import annotations

from typing import Final

PROTOCOLS: Final = ("modbus", "dlt645", "opcua", "mqtt", "sparkplug")  # as `protocol:` and as the key of a point
