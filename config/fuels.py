"""Fuels and bought energies → what one unit of them emits by gas and holds in energy, by one publisher's set.

CO₂ = calorific value · carbon · oxidation · 44/12; CH₄ and N₂O times their potentials; biogenic CO₂ stands apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import field_validator, model_validator

from config.carriers import about
from config.errors import GatewayError
from config.explain import nearest
from config.gwp import SETS, gwp
from config.points import GasReference
from config.sourced import NotNegative, Positive, Sourced, Text, columns, shipped_rows, user_rows

Unit = Literal["t", "kg", "m3", "L", "GJ", "MJ", "kWh"]
Calorific = Literal["net", "gross"]
KWH_PER_GJ: Final = 1 / 0.0036
EVERY_SET: Final = "any"  # rows of accounting's rules, e.g. that own solar power emits nothing
_CARBON_TO_CO2: Final = 44 / 12
# Of one dimension, how many base units (t, m3, GJ) one unit is.
_SIZE: Final[dict[str, tuple[str, float]]] = {
    "t": ("mass", 1.0), "kg": ("mass", 1e-3), "m3": ("volume", 1.0), "L": ("volume", 1e-3),
    "GJ": ("energy", 1.0), "MJ": ("energy", 1e-3), "kWh": ("energy", 0.0036),
}  # fmt: skip
_ZERO_CELSIUS_K: Final = 273.15
# What no fuel exceeds; a value above it is in another unit. Blast-furnace gas emits most per GJ, 260 kg;
# hydrogen holds most per tonne, 142 GJ, butane per m³ of a gas, 0.13 GJ, fuel oil per m³ of a liquid, 40 GJ.
_MOST_CO2_KG_PER_GJ: Final = 700.0
_MOST_GJ: Final = {"mass": 150.0, "gas": 0.2, "volume": 60.0, "energy": 1.0}


class FuelError(GatewayError):
    """A fuel has no factor, or none for what its meter shows."""


class FuelRow(Sourced):
    """What a publisher says of one fuel per unit: its energy and carbon, or its emissions by gas.

    `basis` is what calorific value and factors per GJ refer to. A gas volume carries the state it is counted in.
    """

    set: Text
    fuel: Text
    name_en: str = ""
    name_zh: str = ""
    unit: Unit
    basis: Calorific | Literal["none"]  # none: not burnt, e.g. heat
    gj_per_unit: Positive | None = None  # calorific value on `basis`
    net_per_gross: Positive | None = None  # ratio of the calorific values
    carbon_t_per_gj: NotNegative | None = None
    oxidation: NotNegative = 1.0
    co2_kg_per_gj: NotNegative | None = None
    ch4_kg_per_tj: NotNegative = 0.0
    n2o_kg_per_tj: NotNegative = 0.0
    # Emissions as stated per unit [kg CO₂e]; `co2e` is the whole where nobody says its parts.
    co2: NotNegative | None = None
    ch4: NotNegative = 0.0
    n2o: NotNegative = 0.0
    co2e: NotNegative | None = None
    gwp_basis: Literal["", "AR4", "AR5", "AR6"] = ""  # potentials inside stated CH₄ and N₂O
    biogenic: bool = False
    density_kg_per_m3: Positive | None = None
    reference_celsius: float | None = None
    reference_kpa: Positive | None = None
    uncertainty: Positive | None = None  # half the 95 % interval, as a share

    @field_validator("biogenic", mode="before")
    @classmethod
    def _flag(cls, value: object) -> object:
        return {"yes": True, "no": False}.get(str(value), value)

    @model_validator(mode="after")
    def _whole(self) -> FuelRow:
        per_gj = self.carbon_t_per_gj is not None or self.co2_kg_per_gj is not None
        said = sum((per_gj, self.co2 is not None, self.co2e is not None))
        if said != 1 or (self.carbon_t_per_gj is not None and self.co2_kg_per_gj is not None):
            raise ValueError("say what it emits in one way: carbon_t_per_gj, co2_kg_per_gj, co2 per unit or co2e")
        if (per_gj or self.ch4_kg_per_tj or self.n2o_kg_per_tj) and self.gj is None:
            raise ValueError("emissions per GJ of a mass or volume need gj_per_unit, its calorific value")
        if (self.ch4 or self.n2o) and not self.gwp_basis:
            raise ValueError("stated ch4 and n2o need gwp_basis, the report their potentials come from")
        if self.oxidation > 1:
            raise ValueError("oxidation is a share; it cannot be above 1")
        if (self.reference_celsius is None) != (self.reference_kpa is None):
            raise ValueError("reference_celsius and reference_kpa go together")
        return self

    @model_validator(mode="after")
    def _plausible(self) -> FuelRow:
        (dimension, size), gj = _SIZE[self.unit], self.gj
        if not gj:
            return self
        dimension = "gas" if dimension == "volume" and about(self.fuel).state == "gas" else dimension
        if gj > _MOST_GJ[dimension] * size * (1 + 1e-9):
            raise ValueError(f"{gj:g} GJ/{self.unit} is more than any fuel holds; is it in another unit?")
        if _co2(self) > _MOST_CO2_KG_PER_GJ * gj:
            raise ValueError(f"{_co2(self) / gj:g} kg CO₂/GJ is more than any fuel emits; is it in another unit?")
        return self

    @property
    def gj(self) -> float | None:
        """Calorific value of one unit on `basis` [GJ]; None where nobody states it."""
        dimension, size = _SIZE[self.unit]
        return size if dimension == "energy" else self.gj_per_unit

    @property
    def ncv_gj_per_unit(self) -> float | None:
        """Net calorific value of one unit [GJ]; of a gross one only by the stated ratio."""
        if self.gj is None or self.basis != "gross":
            return self.gj
        return self.gj * self.net_per_gross if self.net_per_gross else None

    @property
    def kwh_per_unit(self) -> float | None:
        """Energy of one unit by its net calorific value [kWh]."""
        return None if self.ncv_gj_per_unit is None else self.ncv_gj_per_unit * KWH_PER_GJ

    @property
    def reference(self) -> GasReference | None:
        if self.reference_celsius is None or self.reference_kpa is None:
            return None
        return GasReference(celsius=self.reference_celsius, kpa=self.reference_kpa)

    @property
    def gas(self) -> str:
        """What the factor counts: co2 alone, or co2e."""
        return "co2e" if self.co2e is not None or self.ch4_kg_per_tj or self.n2o_kg_per_tj or self.ch4 else "co2"


def _co2(row: FuelRow) -> float:
    """Return CO₂ of any origin [kg per unit]; 0 where only a sum of gases is stated."""
    if row.co2 is not None:
        return row.co2
    if row.carbon_t_per_gj is not None:
        return (row.gj or 0.0) * row.carbon_t_per_gj * row.oxidation * _CARBON_TO_CO2 * 1000
    return (row.gj or 0.0) * (row.co2_kg_per_gj or 0.0)


def methane(gwp_set: str) -> float:
    """Return the potential of methane from combustion: the fossil one would count its CO₂ a second time."""
    return gwp("CH4_nonfossil" if gwp_set == "AR6" else "CH4", gwp_set)


def kg_by_gas(row: FuelRow, gwp_set: str) -> tuple[float, float, float, float, float]:
    """Return CO₂, CH₄, N₂O, F-gases and unsplit CO₂e [kg CO₂e per unit] without biogenic CO₂.

    Stated CH₄ and N₂O are turned from the potentials of their publisher to those of `gwp_set`.
    """
    if gwp_set not in SETS:
        raise FuelError(f"no potentials are known as '{gwp_set}'{nearest(gwp_set, SETS)}")
    methane_now, nitrous_now, gj = methane(gwp_set), gwp("N2O", gwp_set), row.gj or 0.0
    ch4, n2o = gj * row.ch4_kg_per_tj / 1000 * methane_now, gj * row.n2o_kg_per_tj / 1000 * nitrous_now
    if row.gwp_basis:
        ch4 += row.ch4 * methane_now / methane(row.gwp_basis)
        n2o += row.n2o * nitrous_now / gwp("N2O", row.gwp_basis)
    return (0.0 if row.biogenic else _co2(row), ch4, n2o, 0.0, row.co2e or 0.0)


def biogenic_kg(row: FuelRow) -> float:
    """Return biogenic CO₂ [kg per unit]."""
    return _co2(row) if row.biogenic else 0.0


class Emission(NamedTuple):
    """What one unit of a meter emits and holds."""

    kg: tuple[float, float, float, float, float]  # in the order of kg_by_gas
    biogenic: float
    kwh: float | None  # by the net calorific value
    note: str = ""  # what was needed to get from the meter's unit to the row's

    @property
    def total(self) -> float:
        """All gases together [kg CO₂e per unit]."""
        return sum(self.kg)


def emission(
    row: FuelRow, unit: str, gwp_set: str, *, calorific: Calorific | None = None, reference: GasReference | None = None
) -> Emission:
    """Return what one `unit` of a meter emits; `calorific` of a register of energy, `reference` of a gas volume.

    Raises FuelError where a unit, a calorific value, a density or a reference state is missing.
    """
    per, note = units_per(row, unit, calorific=calorific, reference=reference)
    co2, ch4, n2o, fgas, mixed = (kg * per for kg in kg_by_gas(row, gwp_set))
    kwh = None if row.kwh_per_unit is None else row.kwh_per_unit * per
    return Emission((co2, ch4, n2o, fgas, mixed), biogenic_kg(row) * per, kwh, note)


def units_per(
    row: FuelRow, unit: str, *, calorific: Calorific | None = None, reference: GasReference | None = None
) -> tuple[float, str]:
    """Return how many of the row's units one `unit` is, and what that rests on beyond the row ("" for nothing)."""
    if unit not in _SIZE:
        raise FuelError(f"{row.fuel} is not counted in '{unit}'{nearest(unit, _SIZE)}")
    (of, size), (into, row_size) = _SIZE[unit], _SIZE[row.unit]
    if of == "energy":
        return size / _energy(row, calorific), ""
    if of == into == "volume":
        return size / row_size * _to_reference(row, reference), ""
    if of == into:
        return size / row_size, ""
    if into == "energy":
        message = (
            f"{row.set} knows {row.fuel} by its energy only; it cannot be counted in {unit} without a calorific value"
        )
        raise FuelError(message + ": write a row of your own under factors.tables")
    if reference is not None:
        raise FuelError(
            f"{row.set} knows {row.fuel} per {row.unit}: a volume of gas needs its density in the state of the meter, "
            "or a set that knows it per m3"
        )
    return _by_density(row, unit, size / row_size)


def _energy(row: FuelRow, calorific: Calorific | None) -> float:
    """Return the energy of one unit of the row [GJ] as the meter counts it."""
    if row.gj is None:
        raise FuelError(f"{row.set} states no calorific value of {row.fuel}; count it by mass or volume")
    if row.basis in ("none", calorific):
        return row.gj
    if calorific is None:
        raise FuelError(f"an energy of {row.fuel} is net or gross calorific: add calorific: net or calorific: gross")
    if row.net_per_gross is None:
        message = f"{row.set} gives {row.fuel} by its {row.basis} calorific value and no ratio to {calorific}"
        raise FuelError(f"{message}; count it by mass or volume, or choose a set that has it")
    return row.gj * (row.net_per_gross if calorific == "net" else 1 / row.net_per_gross)


def _to_reference(row: FuelRow, meter: GasReference | None) -> float:
    """Return m³ in the row's state per m³ in the meter's: (T_row/T_meter) · (p_meter/p_row), ideal gas."""
    factor = row.reference
    if factor is None and meter is None:
        return 1.0
    if factor is None:
        raise FuelError(f"{row.set} does not say at which temperature and pressure its m³ of {row.fuel} is counted")
    if meter is None:
        raise FuelError(f"a volume of {row.fuel} needs its reference temperature and pressure: add reference:")
    temperature = (factor.celsius + _ZERO_CELSIUS_K) / (meter.celsius + _ZERO_CELSIUS_K)
    return temperature * (meter.kpa / factor.kpa)


def _by_density(row: FuelRow, unit: str, ratio: float) -> tuple[float, str]:
    known = row.density_kg_per_m3
    note = ""
    if known is None:
        typical = densities().get(row.fuel)
        if typical is None:
            raise FuelError(
                f"{row.set} knows {row.fuel} per {row.unit} and its density is not known: count it in {row.unit}, or "
                "write a row of your own under factors.tables"
            )
        known = typical.density_kg_per_m3
        note = f"density {known:g} kg/m3, {typical.publisher}, {typical.publication}"
    tonnes_per_m3 = known / 1000
    return ratio * (tonnes_per_m3 if _SIZE[unit][0] == "volume" else 1 / tonnes_per_m3), note


class DensityRow(Sourced):
    """The typical density of a liquid or solid fuel [kg/m³], for sets that do not state one."""

    fuel: Text
    density_kg_per_m3: Positive


@cache
def densities() -> dict[str, DensityRow]:
    """Return the typical densities by fuel."""
    return {row.fuel: row for row in shipped_rows(DensityRow, "densities")}


@cache
def shipped_fuels() -> tuple[FuelRow, ...]:
    """Return all fuel rows that come with tanflow."""
    return shipped_rows(FuelRow, "fuels-")


def fuels(extra_tables: Sequence[Path] = ()) -> tuple[FuelRow, ...]:
    """Return all fuel rows; a user's row replaces the shipped ones of its set, fuel and unit."""
    own = [row for table in extra_tables if "fuel" in columns(table) for row in user_rows(FuelRow, table)]
    replaced = {(row.set, row.fuel, row.unit) for row in own}
    return (*own, *(row for row in shipped_fuels() if (row.set, row.fuel, row.unit) not in replaced))


def fuel_sets(extra_tables: Sequence[Path] = ()) -> tuple[str, ...]:
    """Return the names of all sets, without the rules that hold in every one."""
    return tuple(sorted({row.set for row in fuels(extra_tables)} - {EVERY_SET}))


def fuel_row(
    fuel: str, fuel_set: str, extra_tables: Sequence[Path] = (), *, unit: str = "", calorific: Calorific | None = None
) -> FuelRow:
    """Return a set's row of a fuel: the one in the unit asked for, else of its dimension, else the set's first.

    Raises FuelError that names the sets or fuels there are.
    """
    rows = fuels(extra_tables)
    found = [row for row in rows if row.fuel == fuel and row.set in (fuel_set, EVERY_SET)]
    if not found:
        raise FuelError(_missing(fuel, fuel_set, rows))

    def far(row: FuelRow) -> tuple[bool, bool, bool]:
        other = _SIZE.get(unit, ("",))[0] != _SIZE[row.unit][0]
        return other, calorific is not None and row.basis not in (calorific, "none"), row.unit != unit

    return min(found, key=far) if unit else found[0]


def _missing(fuel: str, fuel_set: str, rows: Sequence[FuelRow]) -> str:
    sets = sorted({row.set for row in rows} - {EVERY_SET})
    if fuel_set not in sets:
        return f"there is no set of fuel factors '{fuel_set}'{nearest(fuel_set, sets)}"
    having = sorted({row.set for row in rows if row.fuel == fuel})
    if having:
        other = f"write accounting: {{other_fuels: {{{fuel}: {having[0]}}}}}"
        return f"set {fuel_set} has no factor of {fuel}; to take it from {' or '.join(having)} {other}"
    near = nearest(fuel, {row.fuel for row in rows if row.set == fuel_set})
    return f"no set has a factor of {fuel}{near}; write a row of your own under factors.tables"
