"""The account of a stretch of time → energy on its way from carriers through areas to assets and products.

Nothing is counted twice: a meter above others passes on what they show, and what none of them shows is its rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from carbon.apportion import apportion
from carbon.entries import MICRO
from carbon.report.places import Place, places
from carbon.report.tally import Tally

_EMITTED: Final = slice(1, 3)  # of a place's amounts: scope 1 and scope 2 by location
EXPORT: Final = "export"


class End(NamedTuple):
    """Where energy of a meter ends [mWh]: at an asset, or as the rest that no meter below it shows."""

    area: str
    asset: str
    rest: bool
    energy: int


class Band(NamedTuple):
    """Energy [mWh] and emissions [mg] of a carrier that end somewhere."""

    carrier: str
    end: End
    energy: int
    mass: int


@dataclass
class Diagram:
    """Nodes by id, and links by their ends: [energy in mWh, emissions in mg]."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    excess: dict[str, int] = field(default_factory=dict)  # by how much parts exceed the meter above them [mWh]
    doubted: set[str] = field(default_factory=set)  # ids of assets of whose energy a part is estimated

    def node(self, id: str, name: str, layer: str, kind: str, **more: Any) -> str:
        self.nodes.setdefault(id, {"id": id, "name": name, "layer": layer, "kind": kind, **more})
        return id

    def link(self, source: str, target: str, energy: int, mass: int = 0) -> None:
        total = self.links.setdefault((source, target), [0, 0])
        total[0] += energy
        total[1] += mass


def diagram(tally: Tally, fed_by: Mapping[str, str]) -> Diagram:
    """Return the flows of a period; `fed_by`: asset → the asset whose meter counts it already.

    Of every area and asset what comes in goes out. Emissions are those of the meter where a carrier comes in, shared
    out by energy; own power carries what the account says of it: nothing.
    """
    made = Diagram()
    tops = [top for top in places(tally, fed_by) if top.boundary]
    own = _of_role(tally, "own")
    sold = min(sum(_of_role(tally, "export").values()), sum(own.values()))
    used = sum(own.values()) - sold
    bands = [band for top in tops for band in _bands(top, made)]
    placed = sum(top.own for top in tops)
    bands += _unplaced(tally, used - min(used, placed))
    for band in bands:
        for carrier, part in _split(band, own):
            _draw(made, carrier, band, part)
    _export(made, own, sold)
    _products(made, tally)
    made.doubted = {f"asset:{asset}" for asset in _doubted(tally)}
    return made


def _of_role(tally: Tally, role: str) -> dict[str, int]:
    """Return the energy of a role by carrier [mWh]."""
    found: dict[str, int] = {}
    for number, value in tally.by_line(tally.values["energy"], tally.energy_of(role)).items():
        carrier = tally.lines[number].carrier
        found[carrier] = found.get(carrier, 0) + max(0, value)
    return found


def _bands(top: Place, made: Diagram) -> Iterator[Band]:
    """Yield what one meter takes in, and the own power behind it, by where it ends."""
    ends = [end for place in _all(top) if (end := _end(place, made)) is not None]
    weights = np.array([end.energy for end in ends], np.int64)
    own = min(top.own, int(weights.sum()))
    given = apportion(own, weights).tolist() if own else [0] * len(ends)
    bought = np.array([end.energy - part for end, part in zip(ends, given, strict=True)], np.int64)
    mass = sum(top.amounts[_EMITTED])
    weighed = apportion(mass, bought).tolist() if bought.sum() > 0 else [0] * len(ends)
    for end, part, energy, kg in zip(ends, given, bought.tolist(), weighed, strict=True):
        if energy:
            yield Band(top.carrier, end, energy, kg)
        if part:
            yield Band("", end, part, 0)


def _all(place: Place) -> Iterator[Place]:
    yield place
    for part in place.below:
        yield from _all(part)


def _end(place: Place, made: Diagram) -> End | None:
    """Return what of a place ends there; None for nothing, and where the parts show more than the whole."""
    energy = place.rest[0] if place.below else place.amounts[0] + (place.own if place.boundary else 0)
    if energy < 0:
        made.excess[f"{place.asset}.{place.carrier}"] = -energy
    rest = bool(place.below) and place.meter
    return End(place.area, place.asset, rest, energy) if energy > 0 else None


def _unplaced(tally: Tally, energy: int) -> list[Band]:
    """Return own power used where no meter tells by whom, as a rest of the area it is made in."""
    makers = [tally.lines[n] for n in tally.primary if tally.lines[n].role == "own"]
    return [Band("", End(makers[0].area, makers[0].asset, True, energy), energy, 0)] if energy > 0 else []


def _split(band: Band, own: Mapping[str, int]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield a band by carrier; own power by what made it."""
    if band.carrier:
        yield band.carrier, (band.energy, band.mass)
        return
    parts = apportion(band.energy, np.array(list(own.values()), np.int64)).tolist()
    yield from ((carrier, (part, 0)) for carrier, part in zip(own, parts, strict=True) if part)


def _draw(made: Diagram, carrier: str, band: Band, part: tuple[int, int]) -> None:
    end = band.end
    source = made.node(f"carrier:{carrier}", carrier, "carrier", "bought" if band.carrier else "own")
    area = made.node(f"area:{end.area}", end.area, "area", "area")
    kind, name = ("rest", end.asset) if end.rest else ("asset", end.asset)
    made.link(source, area, *part)
    made.link(area, made.node(f"{kind}:{name}", name, "asset", kind), *part)


def _export(made: Diagram, own: Mapping[str, int], sold: int) -> None:
    if sold:
        target = made.node(EXPORT, EXPORT, "product", "export")
        for carrier, part in zip(own, apportion(sold, np.array(list(own.values()), np.int64)).tolist(), strict=True):
            if part:
                made.link(made.node(f"carrier:{carrier}", carrier, "carrier", "own"), target, part)


def _products(made: Diagram, tally: Tally) -> None:
    """Let what goes into an asset that counts its product go out into that."""
    found = tally.by_line(tally.values["amount"])
    for number, amount in found.items():
        line = tally.lines[number]
        taken = [total for (_, target), total in made.links.items() if target == f"asset:{line.asset}"]
        if line.role == "memo" and line.carrier == "product" and amount > 0 and taken:
            more = {"amount": amount / MICRO, "unit": line.unit}
            target = made.node(f"product:{line.asset}", line.asset, "product", "product", **more)
            made.link(f"asset:{line.asset}", target, *(sum(column) for column in zip(*taken, strict=True)))


def _doubted(tally: Tally) -> set[str]:
    """Return the assets of whose energy a part is estimated or substituted."""
    part = tally.values["estimated"] + tally.values["substituted"]
    return {tally.lines[n].asset for n, value in tally.by_line(part).items() if value}


def to_json(made: Diagram, hours: float | None) -> dict[str, Any]:
    """Return nodes and links as JSON-ready data [kWh, kg], with the `hours` of the period in kW and kg/h too."""
    links = [
        {"source": source, "target": target, **_amounts(energy, mass, hours)}
        | {"estimated": not made.doubted.isdisjoint((source, target))}
        for (source, target), (energy, mass) in made.links.items()
    ]
    excess = {name: energy / MICRO for name, energy in made.excess.items()}
    return {"nodes": _ordered(list(made.nodes.values())), "links": links, "excess_kwh": excess}


def _amounts(energy: int, mass: int, hours: float | None) -> dict[str, float]:
    kwh, kg = energy / MICRO, mass / MICRO
    per_hour = {"kw": kwh / hours, "co2e_kg_per_h": kg / hours} if hours else {}
    return {"kwh": kwh, "co2e_kg": kg, **per_hour}


def _ordered(nodes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    layers = ("carrier", "area", "asset", "product")
    return sorted(nodes, key=lambda node: (layers.index(node["layer"]), node["kind"] == "rest"))
