"""A plant → what its factor tables, series, region and fuels lack before anything can be multiplied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from config.carriers import about, counted_in
from config.errors import ConfigError
from config.explain import nearest
from config.factor_series import FactorSeries, edge_mistake, read_series
from config.factor_tables import grid_rows, nearest_regions, read_table
from config.fuels import FuelError, fuel_row, fuel_sets, fuels, units_per
from config.model import Asset, Gateway
from config.plant_checks import Finding, Loc, Plant
from config.points import Point


def check_factors(plant: Plant) -> Iterator[Finding]:
    """Yield tables and series that cannot be used, and a region nobody knows."""
    tables = _usable(plant.gateway)
    for index, table in enumerate(plant.gateway.factors.tables):
        try:
            read_table(table)
        except ConfigError as error:
            yield ("factors", "tables", index), _told(error)
    series = plant.gateway.factors.series
    for index, one in enumerate(series):
        for message in _series(one, plant):
            yield ("factors", "series", index), message
    yield from _clashes(series)
    if plant.is_whole("site"):
        yield from _region(plant, tables)


def _usable(gateway: Gateway) -> list[Path]:
    """Return the tables without a mistake."""
    good = []
    for table in gateway.factors.tables:
        try:
            read_table(table)
            good.append(table)
        except ConfigError:  # told by check_factors, once
            continue
    return good


def _told(error: ConfigError) -> str:
    more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
    return f"{error.problems[0]}{more}"


def _series(one: FactorSeries, plant: Plant) -> Iterator[str]:
    try:
        read_series(one)
    except ConfigError as error:
        yield _told(error)
        return
    if plant.is_whole("accounting") and plant.is_whole("site"):
        mistake = edge_mistake(one, plant.gateway.accounting.interval, plant.gateway.site.zone)
        if mistake:
            yield mistake


def _clashes(series: tuple[FactorSeries, ...]) -> Iterator[Finding]:
    """Yield series of one region and kind that two publishers speak of, or that speak of one hour twice."""
    for index, one in enumerate(series):
        for other in series[:index]:
            if (one.region, one.kind) != (other.region, other.kind):
                continue
            path: Loc = ("factors", "series", index)
            if one.publisher != other.publisher:
                what = f"{one.kind} of {one.region} comes from {other.publisher} and {one.publisher}"
                yield path, f"{what}; publishers must not mix, keep one"
            elif _overlap(other, one):
                yield path, f"{one.file.name} and {other.file.name} both cover some of the same time; keep one of them"


def _overlap(one: FactorSeries, other: FactorSeries) -> bool:
    try:
        spans = [(s.start_ns[0], s.start_ns[-1]) for s in (read_series(one), read_series(other))]
    except ConfigError:  # told for the series itself
        return False
    (_, last), (first, _) = sorted(spans)
    return bool(first <= last)


def _region(plant: Plant, tables: list[Path]) -> Iterator[Finding]:
    region, factors = plant.gateway.site.region, plant.gateway.factors
    if any((s.region, s.kind) == (region, factors.kind) for s in factors.series):
        return
    try:
        if grid_rows(region, factors.kind, tables, factors.publishers):
            return
        near = nearest_regions(region, factors.kind, tables)
        hint = f"nearest: {', '.join(near)}" if near else "write e.g. CN-GD, GB or DE, or give a table of your own"
        yield ("site", "region"), f"no {factors.kind} grid factor is known for region '{region}'; {hint}"
    except ConfigError as error:
        yield ("factors", "tables"), error.problems[0].message


def check_fuels(plant: Plant) -> Iterator[Finding]:
    """Yield fuels and bought heat that are counted and have no factor for how they are counted."""
    accounting, tables = plant.gateway.accounting, _usable(plant.gateway)
    sets = fuel_sets(tables)
    named: dict[Loc, str] = {("accounting", "fuels"): accounting.fuels}
    named |= {("accounting", "other_fuels", c): name for c, name in accounting.other_fuels.items()}
    wrong = {path: name for path, name in named.items() if name not in sets}
    for where, name in wrong.items():
        yield where, f"there is no set of fuel factors '{name}'{nearest(name, sets)}"
    if wrong or not plant.is_whole("accounting"):
        return
    for path, _, asset, _, device in plant.devices():
        if asset.energy == "none":
            continue
        for name, point in plant.points(device).items():
            message = _without_factor(plant.gateway, asset, point, tables)
            if message:
                yield (*path, "points", name) if name in device.points else path, message


def _without_factor(gateway: Gateway, asset: Asset, point: Point, tables: list[Path]) -> str:
    """Return why what a point counts cannot be multiplied, "" if it can or need not be."""
    carrier, unit = point.carrier or asset.carrier, counted_in(point, asset.carrier)
    kind = about(carrier)
    if not kind.scope or kind.electric or not unit or point.quantity == "power":
        return ""
    if not kind.fuel and not any(row.fuel == carrier for row in fuels(tables)):
        return ""  # e.g. bought cooling: nobody publishes a factor, so it is counted without one
    if unit == "m3" and kind.state == "gas" and point.reference is None:
        return ""  # told where points are checked
    fuel_set = gateway.accounting.fuel_set(carrier)
    try:
        row = fuel_row(carrier, fuel_set, tables, unit=unit, calorific=point.calorific)
        units_per(row, unit, calorific=point.calorific, reference=point.reference)
    except FuelError as error:
        return str(error)
    return ""
