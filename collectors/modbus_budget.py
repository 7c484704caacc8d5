"""A plant's Modbus devices in; their buses, and what each device uses of one, out.

A bus is a serial line: of this machine, behind a serial server, or behind a TCP gateway that is given `serial:`.
An exchange occupies it for request and reply, character by character, the silence before each, the unit's turnaround
and what the gateway itself takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from collectors.line_budget import Bus, Share
from collectors.modbus_plan import compile_plan
from collectors.modbus_rtu import on_line_s
from collectors.modbus_survey import limits_of, places_of
from config.bindings import BoundDevice
from config.model import Gateway
from config.protocols.modbus import ModbusConnection
from config.protocols.serial import Serial

# What an exchange takes on the gateway's side: its timers and an adapter count in milliseconds, each way
# (measured on a pair of pseudo-terminals by benchmarks/bus.py: 3 to 4 ms).
_OWN_S: Final = 0.004


def buses(gateway: Gateway, devices: Iterable[BoundDevice]) -> list[Bus]:
    """Return all buses whose speed is known, in the order of the configuration."""
    found: dict[str, Bus] = {}
    for bound in devices:
        connection = gateway.connections[bound.device.connection]
        if not isinstance(connection, ModbusConnection) or not (connection.serial or connection.framing == "rtu"):
            continue
        at = connection.unit_address(bound.device.address)
        name = f"{at.host}:{at.port}" if at.host else str(connection.line.port)
        bus = found.setdefault(name, Bus(name, connection.line, bound.device.connection))
        bus.shares.append(_share(bound, connection, at.unit))
    return list(found.values())


def _share(bound: BoundDevice, connection: ModbusConnection, unit: int) -> Share:
    blocks = compile_plan(places_of(bound), *limits_of(bound)).blocks
    reads = tuple(block.read(unit) for block in blocks)

    def cost_s(line: Serial) -> float:
        return sum(on_line_s(read, line) + connection.turnaround_s + _OWN_S for read in reads)

    return Share(bound.key, len(reads), cost_s, connection.line, bound.device.every_s or connection.every_s)
