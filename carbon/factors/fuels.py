"""A fuel's row of facts and what a meter counts → its factor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from carbon.factor import Factor
from config.carriers import about
from config.fuels import Calorific, FuelError, FuelRow, emission
from config.points import GasReference
from pipeline.factors import Provenance

Variant = Literal["exact", "latest", "fallback"]
_VOLUMES: Final = ("m3", "L")
_ENERGIES: Final = ("GJ", "MJ", "kWh")


class Bounds(NamedTuple):
    """A value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def share(self) -> float:
        """Half the interval as a share of the value; of a lopsided one the larger side."""
        return max(self.value - self.low, self.high - self.value) / self.value


def fuel_factor(
    row: FuelRow, *, unit: str, gwp: str, calorific: Calorific | None = None, reference: GasReference | None = None,
    density: float | None = None, net_per_gross: float | None = None,
    bounds: Sequence[Bounds] = (), variant: Variant = "exact",
) -> Factor:  # fmt: skip
    """Return what one `unit` of a fuel (t, kg, m3, L, GJ, MJ, kWh) emits and holds, by a row of facts.

    CO₂ = NCV · carbon · oxidation · 44/12 and (CH₄ · GWP + N₂O · GWP) · NCV, IPCC 2006 Vol. 2 eq. 2.1; biogenic CO₂
    stands apart, its CH₄ and N₂O count. `calorific`: what a register of energy shows. `reference`: the state of the
    meter's m³. `density` [kg/m³] and `net_per_gross` replace the row's; the density of a gas is meant in the state of
    the volume it leads from or to. `bounds`: 95 % intervals of calorific value and emissions per GJ, combined
    U = √ΣU² (IPCC 2006 Vol. 1 eq. 3.1) in place of the row's uncertainty.

    Raises FuelError where unit, calorific value, density or a gas volume's reference state is missing or contradictory.
    """
    _refuse_stateless_gas(row, unit, reference, density)
    known, notes = _with_own_values(row, unit, density, net_per_gross)
    at = reference if row.unit in _VOLUMES else None
    emitted = emission(known, unit, gwp, calorific=calorific, reference=at)
    if emitted.kwh is None:
        raise FuelError(f"{row.set} states no calorific value of {row.fuel}: without one its energy cannot be counted")
    uncertainty = math.hypot(*(b.share for b in bounds)) if bounds else row.uncertainty
    provenance = Provenance(
        row.publisher, row.publication, row.data_year, row.published_on, row.gas,
        "; ".join(filter(None, (row.source, emitted.note, *notes))), variant, uncertainty,
    )  # fmt: skip
    kind = "purchased" if row.basis == "none" else "combustion"
    return Factor(
        f"{row.set}/{row.fuel}/{kind}/{row.data_year}", unit, emitted.kg, emitted.kwh,
        provenance, emitted.biogenic, uncertainty, gwp if emitted.kg[1] or emitted.kg[2] else "",
    )  # fmt: skip


def _refuse_stateless_gas(row: FuelRow, unit: str, meter: GasReference | None, density: float | None) -> None:
    if unit not in _VOLUMES or about(row.fuel).state != "gas":
        return
    if meter is None:
        raise FuelError(f"a volume of {row.fuel} needs its reference temperature and pressure: add reference:")
    if _kind(row.unit) == "mass" and density is None:
        raise FuelError(
            f"{row.set} knows {row.fuel} per {row.unit}: a volume of gas needs its density in the state of the meter, "
            "or a set that knows it per m3"
        )
    if row.unit in _VOLUMES and row.reference is None:
        raise FuelError(
            f"{row.set} does not say at which temperature and pressure its {row.unit} of {row.fuel} is counted"
        )


def _with_own_values(
    row: FuelRow, unit: str, density: float | None, net_per_gross: float | None
) -> tuple[FuelRow, list[str]]:
    """Return the row with what the user states of the fuel, and a note of each value that is used."""
    known, notes = row, []
    if density is not None:
        known = known.model_copy(update={"density_kg_per_m3": _positive(density, "a density")})
        if "energy" not in (kinds := {_kind(unit), _kind(row.unit)}) and len(kinds) == 2:
            notes.append(f"density {density:g} kg/m3 as stated by the user")
    if net_per_gross is not None:
        known = known.model_copy(update={"net_per_gross": _positive(net_per_gross, "a ratio of calorific values")})
        notes.append(f"net/gross calorific value {net_per_gross:g} as stated by the user")
    return known, notes


def _kind(unit: str) -> str:
    return "volume" if unit in _VOLUMES else "energy" if unit in _ENERGIES else "mass"


def _positive(value: float, what: str) -> float:
    if not 0 < value < math.inf:
        raise FuelError(f"{what} is a number above 0, not {value:g}")
    return value
