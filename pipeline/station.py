"""A compressor station's configuration → its machines as curves of power over flow, and which facts are missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from config.errors import GatewayError
from config.model import Asset
from config.vocabulary import facts
from pipeline.dispatch import MAX_MACHINES, Machine

_VARIABLE: Final = "variable_speed_oil_injected_rotary"
_NEEDED: Final = ("rated_flow_m3_min", "drive", "unloaded_kw")
_LEAST: Final = ("least_flow_m3_min", "least_flow_kw")


class Station(NamedTuple):
    """The machines of a station, and what was assumed of them because a fact is missing, as sentences."""

    machines: tuple[Machine, ...]
    assumed: tuple[str, ...]


def station(assets: Mapping[str, Asset], name: str) -> Station:
    """Return the machines of a station. Raises GatewayError for what is none, or naming every fact that is missing."""
    asset = assets[name]
    if asset.type != "compressor_station" or not asset.members:
        raise GatewayError(f"'{name}' is no asset of type compressor_station with members: that could be advised on")
    if others := [m for m in asset.members if assets[m].type != "compressor"]:
        raise GatewayError(f"{', '.join(others)}: only members of type compressor can be advised on")
    if len(asset.members) > MAX_MACHINES:
        raise GatewayError(f"'{name}' has {len(asset.members)} members; at most {MAX_MACHINES} can be tried")
    stated = {member: facts(assets[member]) for member in asset.members}
    if missing := [f"{member} states no {', '.join(words)}" for member, f in stated.items() if (words := _missing(f))]:
        raise GatewayError(
            f"{'; '.join(missing)}: write them under facts: of the machine, as its maker's data sheet says "
            "(docs/kpis.md)"
        )
    machines = tuple(_machine(member, stated[member]) for member in asset.members)
    return Station(machines, tuple(said for member in asset.members for said in _assumed(member, stated[member])))


def _missing(stated: Mapping[str, float | str]) -> list[str]:
    power = [] if "package_kw" in stated or "rated_kw" in stated else ["package_kw"]
    return [word for word in _NEEDED if word not in stated] + power


def _machine(name: str, stated: Mapping[str, float | str]) -> Machine:
    full = (float(stated["rated_flow_m3_min"]), _full_kw(stated))
    least = [(float(stated[_LEAST[0]]), float(stated[_LEAST[1]]))] if _has_least(stated) else []
    try:
        return Machine(name, ((0.0, float(stated["unloaded_kw"])), *least, full))
    except ValueError as error:
        raise GatewayError(f"{error}: look at its facts rated_flow_m3_min and least_flow_m3_min") from None


def _full_kw(stated: Mapping[str, float | str]) -> float:
    return float(stated.get("package_kw", stated.get("rated_kw", 0.0)))


def _has_least(stated: Mapping[str, float | str]) -> bool:
    return stated["drive"] == _VARIABLE and all(word in stated for word in _LEAST)


def _assumed(name: str, stated: Mapping[str, float | str]) -> list[str]:
    said = []
    if "package_kw" not in stated:
        said.append(
            f"{name} states no package_kw: the {_full_kw(stated):g} kW of its rated_kw are taken, which leave out "
            "fans and losses of the motor"
        )
    if stated["drive"] == _VARIABLE and not _has_least(stated):
        words = " and ".join(word for word in _LEAST if word not in stated)
        said.append(f"{name} states no {words}: its power is taken as a straight line from unloaded to full")
    return said
