"""Configured devices in; their exchanges, trays and series ids out, so that equal devices share one plan."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.modbus_inbox import Inbox, Tray
from collectors.modbus_plan import Place, Plan, compile_plan, place
from collectors.modbus_unit import BlockExchange, Unit
from config.bindings import BoundDevice, series_key
from config.points import Template
from config.protocols.modbus import ModbusAddress

_MOST_REGISTERS: int = Template.model_fields["max_registers"].default
_MOST_GAP: int = Template.model_fields["max_gap"].default


def places_of(device: BoundDevice) -> tuple[Place, ...]:
    """Return where the device's points stand, in their order; ValueError for a point of another protocol."""
    places = []
    for name, point in device.points.items():
        if point.modbus is None:
            raise ValueError(f"point {name} of {device.key} does not say where it stands: it needs 'modbus:'")
        places.append(place(point.modbus, device.modbus))
    return tuple(places)


def limits_of(device: BoundDevice) -> tuple[int, int]:
    """Return (most registers in one read, most unneeded registers read rather than asking twice)."""
    template = device.template
    return (template.max_registers, template.max_gap) if template else (_MOST_REGISTERS, _MOST_GAP)


class Survey:
    """Plans of a connection's devices; devices with equal places share plan and trays."""

    def __init__(self, inbox: Inbox, ids: Mapping[str, int]) -> None:
        self._inbox = inbox
        self._ids = ids
        self._known: dict[tuple[tuple[Place, ...], tuple[int, int]], tuple[Plan, list[Tray]]] = {}

    def enrol(self, unit: Unit, device: BoundDevice, address: ModbusAddress) -> None:
        """Give the unit its exchanges; ValueError when its points cannot be planned."""
        places = places_of(device)
        plan, trays = self._plan(places, limits_of(device))
        series = [
            -1 if spot.type == "string" else self._ids[series_key(device.asset_name, name, point.quantity)]
            for spot, (name, point) in zip(places, device.points.items(), strict=True)
        ]
        names = list(device.points)
        unit.values = tuple(BlockExchange(unit, t.block.read(address.unit), t, t.enrol(series)) for t in trays)
        for block in plan.identity:
            (at,) = block.points
            text = (names[at], places[at].byte_order)
            unit.identity += (BlockExchange(unit, block.read(address.unit), text=text),)

    def _plan(self, places: tuple[Place, ...], limits: tuple[int, int]) -> tuple[Plan, list[Tray]]:
        key = (places, limits)
        if key not in self._known:
            plan = compile_plan(places, *limits)
            self._known[key] = (plan, [self._inbox.tray(block) for block in plan.blocks])
        return self._known[key]
