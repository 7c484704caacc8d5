"""A plant → what its virtual meters are made of and cannot be: missing streams, circles, units that do not add up."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from config.accounting import VirtualMeter
from config.carriers import counted_in
from config.explain import nearest
from config.plant_checks import Finding, Loc, Plant
from config.points import GasReference
from config.quantities import AMOUNT_OF, QUANTITIES


class Flow(NamedTuple):
    """What amounts of a stream are counted in."""

    unit: str
    reference: GasReference | None = None

    def __str__(self) -> str:
        state = self.reference
        return f"{self.unit} at {state.celsius:g} °C and {state.kpa:g} kPa" if state else self.unit


def check_virtual(plant: Plant) -> Iterator[Finding]:
    """Yield what is wrong with virtual meters."""
    meters = plant.gateway.accounting.virtual
    keys = {f"{meter.asset}.{meter.carrier}.{name}": name for name, meter in meters.items()}
    flows = metered_flows(plant)
    told = not any(path[0] in ("areas", "templates") for path in plant.broken)
    assets = {name for _, name, _ in plant.assets()}
    for name, meter in meters.items():
        if told and meter.asset not in assets:
            yield _at(name, "asset"), f"there is no asset '{meter.asset}'{nearest(meter.asset, assets)}"
        for where, part in _parts(meter):
            if told and part not in flows and part not in keys:
                yield _at(name, *where), f"there is no stream '{part}'{nearest(part, [*flows, *keys])}"
        yield from _twice(name, meter)
    waits = {name: [keys[part] for _, part in _parts(meter) if part in keys] for name, meter in meters.items()}
    try:
        order = list(TopologicalSorter(waits).static_order())
    except CycleError as error:
        circle = error.args[1]
        yield _at(circle[0]), f"is made of itself: {' → '.join(reversed(circle))}"
        return
    for name in order:
        yield from _units(name, meters[name], flows)


def _units(name: str, meter: VirtualMeter, flows: dict[str, Flow]) -> Iterator[Finding]:
    """Yield parts that are not counted like the first one, and note what the meter itself is counted in."""
    known = [(where, part, flows[part]) for where, part in _parts(meter) if part in flows]
    if not known:
        return
    _, first, like = known[0]
    for where, part, flow in known[1:]:
        if flow != like:
            yield _at(name, *where), f"'{part}' is counted in {flow}, '{first}' in {like}; they cannot be added"
    flows[f"{meter.asset}.{meter.carrier}.{name}"] = like


def _twice(name: str, meter: VirtualMeter) -> Iterator[Finding]:
    seen: set[str] = set()
    for where, part in _parts(meter):
        if part in seen:
            yield _at(name, *where), f"'{part}' is named already; each stream counts once"
        seen.add(part)


def _parts(meter: VirtualMeter) -> Iterator[tuple[Loc, str]]:
    for side in ("plus", "minus"):
        for index, part in enumerate(getattr(meter, side)):
            yield (side, index), part


def _at(name: str, *where: str | int) -> Loc:
    return ("accounting", "virtual", name, *where)


def metered_flows(plant: Plant) -> dict[str, Flow]:
    """Return every stream that meters of the plant can yield."""
    flows: dict[str, Flow] = {}
    for _, asset_name, asset, _, device in plant.devices():
        for name, point in plant.points(device).items():
            carrier = point.carrier or asset.carrier
            amount = AMOUNT_OF.get(point.quantity, "")
            unit = counted_in(point, asset.carrier)
            if unit:
                flows.setdefault(f"{asset_name}.{carrier}", Flow(unit, point.reference))
            if unit and name.endswith("export"):
                flows.setdefault(f"{asset_name}.{carrier}.export", Flow(unit))
            elif amount in ("mass", "reactive_energy") and not unit:
                key = "product" if amount == "mass" else f"{carrier}.reactive"
                flows.setdefault(f"{asset_name}.{key}", Flow(QUANTITIES[amount].unit))
    return flows
