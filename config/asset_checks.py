"""A plant → what its assets state that their type does not ask for, or name that is not there."""

from __future__ import annotations

from collections.abc import Iterator

from config import asset_types
from config.asset_types import AssetType
from config.explain import nearest
from config.model import Asset
from config.plant_checks import Finding, Loc, Plant
from config.window_checks import points_of, untold


def check_assets(plant: Plant) -> Iterator[Finding]:
    """Yield everything wrong with facts, roles, members and chosen figures."""
    hidden, names = untold(plant), {name for _, name, _ in plant.assets()}
    for path, name, asset in plant.assets():
        kind = asset_types.load_all().get(asset.type, AssetType(id="other", title=""))
        for word, value in asset.facts.items():
            if why := _fact(kind, word, value):
                yield (*path, "facts", word), why
        if not hidden(name):
            yield from _roles(plant, path, name, asset, kind)
        for index, member in enumerate(asset.members):
            if member == name:
                yield (*path, "members", index), "an asset is no member of itself"
            elif member not in names and not hidden(member):
                yield (*path, "members", index), f"there is no asset '{member}'{nearest(member, names - {name})}"
        for index, kpi in enumerate(asset.kpis if isinstance(asset.kpis, tuple) else ()):
            if kpi not in kind.kpis:
                yield (*path, "kpis", index), f"type {asset.type} has no figure '{kpi}'{nearest(kpi, kind.kpis)}"


def _fact(kind: AssetType, word: str, value: float | str) -> str:
    """Return what is wrong with a fact, "" for nothing."""
    if word not in kind.facts:
        return f"type {kind.id} asks for no '{word}'{nearest(word, kind.facts)}"
    fact = kind.facts[word]
    if fact.one_of and value not in fact.one_of:
        return f"must be one of {', '.join(fact.one_of)}"
    if fact.unit and isinstance(value, str):
        return f"must be a number of {fact.unit}, not '{value}'"
    return ""


def _roles(plant: Plant, path: Loc, name: str, asset: Asset, kind: AssetType) -> Iterator[Finding]:
    points = points_of(plant, asset)
    for role, point in asset.roles.items():
        where = (*path, "roles", role)
        if role not in kind.roles:
            yield where, f"type {asset.type} has no part '{role}'{nearest(role, kind.roles)}"
        elif point not in points:
            yield where, f"asset '{name}' has no point '{point}'{nearest(point, points)}"
        elif points[point].quantity != kind.roles[role].quantity:
            yield where, f"'{point}' shows {points[point].quantity}, but '{role}' is a {kind.roles[role].quantity}"
