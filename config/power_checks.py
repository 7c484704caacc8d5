"""A plant → which power an asset's energy is integrated from; assets that show it by phases only."""

from __future__ import annotations

from collections.abc import Iterator

from config.bindings import whole_power
from config.carriers import counted_in
from config.model import Asset
from config.plant_checks import Finding, Plant


def whole_powers(plant: Plant, asset: Asset) -> dict[str, str]:
    """Return by carrier the point that shows all the power an asset takes; the first device's that has one."""
    found: dict[str, str] = {}
    for device in asset.devices.values():
        points = plant.points(device)
        if name := whole_power(points, device.prefix):
            found.setdefault(points[name].carrier or asset.carrier, name)
    return found


def doubt_phases(plant: Plant) -> Iterator[Finding]:
    """Yield assets of which nothing is accounted, because their power is that of phases and nothing counts."""
    for path, name, asset in plant.assets():
        points = {n: p for device in asset.devices.values() for n, p in plant.points(device).items()}
        powers = {n: p.carrier or asset.carrier for n, p in points.items() if p.quantity == "power"}
        told = set(whole_powers(plant, asset)) if asset.energy != "none" else set(powers.values())
        if asset.energy != "integrate":
            counters = (p for p in points.values() if p.effective_kind == "counter" and counted_in(p, asset.carrier))
            told |= {p.carrier or asset.carrier for p in counters}
        if phases := [n for n, carrier in powers.items() if carrier not in told]:
            message = (
                f"'{name}' shows power by phases only ({', '.join(phases)}), so it gets no energy and no CO2e; add a "
                "point for the register of their sum (quantity: power) or of an energy counter: no formula stands in"
            )
            yield path, message
