"""A plant → which power an asset's energy is integrated from; assets that get none of a carrier."""

from __future__ import annotations

from collections.abc import Iterator

from config.bindings import is_phase, whole_power
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
    """Yield assets of which nothing of a carrier is accounted: no power shows all of it, and nothing counts it."""
    for path, name, asset in plant.assets():
        points = {n: p for device in asset.devices.values() for n, p in plant.points(device).items()}
        powers = {n: p.carrier or asset.carrier for n, p in points.items() if p.quantity == "power"}
        told = set(whole_powers(plant, asset)) if asset.energy != "none" else set(powers.values())
        if asset.energy != "integrate":
            counters = (p for p in points.values() if p.effective_kind == "counter" and counted_in(p, asset.carrier))
            told |= {p.carrier or asset.carrier for p in counters}
        for carrier in dict.fromkeys(c for c in powers.values() if c not in told):
            yield path, _unaccounted(name, carrier, [n for n, c in powers.items() if c == carrier])


def _unaccounted(asset: str, carrier: str, powers: list[str]) -> str:
    listed = ", ".join(powers)
    if all(is_phase(power) for power in powers):
        return (
            f"'{asset}' shows power by phases only ({listed}), so it gets no energy and no CO2e; add a "
            "point for the register of their sum (quantity: power) or of an energy counter: no formula stands in"
        )
    return (
        f"'{asset}' gets no energy of {carrier}: of a device only one power is integrated, and not {listed}; add a "
        "point for the register of its energy counter, or show it in a device of its own"
    )
