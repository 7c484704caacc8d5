"""Chemistry of a process → factors per tonne fed or made: carbonates, clinker, steel, shielding and etching gas.

All are kilograms of CO₂ (of etching: CO₂e) per unit, carbon that stays in a product negative. The guidelines meant are
the 24 of the NDRC (发改办气候〔2013〕2526号, 〔2014〕2920号, 〔2015〕1722号).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from carbon.factor import Factor
from carbon.factors.refrigerants import gas_factor, name_of
from config.explain import nearest
from pipeline.factors import Provenance

_ATOMS: Final = {"C": 12.011, "O": 15.999, "Ca": 40.078, "Mg": 24.305, "Fe": 55.845, "Mn": 54.938, "Na": 22.990}
_CARBONATES: Final[dict[str, dict[str, int]]] = {
    "limestone": {"Ca": 1, "C": 1, "O": 3},
    "dolomite": {"Ca": 1, "Mg": 1, "C": 2, "O": 6},
    "magnesite": {"Mg": 1, "C": 1, "O": 3},
    "siderite": {"Fe": 1, "C": 1, "O": 3},
    "rhodochrosite": {"Mn": 1, "C": 1, "O": 3},
    "soda_ash": {"Na": 2, "C": 1, "O": 3},
}
# Defaults of the guideline for iron and steel works [t CO₂/t]; of products, what they keep is booked as negative.
_STEEL: Final = {
    "limestone": 0.440, "dolomite": 0.471, "electrode": 3.663, "pig_iron": 0.172, "direct_reduced_iron": 0.073,
    "ferro_chrome": 0.275, "crude_steel": 0.0154,
}  # fmt: skip
_SHIELDING: Final = {"CO2": 44.0, "Ar": 39.95, "He": 4.003, "O2": 32.0, "N2": 28.01, "H2": 2.016}  # [g/mol]
_CHEMISTRY: Final = Provenance(
    "IUPAC", "standard atomic weights, abridged", 2021, "2022", "co2", "stoichiometry of the decomposition"
)


def carbonate_factor(name: str, *, purity: float = 1.0, calcined: float = 1.0) -> Factor:
    """Return what a tonne of a carbonate gives off: n·M(CO₂)/M · purity · calcined, n carbon atoms in its formula.

    CaCO₃ 0.4397, CaMg(CO₃)₂ 0.4773 t/t; IPCC 2006 Vol. 3 table 2.1. `purity` and `calcined` are shares of mass.
    Raises ValueError for a carbonate nobody knows and for shares outside 0 … 1.
    """
    if name not in _CARBONATES:
        raise ValueError(f"no formula is known of the carbonate '{name}'{nearest(name, _CARBONATES)}")
    formula = _CARBONATES[name]
    mass = sum(count * _ATOMS[atom] for atom, count in formula.items())
    carbon_dioxide = formula["C"] * (_ATOMS["C"] + 2 * _ATOMS["O"])
    share = _share(purity, "purity") * _share(calcined, "calcined")
    return _per_tonne(f"stoichiometry/{name}/process/2021", carbon_dioxide / mass * share, _CHEMISTRY)


def clinker_factor(cao: float, mgo: float, *, cao_other: float = 0.0, mgo_other: float = 0.0) -> Factor:
    """Return what a tonne of clinker, kiln dust or bypass dust stands for: (CaO − CaOₙ)·44/56 + (MgO − MgOₙ)·44/40.

    Shares of mass in the clinker; `…_other` is what did not come from carbonates (slag, ash). E = (Q_clinker +
    Q_kiln dust + Q_bypass dust) · factor. Source: guideline for cement producers. Raises ValueError for shares
    outside 0 … 1, or where more than all of an oxide came from elsewhere.
    """
    for name, whole, other in (("CaO", cao, cao_other), ("MgO", mgo, mgo_other)):
        if _share(other, f"{name} from elsewhere") > _share(whole, name):
            raise ValueError(f"{name} from elsewhere ({other:g}) cannot exceed all {name} ({whole:g})")
    per_tonne = (cao - cao_other) * 44 / 56 + (mgo - mgo_other) * 44 / 40
    about = f"CaO {cao:g}, of it {cao_other:g} not from carbonate; MgO {mgo:g}, of it {mgo_other:g}"
    return _per_tonne("ndrc-24/clinker/process/2013", per_tonne, _guideline("cement producers", 2013, about))


def raw_meal_factor(carbon: float) -> Factor:
    """Return what a tonne of raw meal gives off by its carbon that is no fuel's: FR₀·44/12, `carbon` a share of mass.

    Source: guideline for cement producers (0.1 … 0.3 % where nobody measured). Raises ValueError outside 0 … 1.
    """
    source = _guideline("cement producers", 2013, f"carbon {carbon:g} of the raw meal")
    return _per_tonne("ndrc-24/raw_meal/process/2013", _share(carbon, "carbon") * 44 / 12, source)


def steel_factor(material: str, *, product: bool = False) -> Factor:
    """Return the guideline's default of a flux, electrode or carbon-bearing input per tonne; negative for a product.

    E_process = Σ P_flux·EF + P_electrode·3.663 + Σ P_input·EF − Σ P_product·EF: carbon that leaves in steel or pig
    iron was not emitted. Source: guideline for iron and steel works. Raises ValueError for an unknown material.
    """
    if material not in _STEEL:
        raise ValueError(f"the guideline for steel has no default of '{material}'{nearest(material, _STEEL)}")
    source = _guideline("iron and steel works", 2013, f"default of {material}")
    kind = "retained" if product else "process"
    return _per_tonne(f"ndrc-24/{material}/{kind}/2013", _STEEL[material] * (-1 if product else 1), source)


def carbon_factor(name: str, carbon: float, document: str, year: int, *, product: bool = False) -> Factor:
    """Return what a tonne of a material of measured carbon content [t/t] stands for: C·44/12, negative for a product.

    The carbon balance of the guidelines. Raises ValueError for a content outside 0 … 1.
    """
    per_tonne = _share(carbon, "carbon") * 44 / 12 * (-1 if product else 1)
    source = Provenance("own analysis", document, year, "", "co2", f"carbon content {carbon:g} t/t · 44/12")
    return _per_tonne(f"own/{name}/{'retained' if product else 'process'}/{year}", per_tonne, source)


def shielding_gas_factor(composition: Mapping[str, float]) -> Factor:
    """Return what a tonne of welding gas gives off: P(CO₂)·44/Σ P·M, P shares of volume, M molar masses [g/mol].

    E = Σ W·factor, W = opening + bought − closing − sold [t]. Source: guideline for machinery and equipment makers.
    Raises ValueError for an unknown gas and for shares that are not the whole.
    """
    unknown = [gas for gas in composition if gas not in _SHIELDING]
    if unknown:
        raise ValueError(f"'{unknown[0]}' is no component of shielding gas{nearest(unknown[0], _SHIELDING)}")
    if min(composition.values(), default=0) < 0 or abs(sum(composition.values()) - 1) > 0.001:
        raise ValueError(f"the shares of volume make {sum(composition.values()):g}, not 1")
    mass = sum(share * _SHIELDING[gas] for gas, share in composition.items())
    mixture = " + ".join(f"{share:g} {gas}" for gas, share in composition.items())
    source = _guideline("machinery and equipment makers", 2015, f"{mixture} by volume")
    per_tonne = composition.get("CO2", 0.0) * _SHIELDING["CO2"] / mass
    return _per_tonne(f"ndrc-24/shielding_gas[{mixture}]/process/2015", per_tonne, source)


class ByProduct(NamedTuple):
    """A gas made of the etching gas: rate [kg per kg fed], and the shares that reach treatment and are destroyed."""

    gas: str
    rate: float
    treated: float = 0.0
    destroyed: float = 0.0


def etch_factor(
    gas: str, gwp_set: str, *, used: float, heel: float = 0.10, treated: float = 0.0, destroyed: float = 0.0,
    byproducts: tuple[ByProduct, ...] = (),
) -> Factor:  # fmt: skip
    """Return what a kg of a gas fed to etching or vapour deposition emits, with the gases it turns into.

    (1 − h)·(1 − U)·(1 − a·d)·GWP + Σ (1 − h)·B·(1 − a·d)·GWP: h the heel that stays in the bottle, U the share used
    up, a the share treated, d the share of that destroyed. Source: guideline for makers of electronic equipment; IPCC
    2006 Vol. 3 eqs. 6.2 … 6.6. Raises ValueError for an unknown gas and for shares outside 0 … 1.
    """
    fed = 1 - _share(heel, "heel")
    escaped = fed * (1 - _share(used, "used")) * (1 - _share(treated, "treated") * _share(destroyed, "destroyed"))
    parts = [gas_factor(gas, gwp_set).scaled(escaped, "kg")]
    for made in byproducts:
        if made.rate < 0:
            raise ValueError(f"the rate of the by-product {made.gas} cannot be below 0")
        left = 1 - _share(made.treated, "treated") * _share(made.destroyed, "destroyed")
        parts.append(gas_factor(made.gas, gwp_set).scaled(fed * made.rate * left, "kg"))
    co2, ch4, n2o, fgas, mixed = (sum(column) for column in zip(*(part.kg for part in parts), strict=True))
    said = f"h {heel:g}, U {used:g}, a {treated:g}, d {destroyed:g}" + "".join(f"; {tuple(b)}" for b in byproducts)
    source = _guideline("makers of electronic equipment", 2015, said, gas="co2e")
    identity = f"ndrc-24/{name_of(gas)}/etching/2015"
    return Factor(identity, "kg", (co2, ch4, n2o, fgas, mixed), 0.0, source, gwp=gwp_set)


def _per_tonne(identity: str, tonnes: float, provenance: Provenance) -> Factor:
    return Factor(identity, "t", (1000 * tonnes, 0.0, 0.0, 0.0, 0.0), 0.0, provenance)


def _guideline(trade: str, year: int, about: str, gas: str = "co2") -> Provenance:
    publication = f"Greenhouse-gas accounting guidelines of 24 industries, {trade}"
    source = f"{about}; by public transcriptions of the guideline"
    return Provenance("国家发展改革委 (NDRC)", publication, year, str(year), gas, source)


def _share(value: float, what: str) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{what} is a share between 0 and 1, not {value:g}")
    return value
