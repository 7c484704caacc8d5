"""Emissions of processes against the published defaults and examples worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.factors import process
from carbon.factors.process import ByProduct
from carbon.factors.refrigerants import Stock, lost

# IPCC 2006 Guidelines Vol. 3 table 2.1, "formulae … and carbon dioxide contents of common carbonate species" [t/t]
IPCC_TABLE_2_1 = {
    "limestone": 0.43971, "magnesite": 0.52197, "dolomite": 0.47732, "siderite": 0.37987, "rhodochrosite": 0.38286,
    "soda_ash": 0.41492,
}  # fmt: skip


@pytest.mark.parametrize(("name", "published"), IPCC_TABLE_2_1.items())
def test_carbonates_are_what_the_ipcc_publishes(name: str, published: float) -> None:
    # Their soda ash has a molar mass of 106.07 g/mol; Na₂CO₃ weighs 105.99: 44.009/105.988 = 0.41523 (+0.07 %).
    tolerance = 3.1e-4 if name == "soda_ash" else 1.5e-5
    assert process.carbonate_factor(name).total / 1000 == pytest.approx(published, abs=tolerance)


def test_burning_lime_by_hand() -> None:
    # 1,000 t of limestone, 95 % CaCO₃, 98 % calcined: 1000 · 0.43971 · 0.95 · 0.98 = 409.37 t CO₂
    factor = process.carbonate_factor("limestone", purity=0.95, calcined=0.98)
    assert factor.total == pytest.approx(409.37, abs=0.01)
    assert (factor.unit, factor.kwh, factor.gwp) == ("t", 0.0, "")


def test_clinker_by_hand() -> None:
    # CaO 65 %, of which 0.5 % from slag; MgO 1.5 %, of which 0.2 % from slag:
    # (0.65 − 0.005)·44/56 + (0.015 − 0.002)·44/40 = 0.506786 + 0.014300 = 0.521086 t/t.
    # 1,000,000 t clinker + 2,000 t kiln dust + 500 t bypass dust → 522,388.4 t
    factor = process.clinker_factor(0.65, 0.015, cao_other=0.005, mgo_other=0.002)
    assert factor.total / 1000 == pytest.approx(0.521086, abs=5e-7)
    assert (1_000_000 + 2_000 + 500) * factor.total / 1000 == pytest.approx(522_388.4, abs=0.1)
    # IPCC 2006 Vol. 3 eq. 2.4: clinker of 65 % CaO, all from CaCO₃: 0.785 · 0.65 = 0.51 t/t
    assert process.clinker_factor(0.65, 0.0).total / 1000 == pytest.approx(0.51, abs=0.005)
    # raw meal with 0.2 % carbon that is no fuel's: 0.002 · 44/12 = 0.0073333 t/t
    assert process.raw_meal_factor(0.002).total == pytest.approx(7.33333, abs=1e-5)


def test_a_steelworks_by_hand() -> None:
    # 100,000 t limestone · 0.440 + 20,000 t dolomite · 0.471 + 150 t electrodes · 3.663 + 30,000 t bought pig iron ·
    # 0.172 − 900,000 t crude steel · 0.0154 = 44,000 + 9,420 + 549.45 + 5,160 − 13,860 = 45,269.45 t
    fed = {"limestone": 100_000, "dolomite": 20_000, "electrode": 150, "pig_iron": 30_000}
    total = sum(amount * process.steel_factor(name).total for name, amount in fed.items())
    total += 900_000 * process.steel_factor("crude_steel", product=True).total
    assert total / 1000 == pytest.approx(45_269.45, abs=1e-6)
    # An electrode is carbon but for a trace of ash: 44/12 · 0.999 = 3.663
    assert process.steel_factor("electrode").total / 1000 == pytest.approx(0.999 * 44 / 12, abs=1e-4)
    # Pig iron of 4.7 % carbon measured: 0.047 · 44/12 = 0.17233 t/t, and the same away again when it is sold
    own = process.carbon_factor("pig_iron", 0.047, "analysis 7", 2025)
    assert own.total == pytest.approx(172.33, abs=0.005)
    assert process.carbon_factor("pig_iron", 0.047, "analysis 7", 2025, product=True).total == -own.total


def test_shielding_gas_by_hand() -> None:
    # 80 % argon, 20 % CO₂ by volume: 0.2·44/(0.2·44 + 0.8·39.95) = 8.8/40.76 = 0.215898 t/t.
    # Bottles: 1.2 t at New Year, 6.0 bought, 0.9 left, 0.3 returned → 6.0 t used → 1.29539 t CO₂
    factor = process.shielding_gas_factor({"Ar": 0.8, "CO2": 0.2})
    assert factor.total / 1000 == pytest.approx(0.215898, abs=5e-7)
    used = lost(Stock(opening=1200, bought=6000, closing=900, given=300)) / 1000
    assert used * factor.total == pytest.approx(1295.39, abs=0.005)
    assert process.shielding_gas_factor({"CO2": 1.0}).total == pytest.approx(1000)
    assert process.shielding_gas_factor({"Ar": 1.0}).total == 0


def test_etching_by_hand() -> None:
    # IPCC 2006 Vol. 3 table 6.3, semiconductors: C₂F₆ leaves 0.6 of itself (U = 0.4) and 0.2 CF₄; heel 0.1; AR5 C₂F₆
    # 11,100, CF₄ 6,630; half of the gas treated, 90 % of that destroyed, CF₄ likewise:
    # 0.9·0.6·(1 − 0.45)·11,100 = 3,296.70; 0.9·0.2·0.55·6,630 = 656.37; together 3,953.07 kg/kg
    made = (ByProduct("CF4", 0.2, 0.5, 0.9),)
    factor = process.etch_factor("C2F6", "AR5", used=0.4, treated=0.5, destroyed=0.9, byproducts=made)
    assert factor.kg == pytest.approx((0, 0, 0, 3953.07, 0), abs=1e-9)
    # untreated, without by-product: 0.9 · 0.6 · 11,100 = 5,994
    assert process.etch_factor("C2F6", "AR5", used=0.4).kg[3] == pytest.approx(5994)
    assert process.etch_factor("C2F6", "AR6", used=0.4).kg[3] == pytest.approx(0.54 * 12400)
    assert process.etch_factor("C2F6", "AR6", used=0.4).gwp == "AR6"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: process.carbonate_factor("limstone"), "did you mean 'limestone'"),
        (lambda: process.carbonate_factor("limestone", purity=95), "purity is a share between 0 and 1, not 95"),
        (lambda: process.clinker_factor(0.01, 0.0, cao_other=0.02), "cannot exceed all CaO"),
        (lambda: process.clinker_factor(65, 1.5), "CaO is a share between 0 and 1, not 65"),
        (lambda: process.steel_factor("electrodes"), "did you mean 'electrode'"),
        (lambda: process.carbon_factor("coke", float("nan"), "", 2025), "not nan"),
        (lambda: process.shielding_gas_factor({"Ar": 80, "CO2": 20}), "make 100, not 1"),
        (lambda: process.shielding_gas_factor({"argon": 1}), "'argon' is no component"),
        (lambda: process.shielding_gas_factor({}), "make 0, not 1"),
        (lambda: process.etch_factor("CF4", "AR5", used=40), "used is a share"),
        (lambda: process.etch_factor("XF4", "AR5", used=0.4), "no warming potential is known for 'XF4'"),
        (lambda: process.etch_factor("CF4", "AR5", used=0.1, byproducts=(ByProduct("SF6", -1),)), "below 0"),
    ],
)
def test_mistakes_are_told(call, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=says):
        call()


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1e6))
def test_clinker_is_linear_in_amount_and_in_lime(cao: float, part: float, tonnes: float) -> None:
    whole, half = process.clinker_factor(cao, 0.0), process.clinker_factor(cao, 0.0, cao_other=part * cao)
    assert tonnes * half.total == pytest.approx(tonnes * (1 - part) * whole.total, rel=1e-9, abs=1e-6)
    assert half.total <= whole.total
