"""A plant → what its assets state that their type does not ask for, or name that is not there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import combinations
from typing import Final

from config import asset_types
from config.asset_types import AssetType
from config.explain import nearest
from config.model import Asset
from config.plant_checks import Finding, Loc, Plant
from config.vocabulary import facts
from config.window_checks import points_of, untold

_LEAST: Final = ("least_flow_m3_min", "least_flow_kw")
_RISING: Final = (("least_flow_m3_min", "rated_flow_m3_min"), ("unloaded_kw", "least_flow_kw", "package_kw"))


def check_assets(plant: Plant) -> Iterator[Finding]:
    """Yield everything wrong with facts, roles, members, chosen figures and what feeds what."""
    hidden, names = untold(plant), {name for _, name, _ in plant.assets()}
    yield from (*_feeding(plant, hidden), *_made_of(plant))
    for path, name, asset in plant.assets():
        kind = asset_types.load_all().get(asset.type, AssetType(id="other", title=""))
        for word, why in (*_facts(kind, asset), *_curve(asset)):
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


def _feeding(plant: Plant, hidden: Callable[[str], bool]) -> Iterator[Finding]:
    """Yield assets fed by none there is, and one of each circle: of assets in it nothing would ever be accounted."""
    assets = {name: (path, asset) for path, name, asset in plant.assets()}
    above = {name: asset.fed_by for name, (_, asset) in assets.items() if asset.fed_by}
    for name, feeder in above.items():
        if feeder not in assets and not hidden(feeder):
            yield (*assets[name][0], "fed_by"), f"there is no asset '{feeder}'{nearest(feeder, assets.keys() - {name})}"
    for circle in _circles({name: [feeder] for name, feeder in above.items()}):
        why = f"feeds itself: {' → '.join(reversed(circle))}; where the supply comes in there is no fed_by:"
        yield (*_first(assets, circle), "fed_by"), why


def _made_of(plant: Plant) -> Iterator[Finding]:
    """Yield one asset of each circle of members."""
    assets = {name: (path, asset) for path, name, asset in plant.assets()}
    for circle in _circles({name: [m for m in asset.members if m != name] for name, (_, asset) in assets.items()}):
        yield (*_first(assets, circle), "members"), f"is made of itself: {' → '.join(reversed(circle))}"


def _circles(follows: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield circles, each with its first name once more at its end, until there are none without those told."""
    while True:
        try:
            return TopologicalSorter(follows).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
        yield circle
        follows = {name: after for name, after in follows.items() if name not in circle}


def _first(assets: Mapping[str, tuple[Loc, Asset]], circle: Collection[str]) -> Loc:
    """Return where that of a circle stands which is written first."""
    return next(path for name, (path, _) in assets.items() if name in circle)


def _facts(kind: AssetType, asset: Asset) -> Iterator[tuple[str, str]]:
    for word, value in asset.facts.items():
        if why := _fact(kind, word, value):
            yield word, why


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


def _curve(asset: Asset) -> Iterator[tuple[str, str]]:
    """Yield what of a compressor's facts cannot be points of one rising curve of power over flow."""
    if asset.type != "compressor":
        return
    known = {word: value for word, value in facts(asset).items() if not isinstance(value, str)}
    for words in _RISING:
        for low, high in combinations([word for word in words if word in known], 2):
            if known[low] >= known[high] and low in asset.facts:
                yield low, f"must be below {high}, {known[high]:g}: it is what the machine has at a lower flow"
    for word in sorted({word for words in _RISING for word in words} & set(asset.facts)):
        if known.get(word, 1.0) <= 0:
            yield word, "must be more than 0"
    least = [word for word in _LEAST if word in asset.facts]
    if len(least) == 1:
        other = next(word for word in _LEAST if word not in least)
        yield least[0], f"says nothing without {other}: one point is a flow and its power"


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
