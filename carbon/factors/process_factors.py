"""A configured process → the factor of one tonne of what it feeds or makes."""

from __future__ import annotations

from carbon.factor import Factor
from carbon.factors.process import (
    ByProduct,
    carbon_factor,
    carbonate_factor,
    clinker_factor,
    etch_factor,
    raw_meal_factor,
    shielding_gas_factor,
    steel_factor,
)
from config.processes import Carbon, Carbonate, Clinker, Etching, OwnFactor, Process, RawMeal, ShieldingGas, Steel
from pipeline.factors import Provenance


def process_factor(name: str, process: Process, gwp: str) -> Factor:
    """Return what a tonne stands for [kg CO₂e/t]; raises ValueError for a gas without a warming potential."""
    match process:
        case Carbonate():
            return carbonate_factor(process.kind, purity=process.purity, calcined=process.calcined)
        case Clinker():
            return clinker_factor(
                process.cao, process.mgo, cao_other=process.cao_other, mgo_other=process.mgo_other
            )  # fmt: skip
        case RawMeal():
            return raw_meal_factor(process.carbon)
        case Steel():
            return steel_factor(process.material, product=process.product)
        case Carbon():
            return carbon_factor(name, process.carbon, process.document, process.year, product=process.product)
        case ShieldingGas():
            return shielding_gas_factor({str(gas): share for gas, share in process.composition.items()})
        case Etching():
            made = tuple(ByProduct(b.gas, b.rate, b.treated, b.destroyed) for b in process.byproducts)
            return etch_factor(
                process.gas, gwp, used=process.used, heel=process.heel, treated=process.treated,
                destroyed=process.destroyed, byproducts=made,
            ).scaled(1000.0, "t")  # fmt: skip
        case OwnFactor():
            return _own(name, process)


def _own(name: str, process: OwnFactor) -> Factor:
    said = Provenance("own factor", name, process.year, "", process.gas, process.source)
    co2, mixed = (process.kg_per_t, 0.0) if process.gas == "co2" else (0.0, process.kg_per_t)
    return Factor(f"own/{name}/process/{process.year}", "t", (co2, 0.0, 0.0, 0.0, mixed), 0.0, said)
