"""A plant → what is wrong with bought steam and hot water counted by mass, and with bought cooling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.errors import ConfigError
from config.fuels import fuels
from config.model import Asset, Device
from config.plant_checks import Finding, Plant
from config.points import Point

_STATE: Final = {
    "steam": "steam: {mpa: 0.8}, absolute, with celsius: if it is superheated",
    "hot_water": "hot_water: {celsius: 90}",
}


def check_heat(plant: Plant) -> Iterator[Finding]:
    """Yield tonnes of steam or hot water that bring no known heat, or whose heat is counted already."""
    for path, _, asset, _, device in plant.devices():
        energies: set[str] = {p.carrier or asset.carrier for d in asset.devices.values() for p in _counters(plant, d)}
        for name, point in plant.points(device).items():
            if message := _wrong(asset, point, energies):
                yield (*path, "points", name) if name in device.points else path, message


def doubt_cooling(plant: Plant) -> Iterator[Finding]:
    """Yield assets that take bought cooling, which nobody publishes a factor of."""
    try:
        known = any(row.fuel == "cooling" for row in fuels(plant.gateway.factors.tables))
    except ConfigError:  # told where tables are checked
        return
    for path, name, asset in plant.assets():
        if asset.carrier == "cooling" and asset.devices and not known:
            message = (
                f"no factor of bought cooling is shipped, so what {name} takes is not in the account: ask the supplier "
                "for one, write it as a row of your own (fuel: cooling, unit: kWh) under factors.tables and name its "
                "set, accounting: {other_fuels: {cooling: SET}}"
            )
            yield (*path, "carrier"), message


def _counters(plant: Plant, device: Device) -> Iterator[Point]:
    return (p for p in plant.points(device).values() if p.quantity == "energy_index")


def _wrong(asset: Asset, point: Point, energies: set[str]) -> str:
    carrier, stated = point.carrier or asset.carrier, point.steam or point.hot_water
    for kind, state in (("steam", point.steam), ("hot_water", point.hot_water)):
        if state is not None and (carrier != kind or point.quantity != "mass_index"):
            return f"'{kind}:' goes with a mass_index of carrier {kind}, not with a {point.quantity} of {carrier}"
    if point.quantity != "mass_index" or carrier not in _STATE or asset.energy == "none":
        return ""
    if stated and carrier in energies:
        return f"the energy of this {carrier} is counted by a register already; take its state away, or it counts twice"
    if not stated and asset.carrier == carrier and carrier not in energies:
        return f"tonnes of {carrier} count only where their state is known; add {_STATE[carrier]}"
    return ""
