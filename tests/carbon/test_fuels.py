"""Fuels become factors: worked examples by hand, nothing mixed silently, nothing counted twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.compute import compute
from carbon.entries import MICRO, Activity
from carbon.factor import Factor, FactorSteps
from carbon.factors.fuels import Bounds, fuel_factor
from config.byproducts import Source, counted_twice
from config.fuels import FuelError, FuelRow, fuel_row, shipped_fuels
from config.points import GasReference

NORMAL = GasReference(celsius=0, kpa=101.325)
AT_20 = GasReference(celsius=20, kpa=101.325)


def row(fuel: str, fuel_set: str = "ndrc-24", unit: str = "") -> FuelRow:
    return fuel_row(fuel, fuel_set, unit=unit)


def kg(amount: float, factor: Factor) -> float:
    """What the account makes of an amount: through the ledger's integers."""
    activity = Activity.make(0, 3_600 * 10**9, 0, round(amount * MICRO))
    entries = compute(activity, 1, FactorSteps.constant(factor), lambda _: 1, -1)
    return int(entries.co2e[0]) / MICRO


def test_a_million_cubic_metres_at_20_degrees() -> None:
    # NDRC, 24 guidelines: 389.31 GJ/10⁴ Nm³ · 0.0153 tC/GJ · 0.99 · 44/12 = 2.16219 t/10³ Nm³ (0 °C, 101.325 kPa).
    # 10⁶ m³ metered at 20 °C are 10⁶ · 273.15/293.15 = 931,775.5 Nm³ → 2,014.7 t, not 2,162.2 t.
    at_20 = fuel_factor(row("natural_gas"), unit="m3", gwp="AR5", reference=AT_20)
    assert kg(1e6, at_20) / 1000 == pytest.approx(2014.7, abs=0.05)
    at_0 = fuel_factor(row("natural_gas"), unit="m3", gwp="AR5", reference=NORMAL)
    assert kg(1e6, at_0) / 1000 == pytest.approx(2162.2, abs=0.05)
    # energy by the net calorific value: 0.038931 GJ/Nm³ / 0.0036 = 10.81417 kWh/Nm³
    assert at_0.kwh == pytest.approx(10.81417, abs=5e-6)


def test_a_gas_volume_without_a_state_is_refused() -> None:
    with pytest.raises(FuelError, match="natural_gas needs its reference temperature and pressure"):
        fuel_factor(row("natural_gas"), unit="m3", gwp="AR5")
    stateless = row("natural_gas").model_copy(update={"reference_celsius": None, "reference_kpa": None})
    for meter in (None, AT_20):
        with pytest.raises(FuelError, match="temperature and pressure"):
            fuel_factor(stateless, unit="m3", gwp="AR5", reference=meter)
    with pytest.raises(FuelError, match="needs its density in the state of the meter"):
        fuel_factor(row("natural_gas", "ipcc-2006"), unit="m3", gwp="AR5", reference=AT_20)


def test_gas_by_its_density_in_the_state_of_the_meter() -> None:
    # IPCC 2006: 48.0 GJ/t · 56.1 kg/GJ = 2,692.8 kg CO₂/t; at 0.7174 kg/m³ (0 °C) 1.93181 kg/m³, the state being the
    # density's own. CH₄: 48 GJ/t · 1 kg/TJ /1000 · 28 = 1.344 kg/t; N₂O: 48 · 0.1 /1000 · 265 = 1.272 kg/t
    factor = fuel_factor(row("natural_gas", "ipcc-2006"), unit="m3", gwp="AR5", reference=NORMAL, density=0.7174)
    per_m3 = [0.0007174 * value for value in (2692.8, 1.344, 1.272)]
    assert factor.kg[:3] == pytest.approx(per_m3, rel=1e-12)
    assert "density 0.7174 kg/m3 as stated by the user" in factor.provenance.source


def test_diesel_by_the_litre_by_hand() -> None:
    # NDRC: 43.33 GJ/t · 0.0202 tC/GJ · 0.98 · 44/12 = 3.14512 t CO₂/t; DESNZ 2025 density of mineral diesel 830.565
    # kg/m³ → 3.14512 · 0.830565 = 2.61223 kg/L. 100 L: 261.22 kg.
    per_litre = fuel_factor(row("diesel"), unit="L", gwp="AR5")
    assert per_litre.total == pytest.approx(2.61223, abs=1e-5)
    assert kg(100, per_litre) == pytest.approx(261.22, abs=0.005)
    assert "830.565" in per_litre.provenance.source
    assert per_litre.gwp == ""  # only CO₂ is counted by this set: no potential was applied
    own = fuel_factor(row("diesel"), unit="L", gwp="AR5", density=845.0)
    assert own.total == pytest.approx(3.14512 * 0.845, abs=1e-5)
    with pytest.raises(FuelError, match="a density is a number above 0"):
        fuel_factor(row("diesel"), unit="L", gwp="AR5", density=0.0)


def test_desnz_states_the_litre_itself() -> None:
    # DESNZ conversion factors 2025, fuels, diesel (100 % mineral), litres: 2.62818 + 0.00029 + 0.03308 = 2.66155 kg/L
    factor = fuel_factor(row("diesel", "desnz-2025", "L"), unit="L", gwp="AR5")
    assert factor.total == pytest.approx(2.66155, abs=1e-9)
    assert factor.provenance.publisher == "DESNZ/DEFRA"


def test_net_and_gross_energy_never_mix_silently() -> None:
    # DESNZ 2025 natural gas: 0.20229 kg CO₂/kWh net, 0.18259 gross; ratio 45.745/50.678 = 0.903 (rounded 0.90266)
    net = row("natural_gas", "desnz-2025", "kWh")
    assert net.basis == "net"
    by_net = fuel_factor(net, unit="kWh", gwp="AR5", calorific="net")
    by_gross = fuel_factor(net, unit="kWh", gwp="AR5", calorific="gross")
    assert by_net.kg[0] == pytest.approx(0.20229, abs=1e-9)
    assert by_gross.kg[0] == pytest.approx(0.18259, abs=2e-5)
    assert (by_net.kwh, by_gross.kwh) == pytest.approx((1.0, 0.90266))  # energy is told by the net value always
    with pytest.raises(FuelError, match="net or gross calorific"):
        fuel_factor(net, unit="kWh", gwp="AR5")
    with pytest.raises(FuelError, match="no ratio to gross"):
        fuel_factor(row("natural_gas"), unit="kWh", gwp="AR5", calorific="gross")
    # With the ratio stated: 55.539 kg/GJ net · 0.903 · 0.0036 GJ/kWh = 0.180546 kg/kWh gross
    told = fuel_factor(row("natural_gas"), unit="kWh", gwp="AR5", calorific="gross", net_per_gross=0.903)
    assert told.total == pytest.approx(55.539 * 0.903 * 0.0036, rel=1e-12)
    assert "0.903" in told.provenance.source


def test_biogenic_carbon_stands_apart_but_its_methane_counts() -> None:
    # IPCC 2006 wood: 15.6 GJ/t, 112 kg/GJ → 1,747.2 kg biogenic; CH₄ 30 kg/TJ · 15.6/1000 · 28 = 13.104;
    # N₂O 4 kg/TJ · 15.6/1000 · 265 = 16.536
    factor = fuel_factor(row("wood", "ipcc-2006"), unit="t", gwp="AR5")
    assert factor.biogenic == pytest.approx(1747.2)
    assert factor.kg == pytest.approx((0, 13.104, 16.536, 0, 0))
    assert factor.gwp == "AR5"


def test_uncertainty_comes_from_the_larger_side_of_both_bounds() -> None:
    # IPCC 2006 Vol. 2 tables 1.2 and 1.4, natural gas: NCV 48.0 (46.5 … 50.4) → 2.4/48 = 5.00 %; 56.1 (54.3 … 58.3)
    # → 2.2/56.1 = 3.92 %; together √(0.05² + 0.0392²) = 6.35 %
    both = (Bounds(48.0, 46.5, 50.4), Bounds(56.1, 54.3, 58.3))
    factor = fuel_factor(row("natural_gas", "ipcc-2006"), unit="t", gwp="AR5", bounds=both)
    assert factor.uncertainty == pytest.approx(0.0635, abs=5e-5)
    assert factor.provenance.uncertainty == factor.uncertainty


def test_bought_heat_is_a_row_like_any_other() -> None:
    factor = fuel_factor(row("heat"), unit="kWh", gwp="AR5")  # 110 kg/GJ · 0.0036 = 0.396 kg/kWh
    assert factor.total == pytest.approx(0.396, rel=1e-12)
    assert factor.id == "ndrc-24/heat/purchased/2015"


def test_a_fuel_whose_energy_nobody_states_is_refused() -> None:
    with pytest.raises(FuelError, match="states no calorific value of marine_gas_oil"):
        fuel_factor(row("marine_gas_oil", "desnz-2025", "t"), unit="t", gwp="AR5")


MASS_ROWS = [r for r in shipped_fuels() if r.unit == "t" and r.ncv_gj_per_unit and r.basis == "net"]


@given(st.sampled_from(MASS_ROWS), st.floats(1e-3, 1e6), st.sampled_from(("AR4", "AR5", "AR6")))
def test_tonnes_gigajoules_and_kilowatt_hours_of_a_fuel_agree(fuel: FuelRow, tonnes: float, gwp: str) -> None:
    gj = tonnes * (fuel.ncv_gj_per_unit or 0)
    amounts = {"t": tonnes, "kg": tonnes * 1000, "GJ": gj, "MJ": gj * 1000, "kWh": gj / 0.0036}
    factors = {unit: fuel_factor(fuel, unit=unit, gwp=gwp, calorific="net") for unit in amounts}
    for unit, amount in amounts.items():
        assert amount * factors[unit].total == pytest.approx(tonnes * factors["t"].total, rel=1e-12)
        assert amount * factors[unit].kwh == pytest.approx(gj / 0.0036, rel=1e-12)
        assert 2 * amount * factors[unit].biogenic == pytest.approx(2 * tonnes * factors["t"].biogenic, rel=1e-12)


@given(st.sampled_from(MASS_ROWS), st.sampled_from(("AR4", "AR6")))
def test_another_set_of_potentials_moves_methane_and_nitrous_oxide_only(fuel: FuelRow, gwp: str) -> None:
    one, other = (fuel_factor(fuel, unit="t", gwp=which) for which in ("AR5", gwp))
    assert (one.kg[0], one.kg[4], one.biogenic, one.kwh) == (other.kg[0], other.kg[4], other.biogenic, other.kwh)
    if one.kg[2]:
        assert one.kg[2] != other.kg[2]


def test_a_byproduct_gas_is_not_counted_beside_the_coal_it_came_from() -> None:
    works = [
        Source("coke-oven.coking_coal", "coking_coal"), Source("furnace.coke", "coke"),
        Source("boiler.blast_furnace_gas", "blast_furnace_gas"), Source("boiler.coke_oven_gas", "coke_oven_gas"),
    ]  # fmt: skip
    found = [f"{stream} {sentence}" for stream, sentence in counted_twice(works)]
    assert len(found) == 2
    assert "boiler.blast_furnace_gas" in found[0]
    assert "coke-oven.coking_coal and furnace.coke" in found[0]
    assert "boiler.coke_oven_gas" in found[1]
    assert "furnace.coke" not in found[1]  # coke ovens are fed coal, not coke
    assert all("bought: true" in sentence for sentence in found)


def test_a_bought_gas_or_one_without_its_coal_is_counted() -> None:
    bought = [Source("furnace.coke", "coke"), Source("boiler.converter_gas", "converter_gas", bought=True)]
    assert not list(counted_twice(bought))
    assert not list(counted_twice([Source("boiler.converter_gas", "converter_gas")]))
    assert not list(counted_twice([Source("boiler.bituminous", "bituminous"), Source("f.coke", "coke")]))
