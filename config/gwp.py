"""Global warming potentials over 100 years by the IPCC report they come from."""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

from config.explain import nearest
from config.sourced import Positive, Sourced, Text, shipped_rows

Set = Literal["AR4", "AR5", "AR6"]
SETS: Final[tuple[Set, ...]] = ("AR4", "AR5", "AR6")


class GwpRow(Sourced):
    """The potential of one species [kg CO₂e/kg] in one assessment report."""

    species: Text
    set: Set
    value: Positive


@cache
def gwp_rows() -> dict[tuple[str, str], GwpRow]:
    """Return all known potentials by (species, set)."""
    return {(row.species, row.set): row for row in shipped_rows(GwpRow, "gwp100")}


def gwp(species: str, gwp_set: str) -> float:
    """Return the potential of a species [kg CO₂e/kg]; raises ValueError that says which are known."""
    known = gwp_rows()
    name = species.replace("-", "").replace(" ", "")
    if (name, gwp_set) in known:
        return known[name, gwp_set].value
    sets = [s for s in SETS if (name, s) in known]
    if sets:
        raise ValueError(f"{species} has no potential in {gwp_set}; it is known in {', '.join(sets)}")
    raise ValueError(f"no potential is known for '{species}'{nearest(name, {s for s, _ in known})}")
