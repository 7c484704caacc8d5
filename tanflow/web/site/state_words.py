"""A running state's number → what it means, as the asset's type says in the note of its role."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from config import asset_types
from config.bindings import series_key

if TYPE_CHECKING:
    from config.model import Asset
    from pipeline.latest import Latest
    from tanflow.gateway import Gateway

_MEANING: Final = re.compile(r"(\d+) ([^,]+)")  # 0 stopped, 1 unloaded, 2 loaded


class State(NamedTuple):
    """A point of an asset that says how it runs: its series, and what its numbers mean (none: nobody says)."""

    key: str
    series: int
    meanings: dict[int, str]


def states(gateway: Gateway) -> dict[str, list[State]]:
    """Return the states the devices of each asset show."""
    found: dict[str, list[State]] = {}
    for device in gateway.devices:
        noted = _notes(device.asset)
        for point, about in device.points.items():
            if about.quantity == "state":
                key = series_key(device.asset_name, point, "state")
                state = State(key, gateway.table.ids[key], meanings(noted.get(point, "")))
                found.setdefault(device.asset_name, []).append(state)
    return found


def _notes(asset: Asset) -> dict[str, str]:
    """Return what the asset's type says of each point that plays a state."""
    kind = asset_types.load_all().get(asset.type)
    found: dict[str, str] = {}
    for word, role in kind.roles.items() if kind else ():
        if role.quantity == "state":
            names = (asset.roles[word], *role.names) if word in asset.roles else role.names
            found |= dict.fromkeys(names, role.note)
    return found


def meanings(note: str) -> dict[int, str]:
    """Return what each number means by a note such as `0 stopped, 1 unloaded, 2 loaded`."""
    return {int(number): words.strip() for number, words in _MEANING.findall(note)}


def running(latest: Latest, of_asset: Sequence[State]) -> dict[str, Any] | None:
    """Return how an asset runs now by the first of its states that has come, None where none has."""
    for state in of_asset:
        value = float(latest.value[state.series])
        if latest.time_ns[state.series] and value == value:
            return {"key": state.key, "value": value, "meaning": state.meanings.get(int(value))}
    return None
