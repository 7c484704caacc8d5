"""Coefficients beside the emission factors: standard coal per unit of a carrier, and what the grid loses."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Final, Literal

from config.sourced import Positive, Sourced, Text, shipped_rows

KGCE_GJ: Final = 0.0293076  # net calorific value of 1 kg of standard coal [GJ], GB/T 2589-2020: 7,000 kcal


class StandardCoalRow(Sourced):
    """How much standard coal one unit of a carrier stands for [kgce per unit]."""

    carrier: Text
    name_zh: str = ""
    value: Positive
    unit: Literal["kgce/kg", "kgce/m3", "kgce/kWh", "kgce/MJ", "kgce/t"]
    note: str = ""


class LossRow(Sourced):
    """What is lost between power station and meter.

    td_losses: emissions of the losses [kg CO₂e per kWh consumed]. upstream_and_td: of the losses and of the fuels'
    way to the power station together. loss_share: losses as a share of what is fed in.
    """

    region: Text
    kind: Literal["td_losses", "upstream_and_td", "loss_share"]
    value: Positive
    unit: Literal["kg/kWh", "1"]
    valid_from: date
    valid_to: date


@cache
def standard_coal_rows() -> dict[str, StandardCoalRow]:
    """Return all coefficients by carrier."""
    return {row.carrier: row for row in shipped_rows(StandardCoalRow, "standard-coal")}


def standard_coal(carrier: str) -> StandardCoalRow | None:
    """Return the default coefficient of a carrier; None where the standard gives none or only a range.

    A fuel of known calorific value stands for NCV / KGCE_GJ kgce; the standard prefers that to its defaults.
    """
    return standard_coal_rows().get(carrier)


def td_losses(region: str) -> tuple[LossRow, ...]:
    """Return what is known of a grid's losses by period, of its country where the region itself has none.

    CN-GD asks CN, US-CAMX asks US; empty where nobody publishes one.
    """
    rows = shipped_rows(LossRow, "td-losses")
    for name in (region, region.partition("-")[0]):
        found = [row for row in rows if row.region == name]
        if found:
            return tuple(sorted(found, key=lambda row: row.valid_from))
    return ()
