"""Stocks of bottled gas and refrigerant → what was lost [kg], and the factor per kilogram of a gas or a blend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from carbon.factor import Factor
from config.explain import nearest
from config.gwp import GwpRow, gwp_rows
from pipeline.factors import Provenance

# Composition by mass, ASHRAE standard 34. Hydrocarbons have no potential in the reports' tables and count nothing.
BLENDS: Final[dict[str, dict[str, float]]] = {
    "R404A": {"HFC125": 0.44, "HFC143a": 0.52, "HFC134a": 0.04},
    "R407A": {"HFC32": 0.20, "HFC125": 0.40, "HFC134a": 0.40},
    "R407C": {"HFC32": 0.23, "HFC125": 0.25, "HFC134a": 0.52},
    "R407F": {"HFC32": 0.30, "HFC125": 0.30, "HFC134a": 0.40},
    "R410A": {"HFC32": 0.50, "HFC125": 0.50},
    "R417A": {"HFC125": 0.466, "HFC134a": 0.50, "R600": 0.034},
    "R422D": {"HFC125": 0.651, "HFC134a": 0.315, "R600a": 0.034},
    "R427A": {"HFC32": 0.15, "HFC125": 0.25, "HFC143a": 0.10, "HFC134a": 0.50},
    "R507A": {"HFC125": 0.50, "HFC143a": 0.50},
    "R508B": {"HFC23": 0.46, "C2F6": 0.54},
}
_HYDROCARBONS: Final = ("R290", "R600", "R600a")
# What the trade calls a substance beside the name it has in the tables.
_TRADE: Final = {
    "R22": "HCFC22", "R123": "HCFC123", "R23": "HFC23", "R32": "HFC32", "R125": "HFC125", "R134a": "HFC134a",
    "R143a": "HFC143a", "R152a": "HFC152a", "R227ea": "HFC227ea", "FM200": "HFC227ea", "R245fa": "HFC245fa",
    "R14": "CF4", "R116": "C2F6", "R218": "C3F8", "R744": "CO2",
}  # fmt: skip


class Stock(NamedTuple):
    """What a period did to the stock of one gas [kg]: bottles counted, bought and given away, and what machines hold.

    `given` holds what was sold, returned, recovered and sent away, or destroyed. `filled` is the full charge of
    machines that were put into use (with `bought` holding what came inside them), `retired` that of those taken out.
    """

    opening: float
    bought: float
    closing: float
    given: float = 0.0
    filled: float = 0.0
    retired: float = 0.0


def lost(stock: Stock) -> float:
    """Return what escaped in a period [kg]: opening + bought − closing − given − filled + retired.

    Source: mass balance of US EPA, 40 CFR 98.303 eq. DD-1 (SF₆ in switchgear), and of IPCC 2006 Vol. 3 ch. 7;
    without machines the W = IB + AC − IE − DI of the Chinese guideline for machinery. Raises ValueError for an amount
    below 0 and for a balance that is: something was counted wrongly.
    """
    for name, amount in stock._asdict().items():
        if not amount >= 0:
            raise ValueError(f"{name} is an amount in kg and cannot be {amount:g}")
    came, left = stock.opening + stock.bought + stock.retired, stock.closing + stock.given + stock.filled
    balance = round(came - left, 6)  # to the milligram
    if balance < 0:
        raise ValueError(
            f"the stock grew by {-balance:g} kg that nobody bought: opening {stock.opening:g} + bought "
            f"{stock.bought:g} + retired {stock.retired:g} is less than closing {stock.closing:g} + given "
            f"{stock.given:g} + filled {stock.filled:g}; count again, or enter the purchase that is missing"
        )
    return balance


def gas_factor(species: str, gwp_set: str, unit: str = "kg") -> Factor:
    """Return what one kg (or t) of a gas emits once it has escaped: its potential, as F-gas, CH₄, N₂O or CO₂.

    A blend is the sum of its components: GWP = Σ share · GWP. Names of the trade (R134a, R-410A) are understood.
    Raises ValueError, with the nearest names, for a gas nobody knows or without a potential in the set.
    """
    if unit not in ("kg", "t"):
        raise ValueError(f"a gas that escapes is weighed in kg or t, not in '{unit}'")
    name = name_of(species)
    parts = BLENDS.get(name, {name: 1.0})
    rows = {part: _row(part, gwp_set, species) for part in parts if part not in _HYDROCARBONS}
    value = sum(parts[part] * row.value for part, row in rows.items())
    co2, ch4, n2o = (value if name == gas else 0.0 for gas in ("CO2", "CH4", "N2O"))
    fgas = 0.0 if name in ("CO2", "CH4", "N2O") else value
    provenance = _provenance(name, parts, next(iter(rows.values()), _row("CO2", gwp_set, species)))
    identity = f"ipcc-{gwp_set.lower()}/{name}/gwp100/{provenance.data_year}"
    per_kg = Factor(identity, "kg", (co2, ch4, n2o, fgas, 0.0), 0.0, provenance, gwp=gwp_set)
    return per_kg if unit == "kg" else per_kg.scaled(1000.0, unit)


def name_of(species: str) -> str:
    """Return the name a gas has in the tables, e.g. R-134a → HFC134a; a name nobody knows as it is."""
    plain = re.sub(r"[-\s]", "", species)
    known = {name.casefold(): name for name in (*_species(), *BLENDS, *_HYDROCARBONS)}
    known |= {trade.casefold(): name for trade, name in _TRADE.items()}
    return known.get(plain.casefold(), plain)


def _species() -> set[str]:
    return {name for name, _ in gwp_rows()}


def _row(name: str, gwp_set: str, asked: str) -> GwpRow:
    rows = gwp_rows()
    if (name, gwp_set) in rows:
        return rows[name, gwp_set]
    sets = sorted(s for known, s in rows if known == name)
    if sets:
        raise ValueError(f"{asked} has no potential in {gwp_set}; {name} is known in {', '.join(sets)}")
    names = _species() | set(BLENDS) | set(_TRADE)
    raise ValueError(f"no warming potential is known for '{asked}'{nearest(name, names)}")


def _provenance(name: str, parts: Mapping[str, float], row: GwpRow) -> Provenance:
    source = row.source
    if len(parts) > 1:
        source += f"; {name} = {' + '.join(f'{share:g} {part}' for part, share in parts.items())} by mass (ASHRAE 34)"
    if name in _HYDROCARBONS:
        source = "a hydrocarbon: the tables of the report give no potential, counted as 0"
    return Provenance(row.publisher, row.publication, row.data_year, row.published_on, "co2e", source)
