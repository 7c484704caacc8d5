"""A plant → what its windows, alerts, factors, sinks and secrets refer to and is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel

from config import secrets
from config.carriers import about, counted_in
from config.connections import MqttConnection, Tls
from config.errors import GatewayError
from config.explain import nearest
from config.factor_checks import check_factors, check_fuels
from config.model import Asset
from config.plant_checks import RESERVED, Finding, Loc, Plant
from config.points import Point
from config.quantities import AMOUNT_OF
from config.strict import Secret
from config.tariff_checks import check_tariff
from config.virtual_checks import check_virtual

_SINK_NAMES = ("history", "ledger", "windows", "alerts")  # cursors of the gateway's own consumers


def check_references(plant: Plant) -> Iterator[Finding]:
    """Yield everything that points at something missing or unsuitable."""
    yield from _names(plant)
    yield from _windows(plant)
    yield from _alerts(plant)
    yield from check_factors(plant)
    yield from check_fuels(plant)
    yield from check_tariff(plant)
    yield from check_virtual(plant)
    yield from _brokers(plant)
    for block in ("connections", "sinks"):
        for name, entry in getattr(plant.gateway, block).items():
            yield from _files((block, name), entry)
    if plant.gateway.api:
        yield from _files(("api",), plant.gateway.api)


def _names(plant: Plant) -> Iterator[Finding]:
    for name in (RESERVED, "ledger"):
        if name in plant.gateway.connections:
            yield ("connections", name), f"'{name}' is the gateway's own name; call the connection something else"
    for name in _SINK_NAMES:
        if name in plant.gateway.sinks:
            yield ("sinks", name), f"'{name}' is the name of a part of the gateway; call the sink something else"
    seen: dict[str, str] = {}
    for block in ("windows", "alerts", "sinks"):  # each follows the log under its name
        for name in getattr(plant.gateway, block):
            if name in seen:
                yield (block, name), f"'{name}' is already the name of one of the {seen[name]}; call it something else"
            seen.setdefault(name, block)


def _windows(plant: Plant) -> Iterator[Finding]:
    assets = {name: asset for _, name, asset in plant.assets()}
    points = {name: _points(plant, asset) for name, asset in assets.items()}
    untold = _untold(plant)
    for name, window in plant.gateway.windows.items():
        path: Loc = ("windows", name)
        for index, reference in enumerate(window.energy):
            if not untold(reference):
                where = (*path, "energy", index)
                yield from _refer(points, reference, where) or _energy(points, assets, reference, where)
        if not untold(window.product):
            where = (*path, "product")
            yield from _refer(points, window.product, where) or _product(points, window.product, where)
        if window.shifts_only and not plant.gateway.site.shifts and plant.is_whole("site"):
            yield (*path, "shifts_only"), "the site has no shifts; add site.shifts or leave this out"


def _untold(plant: Plant) -> Callable[[str], bool]:
    """Return the test whether what a reference names may stand in a block that is wrong itself."""
    if any(p[0] == "areas" and len(p) < 4 for p in plant.broken):
        return lambda reference: True
    names = {str(p[3]) for p in plant.broken if p[0] == "areas"}
    names |= {asset for _, asset, _, _, d in plant.devices() if d.template and d.template not in plant.templates}
    return lambda reference: reference.partition(".")[0] in names


def _points(plant: Plant, asset: Asset) -> dict[str, Point]:
    return {name: point for device in asset.devices.values() for name, point in plant.points(device).items()}


def _refer(points: dict[str, dict[str, Point]], reference: str, path: Loc) -> list[Finding]:
    asset, dot, point = reference.partition(".")
    if not dot:
        return [(path, f"'{reference}' must be written asset.point")]
    if asset not in points:
        return [(path, f"there is no asset '{asset}'{nearest(asset, points)}")]
    if point not in points[asset]:
        return [(path, f"asset '{asset}' has no point '{point}'{nearest(point, points[asset])}")]
    return []


def _energy(points: dict[str, dict[str, Point]], assets: dict[str, Asset], reference: str, path: Loc) -> list[Finding]:
    asset, _, name = reference.partition(".")
    point, energy = points[asset][name], assets[asset].energy
    if point.quantity == "energy_index" and point.effective_kind == "counter":
        return []
    carrier = point.carrier or assets[asset].carrier
    if point.quantity in ("volume_index", "mass_index"):
        if about(carrier).fuel and counted_in(point, assets[asset].carrier):
            return []
        return [
            (path, f"a {AMOUNT_OF[point.quantity]} of {carrier} has no known energy content; name an energy counter")
        ]
    if point.quantity != "power":
        return [(path, f"'{reference}' shows {point.quantity}; name a counter of energy or gas, or a power")]
    counters = [n for n, p in points[asset].items() if p.quantity == "energy_index" and p.effective_kind == "counter"]
    if energy == "integrate" or (energy == "auto" and not counters):
        return []
    if counters:
        return [(path, f"'{reference}' is not integrated, because '{asset}' counts energy; name {asset}.{counters[0]}")]
    return [(path, f"'{reference}' is not integrated; set energy: integrate at asset '{asset}'")]


def _product(points: dict[str, dict[str, Point]], reference: str, path: Loc) -> list[Finding]:
    asset, _, name = reference.partition(".")
    point = points[asset][name]
    if point.quantity == "mass_index" and point.effective_kind == "counter":
        return []
    return [(path, f"'{reference}' shows {point.quantity}; the product is a counter of mass (quantity mass_index)")]


def _alerts(plant: Plant) -> Iterator[Finding]:
    for name, alert in plant.gateway.alerts.items():
        if alert.window not in plant.names("windows"):
            hint = nearest(alert.window, plant.names("windows"))
            yield ("alerts", name, "window"), f"there is no window '{alert.window}'{hint}"


def _brokers(plant: Plant) -> Iterator[Finding]:
    seen: dict[tuple[str, int | None, str], str] = {}
    for name, connection in plant.gateway.connections.items():
        if isinstance(connection, MqttConnection):
            key = (connection.host, connection.port, connection.client_id)
            if key in seen:
                message = (
                    f"connection '{seen[key]}' has the same client_id at this broker; each would throw the other out"
                )
                yield ("connections", name, "client_id"), message
            seen.setdefault(key, name)


def _files(path: Loc, block: BaseModel) -> Iterator[Finding]:
    """Yield secrets and TLS files that cannot be read."""
    for key in type(block).model_fields:
        value = getattr(block, key)
        if isinstance(value, Secret):
            try:
                secrets.read(value)
            except GatewayError as error:
                yield (*path, key), str(error)
        elif isinstance(value, Tls):
            yield from _files((*path, key), value)
        elif isinstance(block, Tls) and isinstance(value, Path) and not value.is_file():
            yield (*path, key), f"there is no file {value}"
