"""A plant and its figures → the alerts its assets' types bring, and where each alert comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from config import asset_types
from config.alerts import Rule
from config.asset_types import Alarm
from config.kpis import Figures, energy_of, product_of
from config.model import Asset, Gateway
from config.vocabulary import facts


def alarms_of(asset: Asset) -> Mapping[str, Alarm]:
    """Return the alarms an asset's type knows."""
    kind = asset_types.load_all().get(asset.type)
    return kind.alarms if kind else {}


def type_alerts(gateway: Gateway, found: Figures) -> Iterator[tuple[str, str, Rule]]:
    """Yield (asset, name, rule) of what assets' types bring, where the asset wants it and has what it watches."""
    assets = _assets(gateway)
    members = {member for asset in assets.values() for member in asset.members}
    for name, asset in assets.items():
        for alarm, told in alarms_of(asset).items():
            wanted = asset.alerts == "auto" or (isinstance(asset.alerts, tuple) and alarm in asset.alerts)
            if wanted and _suits(name, asset, told, members) and _watchable(name, told, found):
                yield name, alarm, told.rule(name, f"{name}.{told.waste}" in found.found)


def origin(gateway: Gateway, asset: str, name: str) -> str:
    """Return where an alert comes from: a rule of the user's, its asset's type, or what every plant has."""
    if name in gateway.alerts:
        return "gateway.yaml"
    assets = _assets(gateway)
    alarm = alarms_of(assets[asset]).get(name) if asset in assets else None
    return f"type {assets[asset].type}: {alarm.source}" if alarm else "every plant"


def _assets(gateway: Gateway) -> dict[str, Asset]:
    return {name: asset for area in gateway.areas.values() for name, asset in area.assets.items()}


def _suits(name: str, asset: Asset, alarm: Alarm, members: set[str]) -> bool:
    stated = facts(asset)
    return not (alarm.alone and name in members) and all(stated.get(f) != word for f, word in alarm.unless.items())


def _watchable(asset: str, alarm: Alarm, found: Figures) -> bool:
    """Return whether the figures are there: points may miss, or the site's hours may have no windows for them."""
    window = f"{asset}.{alarm.kpi}"
    needed = (window, energy_of(window), product_of(window)) if alarm.type == "intensity" else (window,)
    there = all(one in found.found for one in needed)
    return there and (alarm.type != "grade" or bool(found.found[window].grade))
