"""Fuels that are counted as burnt → by-product gases among them whose carbon would be counted a second time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from config.carriers import about, counted_in
from config.plant_checks import Finding, Loc, Plant

_COKING: Final = ("coking_coal", "washed_coal")
# Which fuels a by-product gas got its carbon from.
_MADE_FROM: Final = {
    "coke_oven_gas": _COKING,
    "blast_furnace_gas": ("coke", *_COKING),
    "converter_gas": ("coke", *_COKING),
}


class Source(NamedTuple):
    """A stream whose fuel is counted as burnt within the boundary; `bought`: its gas comes from somebody else's."""

    stream: str
    carrier: str
    bought: bool = False


def counted_twice(sources: Iterable[Source]) -> Iterator[tuple[str, str]]:
    """Yield (stream, sentence) of each by-product gas whose carbon is counted with the fuel it was made from.

    Coke-oven, blast-furnace and converter gas carry carbon of coal and coke; where these are counted in full the gas
    must not be counted again (carbon balance of the guidelines for iron and steel works and coking plants).
    """
    counted = list(sources)
    for gas in counted:
        twice = [fuel.stream for fuel in counted if fuel.carrier in _MADE_FROM.get(gas.carrier, ())]
        if twice and not gas.bought:
            yield (
                gas.stream,
                (
                    f"burns gas whose carbon is already counted with {' and '.join(twice)}: take it out of the account "
                    "(energy: none), or write 'bought: true' on its asset if the gas comes from outside the boundary"
                ),
            )


def check_byproducts(plant: Plant) -> Iterator[Finding]:
    """Yield by-product gases that meters would count a second time."""
    sources: dict[str, Source] = {}
    places: dict[str, Loc] = {}
    for path, name, asset, _, device in plant.devices():
        for point_name, point in plant.points(device).items():
            carrier = point.carrier or asset.carrier
            if asset.energy != "none" and about(carrier).fuel and counted_in(point, asset.carrier):
                stream = f"{name}.{carrier}"
                sources[stream] = Source(stream, carrier, asset.bought)
                places.setdefault(stream, (*path, "points", point_name) if point_name in device.points else path)
    for stream, sentence in counted_twice(sources.values()):
        yield places[stream], f"{stream} {sentence}"
