"""A plant → what is wrong with its assets, devices and points beyond the form of each block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from config.address_checks import address_mistakes
from config.carriers import about
from config.explain import nearest
from config.model import Asset, Device, Gateway
from config.points import DeviceMap, Point
from config.quantities import QUANTITIES
from config.strict import NAME

Loc = tuple[str | int, ...]
Finding = tuple[Loc, str]
RESERVED = "gateway"  # asset and connection of the gateway's own series
MAX_REGISTERS = 125
_COMPUTED = ("emissions", "kpi", "alert", "gateway")  # measurements of what no device shows


@dataclass(frozen=True, slots=True)
class Plant:
    """A configuration under check; `broken` holds the paths of blocks left out because they are wrong themselves."""

    gateway: Gateway
    templates: Mapping[str, DeviceMap]
    folder: Path
    broken: frozenset[Loc] = frozenset()

    def names(self, block: str) -> set[str]:
        """Return all names written in a top-level block, those of broken entries too."""
        return set(getattr(self.gateway, block)) | {str(p[1]) for p in self.broken if len(p) == 2 and p[0] == block}

    def is_whole(self, block: str) -> bool:
        return not any(p[0] == block for p in self.broken)

    def assets(self) -> Iterator[tuple[Loc, str, Asset]]:
        for area_name, area in self.gateway.areas.items():
            for name, asset in area.assets.items():
                yield ("areas", area_name, "assets", name), name, asset

    def devices(self) -> Iterator[tuple[Loc, str, Asset, str, Device]]:
        for path, asset_name, asset in self.assets():
            for name, device in asset.devices.items():
                yield (*path, "devices", name), asset_name, asset, name, device

    def points(self, device: Device) -> dict[str, Point]:
        """Return a device's points by full name as far as they can be told."""
        points: dict[str, Point] = {}
        if device.template and device.template in self.templates:
            template = self.templates[device.template]
            points = {p: template.points[p] for p in device.only or template.points if p in template.points}
        return {device.prefix + name: point for name, point in (points | device.points).items()}

    def placed(self, path: Loc, device: Device) -> Iterator[tuple[Loc, str, str, Point]]:
        """Yield a device's points: where each is written, what goes before a word about it there, its name, itself.

        A template's points are the device's `template:` to whoever looks at it, for another device may suit them.
        """
        own = {device.prefix + name: name for name in device.points}
        for full, point in self.points(device).items():
            if full in own:
                yield (*path, "points", own[full], point.protocol), "", own[full], point
            else:
                name = full.removeprefix(device.prefix)
                yield (*path, "template"), f"{name}: ", name, point


def check_plant(plant: Plant) -> Iterator[Finding]:
    """Yield everything wrong with assets and devices."""
    yield from _asset_names(plant)
    for path, _, asset in plant.assets():
        if asset.type == "pv" and asset.carrier == "electricity" and asset.energy != "none":
            yield path, "what it generates would be booked as electricity from the grid; add carrier: solar"
    for path, _, asset, _, device in plant.devices():
        yield from _template(plant, path, device)
        yield from _connection(plant, path, device)
        yield from _points(plant, path, asset, device)
        if device.prefix and not re.fullmatch(NAME, device.prefix + "x"):
            yield (*path, "prefix"), f"'{device.prefix}' cannot begin a name; letters, digits, '-' and '_' only"
    yield from _point_names(plant)


def _asset_names(plant: Plant) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for path, name, _ in plant.assets():
        area = str(path[1])
        if name == RESERVED:
            yield path, f"'{RESERVED}' is the gateway's own name; call the asset something else"
        elif name in first:
            yield path, f"'{name}' is already an asset of area '{first[name]}'; names are unique over the whole site"
        first.setdefault(name, area)


def _template(plant: Plant, path: Loc, device: Device) -> Iterator[Finding]:
    if device.template is None or ("templates", device.template) in plant.broken:
        return
    if device.template not in plant.templates:
        yield (
            (*path, "template"),
            f"there is no template '{device.template}'{nearest(device.template, plant.templates)}",
        )
        return
    known = plant.templates[device.template].points
    for index, name in enumerate(device.only or ()):
        if name not in known:
            hint = nearest(name, known) or f"; the template has {len(known)} points"
            yield (*path, "only", index), f"template {device.template} has no point '{name}'{hint}"


def _connection(plant: Plant, path: Loc, device: Device) -> Iterator[Finding]:
    connection = plant.gateway.connections.get(device.connection)
    if connection is None:
        if device.connection not in plant.names("connections"):
            hint = nearest(device.connection, plant.names("connections"))
            yield (*path, "connection"), f"there is no connection '{device.connection}'{hint}"
        return
    protocol = connection.protocol
    template = plant.templates.get(device.template or "")
    if template and template.protocol != protocol:
        message = f"template {device.template} speaks {template.protocol}, connection '{device.connection}' {protocol}"
        yield (*path, "template"), message
    for name, point in device.points.items():
        if point.protocol != protocol:
            message = f"stands on {point.protocol}, but connection '{device.connection}' speaks {protocol}"
            yield (*path, "points", name, point.protocol), message
    yield from (
        ((*path, *where), message) for where, message in address_mistakes(connection, device, plant.points(device))
    )


def _points(plant: Plant, path: Loc, asset: Asset, device: Device) -> Iterator[Finding]:
    yield from _too_wide(plant, path, device)
    for name, point in device.points.items():
        where = (*path, "points", name)
        if QUANTITIES[point.quantity].measurement in _COMPUTED:
            yield (*where, "quantity"), f"{point.quantity} is computed by the gateway; a device cannot have it"
        gas = about(point.carrier or asset.carrier).state == "gas" and point.quantity == "volume_index"
        if gas and point.reference is None:
            message = (
                "a gas volume counts only at a stated temperature and pressure; add e.g. reference: {celsius: 0}, "
                "as the meter's or corrector's plate says"
            )
            yield where, message


def _too_wide(plant: Plant, path: Loc, device: Device) -> Iterator[Finding]:
    """Yield points that no single read of the device can bring, its template's among them."""
    template = plant.templates.get(device.template or "")
    limit = template.max_registers if template else MAX_REGISTERS
    for where, before, _, point in plant.placed(path, device):
        if point.modbus is None or point.modbus.span <= limit:
            continue
        message = f"{point.modbus.span} registers are more than one read of this device may ask for ({limit})"
        if point.modbus.scale_by:
            message += "; a value and what it is multiplied by must come in one answer, or they are not of one instant"
        yield where, before + message


def _point_names(plant: Plant) -> Iterator[Finding]:
    """Yield points two devices of one asset share: a series is asset.point, whichever device it comes from."""
    for path, asset_name, asset in plant.assets():
        owner: dict[str, str] = {}
        for name, device in asset.devices.items():
            shared = [p for p in plant.points(device) if owner.setdefault(p, name) != name]
            if shared:
                several = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
                message = (
                    f"point '{shared[0]}'{several} of asset '{asset_name}' already comes from device "
                    f"'{owner[shared[0]]}'; tell them apart with e.g. prefix: {name}-"
                )
                yield (*path, "devices", name), message
