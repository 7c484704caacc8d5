"""Configuration → bindings: each point of each device with its template merged in, ready to be compiled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from config.model import Asset, Device, Gateway
from config.points import DeviceMap, Point
from config.protocols.modbus import ModbusDefaults

_PHASES: Final = ("_l1", "_l2", "_l3")


@dataclass(frozen=True, slots=True)
class BoundDevice:
    """A device in its place; `template` is None for one described by its own points alone."""

    area: str
    asset_name: str
    asset: Asset
    name: str
    device: Device
    template: DeviceMap | None
    points: dict[str, Point]  # template's and own, prefixed, own ones win

    @property
    def key(self) -> str:
        return f"{self.asset_name}.{self.name}"

    @property
    def power(self) -> str:
        """The point that shows all the power of the device, as `whole_power` finds it."""
        return whole_power(self.points, self.device.prefix)

    @property
    def modbus(self) -> ModbusDefaults:
        return self.template.modbus if self.template else ModbusDefaults()


def whole_power(points: Mapping[str, Point], prefix: str) -> str:
    """Return the point that shows all the power of a device, "" for none: `power`, else the first that is no phase's.

    A meter's phases often stand before their sum; one of several is never taken for the whole.
    """
    powers = [name for name, point in points.items() if point.quantity == "power"]
    whole = [name for name in powers if not is_phase(name)]
    named = prefix + "power"
    return named if named in whole else next(iter(whole or (powers if len(powers) == 1 else ())), "")


def is_phase(name: str) -> bool:
    """Return whether a point is called one of a phase."""
    return name.endswith(_PHASES)


def series_key(asset: str, point: str, quantity: str) -> str:
    """Return the identity of a series; an address is never part of it."""
    return f"{asset}.{point}.{quantity}"


def bind(gateway: Gateway, templates: Mapping[str, DeviceMap]) -> Iterator[BoundDevice]:
    """Yield every device of the plant with its merged points; names are taken to be checked already."""
    shared: dict[tuple[str, tuple[str, ...], str], dict[str, Point]] = {}  # alike devices have one and the same dict
    for area_name, area in gateway.areas.items():
        for asset_name, asset in area.assets.items():
            for name, device in asset.devices.items():
                template = templates[device.template] if device.template else None
                points = _points(device, template, gateway.site.zone)
                if device.template and not device.points:
                    points = shared.setdefault((device.template, device.only or (), device.prefix), points)
                yield BoundDevice(area_name, asset_name, asset, name, device, template, points)


def _points(device: Device, template: DeviceMap | None, zone: str) -> dict[str, Point]:
    """Return the template's points as far as they are wanted, and the device's own, which win; clocks in a zone."""
    chosen = {p: template.points[p] for p in device.only or template.points} if template else {}
    return {device.prefix + name: _in_zone(point, zone) for name, point in (chosen | device.points).items()}


def _in_zone(point: Point, zone: str) -> Point:
    """Return a point whose clock, where it is one of no stated zone, shows the site's time; Unix seconds are UTC's."""
    place = point.modbus
    if place is None or not place.is_clock or place.zone is not None or place.type == "time_unix":
        return point
    return point.model_copy(update={"modbus": place.model_copy(update={"zone": zone})})
