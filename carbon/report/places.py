"""Sums of a period and who feeds whom → what each area and asset took, and the rest no meter below explains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from carbon.apportion import apportion
from carbon.report.table import Cell, Column, Row, Table, word
from carbon.report.tally import Tally
from carbon.report.words import term

KEYS: Final = ("energy", "scope_1", "scope_2_location", "scope_2_market", "scope_3")
Amounts = tuple[int, ...]  # energy [mWh] and emissions [mg] in the order of KEYS


@dataclass(slots=True)
class Place:
    """What one asset took of one carrier, with all that is metered below it."""

    asset: str
    area: str
    carrier: str
    boundary: bool
    meter: bool  # nothing but a meter: what is not metered below it is unaccounted, not its own
    amounts: list[int] = field(default_factory=lambda: [0] * len(KEYS))
    below: list[Place] = field(default_factory=list)
    own: int = 0  # own generation used behind this meter [mWh]; only where something boundary is at the top

    @property
    def own_amounts(self) -> Amounts:
        """What the own power used would have weighed at the mean factor of this meter's intake."""
        taken = self.amounts[0]
        return (self.own, *(self.own * mass // taken if taken > 0 else 0 for mass in self.amounts[1:]))

    @property
    def rest(self) -> Amounts:
        """What went in here and is not metered below: intake − Σ below + own generation used."""
        below = [sum(part.amounts[i] for part in self.below) for i in range(len(KEYS))]
        return tuple(a - b + o for a, b, o in zip(self.amounts, below, self.own_amounts, strict=True))


class Flow(NamedTuple):
    """Energy [mWh] on its way from a source through an area to an asset; "" is the unaccounted rest."""

    source: str
    area: str
    asset: str
    energy: int


def places(tally: Tally, fed_by: Mapping[str, str]) -> list[Place]:
    """Return the places at the top, each with those below it; `fed_by`: asset → the asset above it."""
    found = _collect(tally)
    tops: list[Place] = []
    for place in found.values():
        above = None if place.boundary else _above(place, fed_by, found)
        (above.below if above else tops).append(place)
    _give_own(tally, fed_by, found, [place for place in tops if place.boundary])
    for place in found.values():
        place.below.sort(key=_order)
    return sorted(tops, key=_order)


def _order(place: Place) -> tuple[str, str, str]:
    return place.area, place.asset, place.carrier


def _collect(tally: Tally) -> dict[tuple[str, str], Place]:
    found: dict[tuple[str, str], Place] = {}
    measured = {tally.lines[n].stream for n in tally.used}
    columns = [tally.by_line(tally.values["energy"], tally.energy_of("boundary", "breakdown"))]
    for role in ("boundary", "breakdown"):
        for scope, method in ((1, "location"), (2, "location"), (2, "market"), (3, "location")):
            columns.append(tally.by_line(tally.mass, tally.scope(scope, method, role)))
    for index, column in enumerate(columns):
        for number, value in column.items():
            line = tally.lines[number]
            if line.stream != (whole := f"{line.asset}.{line.carrier}") and whole in measured:
                continue  # a virtual meter of what the asset's own meter counts
            new = Place(line.asset, line.area, line.carrier, line.role == "boundary", line.asset_type == "meter")
            place = found.setdefault((line.asset, line.carrier), new)
            place.amounts[(index - 1) % 4 + 1 if index else 0] += value
    return found


def _above(place: Place, fed_by: Mapping[str, str], found: Mapping[tuple[str, str], Place]) -> Place | None:
    """Return the nearest place above that takes the same carrier; None where the configuration no longer has one."""
    seen = {place.asset}
    asset = fed_by.get(place.asset)
    while asset and asset not in seen:
        if (asset, place.carrier) in found:
            return found[asset, place.carrier]
        seen.add(asset)
        asset = fed_by.get(asset)
    return None


def own_used(tally: Tally) -> int:
    """Return what was used of the own generation [mWh]: made − given away."""
    made = tally.add(tally.values["energy"], tally.energy_of("own"))
    return max(0, made - tally.add(tally.values["energy"], tally.energy_of("export")))


def _give_own(
    tally: Tally, fed_by: Mapping[str, str], found: Mapping[tuple[str, str], Place], tops: list[Place]
) -> None:
    """Put the own generation used behind the meter it feeds: the one named by its asset, or the site's only one."""
    makers = {tally.lines[n].asset for n in tally.primary if tally.lines[n].role == "own"}
    power = [place for place in tops if place.carrier == "electricity"]
    named = [p for maker in makers if (p := found.get((fed_by.get(maker, ""), "electricity"))) and p in power]
    meter = named[0] if named else power[0] if len(power) == 1 else None
    if meter:
        meter.own = own_used(tally)


def assets(tops: list[Place]) -> Table:
    """Return the tree of who feeds whom; parts and the rest add up to each meter, the meters at the top to the site."""
    rows = [row for place in tops for row in _tree(place, 0)]
    columns = (
        Column("asset"), Column("area"), Column("carrier"), Column("energy", "energy"),
        *(Column(key, "mass") for key in KEYS[1:]),
    )  # fmt: skip
    notes = (word("note.rest"), *([word("note.own_rest")] if any(place.own for place in tops) else []))
    return Table("assets", columns, tuple(rows), total=True, notes=notes, wide=True)


def _tree(place: Place, depth: int) -> Iterator[Row]:
    carrier = term("carrier", place.carrier)
    stray = depth == 0 and not place.boundary
    yield Row((place.asset, place.area, carrier, *place.amounts), depth, "memo" if stray else "")
    if not place.below:
        return
    for part in place.below:
        yield from _tree(part, depth + 1)
    yield Row((word("unaccounted" if place.meter else "itself"), place.area, carrier, *place.rest), depth + 1, "rest")
    if place.own:
        yield Row((word("own_used"), place.area, carrier, *(-a for a in place.own_amounts)), depth + 1, "rest")


def areas(tops: list[Place]) -> Table:
    """Return what the assets of each area took, each asset without what is metered below it, and the rest."""
    by_area: dict[str, list[int]] = {}
    rest, own = [0] * len(KEYS), [0] * len(KEYS)
    for place in _all([top for top in tops if top.boundary]):
        split = bool(place.below)
        target = rest if split and place.meter else by_area.setdefault(place.area, [0] * len(KEYS))
        amounts = place.rest if split else tuple(place.amounts)
        for i, (amount, given) in enumerate(zip(amounts, place.own_amounts, strict=True)):
            target[i] += amount
            own[i] -= given if split else 0
    rows = [Row((area, *amounts)) for area, amounts in sorted(by_area.items())]
    if any(place.below and place.meter for place in _all(tops)):
        rows.append(Row((word("unaccounted"), *rest), 0, "rest"))
    if any(own):
        rows.append(Row((word("own_used"), *own), 0, "rest"))
    columns = (Column("area"), Column("energy", "energy"), *(Column(key, "mass") for key in KEYS[1:]))
    return Table("areas", columns, tuple(rows), total=True)


def _all(tops: list[Place]) -> Iterator[Place]:
    for place in tops:
        yield place
        yield from _all(place.below)


def flows(tops: list[Place]) -> list[Flow]:
    """Return where the energy of each source went; own power reaches every place behind its meter in proportion."""
    found: list[Flow] = []
    for top in tops:
        if not top.boundary:
            continue
        ends = [
            (
                place.area,
                "" if place.below and place.meter else place.asset,
                place.rest[0] if place.below else place.amounts[0],
            )
            for place in _all([top])
        ]
        if not top.below:
            ends = [(top.area, top.asset, top.amounts[0] + top.own)]
        ends = [end for end in ends if end[2] > 0]
        weights = np.array([energy for _, _, energy in ends], np.int64)
        own = min(top.own, int(weights.sum()))
        given = apportion(own, weights).tolist() if own else [0] * len(ends)
        for (area, asset, energy), part in zip(ends, given, strict=True):
            found += [Flow(top.carrier, area, asset, energy - part)] if energy > part else []
            found += [Flow("own", area, asset, part)] if part else []
    return found


def shares(tally: Tally, green_bought: int | None = None) -> Table:
    """Return what share of the electricity consumed was own and what share green by the market-based method.

    `green_bought` [mWh] is what instruments without emissions cover; else what the ledger multiplied by 0.
    """
    bought = _electricity(tally, "boundary")
    used = own_used(tally)
    consumed = bought + used
    green = used + (_green(tally) if green_bought is None else green_bought)
    rows: list[tuple[str, Cell, Cell]] = [
        ("bought", bought, _share(bought, consumed)),
        ("made", tally.add(tally.values["energy"], tally.energy_of("own")), None),
        ("exported", tally.add(tally.values["energy"], tally.energy_of("export")), None),
        ("own_used", used, _share(used, consumed)),
        ("consumed", consumed, _share(consumed, consumed)),
        ("green", green, _share(green, consumed)),
    ]
    columns = (Column("source"), Column("energy", "energy"), Column("share", "share"))
    made = tuple(Row((word(f"power.{key}"), energy, share)) for key, energy, share in rows)
    return Table("power", columns, made, notes=(word("note.green"),))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _electricity(tally: Tally, role: str) -> int:
    mask = tally.energy_of(role) & tally.lines_where(lambda line: line.carrier == "electricity")
    return tally.add(tally.values["energy"], mask)


def _green(tally: Tally) -> int:
    """Return the electricity bought [mWh] that the market-based method multiplies by a factor of nothing."""
    mask = tally.lines_where(
        lambda x: x.role == "boundary" and x.scope == 2 and x.method == "market" and x.carrier == "electricity"
    )
    nothing = [n for n, factor in tally.factors.items() if factor.total == 0]
    return tally.add(tally.values["energy"], mask & np.isin(tally.factor, nothing))
