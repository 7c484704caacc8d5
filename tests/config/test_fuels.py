"""Fuel factors against their publishers' own products, the traps of their tables, and units that must not be mixed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.carriers import CARRIERS, about
from config.coefficients import KGCE_GJ, standard_coal, td_losses
from config.errors import ConfigError
from config.fuels import (
    EVERY_SET,
    FuelError,
    FuelRow,
    biogenic_kg,
    densities,
    emission,
    fuel_row,
    fuel_sets,
    fuels,
    kg_by_gas,
    shipped_fuels,
    units_per,
)  # fmt: skip
from config.gwp import gwp, gwp_rows
from config.points import Carrier, GasReference
from config.sourced import user_rows

OWN = {
    "set": "lab", "fuel": "natural_gas", "unit": "m3", "basis": "net", "gj_per_unit": 0.036, "co2_kg_per_gj": 56.1,
    "reference_celsius": 20, "reference_kpa": 101.325, "data_year": 2025, "publisher": "our laboratory",
    "publication": "report 12", "published_on": "2025-03", "source": "gas chromatograph", "confidence": "high",
}  # fmt: skip


def row(**known: object) -> FuelRow:
    return FuelRow.model_validate(OWN | known)


# ── what the tables say ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fuel", "fuel_set", "tonnes"),
    [
        # 38.931 GJ/10³ Nm³ · 0.0153 tC/GJ · 0.99 · 44/12, the guidelines' own product [t/10³ Nm³]
        ("natural_gas", "ndrc-24", 2.16219),
        ("coke_oven_gas", "ndrc-24", 0.858282),
        ("blast_furnace_gas", "ndrc-24", 0.968648),
        ("blast_furnace_gas", "cn-ets", 0.848113),  # another batch: 33.00 instead of 37.69 GJ/10⁴ Nm³
        ("converter_gas", "cn-ets", 1.5124),
        # per t: 23.204 · 0.02618 · 0.93 · 44/12; 0.02308 tC/GJ in one public file is a slip of the pen
        ("bituminous", "ndrc-24", 2.07151),
        ("anthracite", "ndrc-24", 2.32277),
        ("diesel", "ndrc-24", 3.14512),
        ("diesel", "ipcc-2006", 3.1863),
        ("wood", "ipcc-2006", 1.7472),
    ],
)  # fmt: skip
def test_carbon_is_the_product_of_its_columns(fuel: str, fuel_set: str, tonnes: float) -> None:
    found = fuel_row(fuel, fuel_set)
    per_unit = kg_by_gas(found, "AR5")[0] + biogenic_kg(found)
    assert per_unit == pytest.approx(tonnes * (1 if found.unit == "m3" else 1000), rel=5e-6)


def test_bituminous_coal_has_its_carbon() -> None:
    assert {fuel_row("bituminous", s).carbon_t_per_gj for s in ("ndrc-24", "cn-ets")} == {0.02618}


def test_lng_is_left_out_where_its_tables_contradict_each_other() -> None:
    """41.868 · 0.0153 gives 2.33 t/t and 51.498 · 0.0172 gives 3.18 t/t for what is nearly the same methane."""
    with pytest.raises(
        FuelError, match=r"set ndrc-24 has no factor of lng; to take it from desnz-2025 .*\{lng: desnz-2025\}"
    ):
        fuel_row("lng", "ndrc-24")
    assert fuel_row("lng", "desnz-2025", unit="t").co2 == 2598.26


def test_stated_parts_add_up_to_the_stated_whole() -> None:
    """UK 2025 workbook, diesel (100% mineral): 2.66155 kg CO₂e/L = 2.62818 + 0.00029 + 0.03308."""
    assert emission(fuel_row("diesel", "desnz-2025", unit="L"), "L", "AR5").total == pytest.approx(2.66155, abs=1e-9)


def test_other_potentials_change_methane_and_nitrous_oxide_only() -> None:
    """0.03308 kg CO₂e/L of N₂O at 265 are 0.03308 · 273/265 at AR6; burnt methane goes by 27.0, not by 29.8."""
    diesel = fuel_row("diesel", "desnz-2025", unit="L")
    co2, ch4, n2o, _, _ = kg_by_gas(diesel, "AR6")
    assert (co2, ch4, n2o) == pytest.approx((2.62818, 0.00029 * 27 / 28, 0.03308 * 273 / 265))
    with pytest.raises(FuelError, match="did you mean 'AR6'"):
        kg_by_gas(diesel, "AR66")


def test_ipcc_counts_all_three_gases() -> None:
    """Diesel, per t: 43 GJ · 3 kg CH₄/TJ · 28 = 3.612 and 43 · 0.6 · 265 / 1000 = 6.837 kg CO₂e."""
    assert kg_by_gas(fuel_row("diesel", "ipcc-2006"), "AR5")[1:3] == pytest.approx((3.612, 6.837))


def test_biogenic_carbon_stands_apart_and_its_methane_counts() -> None:
    wood = fuel_row("wood", "ipcc-2006")
    assert kg_by_gas(wood, "AR5") == pytest.approx((0, 15.6 * 30 / 1000 * 28, 15.6 * 4 / 1000 * 265, 0, 0))
    assert biogenic_kg(wood) == pytest.approx(1747.2)


def test_bought_heat_and_own_generation() -> None:
    """0.11 t/GJ of heat are 0.396 kg/kWh; own solar power emits nothing in every set."""
    assert emission(fuel_row("heat", "ndrc-24"), "kWh", "AR5").total == pytest.approx(0.396)
    assert {emission(fuel_row("solar", s), "kWh", "AR5").total for s in fuel_sets()} == {0.0}


def test_every_row_is_sourced_licensed_and_plausible() -> None:
    for found in shipped_fuels():
        assert found.licence, found
        assert "memory" not in found.source + found.confidence
        assert found.kwh_per_unit is None or found.kwh_per_unit > 0
        if found.gj and found.basis != "none" and found.set != EVERY_SET:
            per_gj = (sum(kg_by_gas(found, "AR5")) + biogenic_kg(found)) / found.gj
            assert 35 < per_gj < 300, found  # kg/GJ, from coke-oven gas to blast-furnace gas


def test_sets_hold_each_fuel_once_per_unit() -> None:
    keys = [(r.set, r.fuel, r.unit, r.basis) for r in shipped_fuels()]
    assert len(keys) == len(set(keys))
    assert fuel_sets() == ("cn-ets", "desnz-2025", "ipcc-2006", "ndrc-24", "nga-2025")


# ── what a meter shows ────────────────────────────────────────────────────────────────────────────


def test_a_warm_volume_is_brought_to_the_state_of_the_factor() -> None:
    """10⁶ m³ at 20 °C · 273.15/293.15 · 2.16219 kg/m³ = 2,014.7 t, not 2,162.2 t."""
    gas = fuel_row("natural_gas", "ndrc-24", unit="m3")
    assert emission(gas, "m3", "AR5", reference=GasReference(celsius=20)).total * 1000 == pytest.approx(
        2014.67, abs=0.01
    )


def test_gross_and_net_are_never_mixed_silently() -> None:
    """Natural gas: 45.745/50.678 GJ/t = 0.9027, so a gross kWh holds 0.9027 net kWh and emits as much less."""
    gas = fuel_row("natural_gas", "desnz-2025", unit="kWh", calorific="gross")
    assert emission(gas, "kWh", "AR5", calorific="gross").total == pytest.approx(0.18296)
    assert emission(gas, "kWh", "AR5", calorific="gross").kwh == pytest.approx(0.9027, abs=1e-4)
    assert emission(gas, "kWh", "AR5", calorific="net").total == pytest.approx(0.2027, abs=5e-5)
    with pytest.raises(FuelError, match="add calorific: net or calorific: gross"):
        emission(gas, "kWh", "AR5")
    with pytest.raises(FuelError, match="no ratio to gross"):
        emission(fuel_row("natural_gas", "ndrc-24"), "kWh", "AR5", calorific="gross")


def test_litres_of_a_fuel_known_by_mass_go_by_a_disclosed_density() -> None:
    """3.14512 t/t · 830.565 kg/m³ = 2.6122 kg/L."""
    said = emission(fuel_row("diesel", "ndrc-24", unit="L"), "L", "AR5")
    assert said.total == pytest.approx(3.14512 * 0.830565, rel=1e-5)
    assert said.note.startswith("density 830.565 kg/m3, DESNZ/DEFRA")
    assert set(densities()) <= set(CARRIERS)


@pytest.mark.parametrize(
    ("fuel", "fuel_set", "how", "told"),
    [
        ("natural_gas", "ndrc-24", {"unit": "m3"}, "needs its reference temperature and pressure"),
        ("natural_gas", "ipcc-2006", {"unit": "m3", "reference": GasReference(celsius=0)}, "density in the state"),
        ("natural_gas", "nga-2025", {"unit": "t"}, "by its energy only"),
        ("bituminous", "ndrc-24", {"unit": "m3"}, "its density is not known"),
        ("diesel", "ndrc-24", {"unit": "gallon"}, "not counted in 'gallon'"),
    ],
)
def test_what_cannot_be_brought_together_is_a_sentence(
    fuel: str, fuel_set: str, how: dict[str, object], told: str
) -> None:
    with pytest.raises(FuelError, match=told):
        units_per(fuel_row(fuel, fuel_set), **how)  # type: ignore[arg-type]


@given(st.sampled_from([r for r in shipped_fuels() if r.unit in ("t", "L")]), st.floats(0, 1e6))
def test_the_same_amount_in_another_unit_emits_the_same(found: FuelRow, amount: float) -> None:
    small = {"t": "kg", "L": "m3"}[found.unit]
    per = {"t": 1000.0, "L": 0.001}[found.unit]
    whole, parts = emission(found, found.unit, "AR5"), emission(found, small, "AR5")
    assert whole.total * amount == pytest.approx(parts.total * amount * per)
    assert (whole.kwh or 0) == pytest.approx((parts.kwh or 0) * per)


# ── rows of the user's own ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"co2_kg_per_gj": None}, "say what it emits in one way"),
        ({"co2": 2.0}, "say what it emits in one way"),
        ({"gj_per_unit": None}, "need gj_per_unit"),
        ({"ch4": 0.1}, "need gwp_basis"),
        ({"oxidation": 98}, "cannot be above 1"),
        ({"reference_kpa": None}, "go together"),
        ({"unit": "Nm3"}, "Input should be 't', 'kg', 'm3'"),
        ({"colour": "blue"}, "Extra inputs"),
    ],
)
def test_a_row_says_one_thing_and_all_of_it(known: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        row(**known)


def test_a_users_row_in_yaml_replaces_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "common: {data_year: 2025, publisher: us, publication: lab, published_on: '', source: s, confidence: high}\n"
        "rows:\n- {set: ndrc-24, fuel: diesel, unit: t, basis: net, gj_per_unit: 42.9, co2_kg_per_gj: 73}\n"
    )
    tables = [tmp_path / "own.yaml"]
    assert fuel_row("diesel", "ndrc-24", tables).publisher == "us"
    assert fuel_row("petrol", "ndrc-24", tables).publisher != "us"
    assert len(fuels(tables)) == len(shipped_fuels())


def test_a_mistake_in_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("rows:\n- {set: a, fuel: diesel,\n   unit: t}\n")
    with pytest.raises(ConfigError, match=r"own\.yaml:2: data_year: needs 'data_year:'"):
        user_rows(FuelRow, tmp_path / "own.yaml")


# ── potentials, coefficients, carriers ────────────────────────────────────────────────────────────


def test_potentials_by_report() -> None:
    assert [gwp("CH4", s) for s in ("AR4", "AR5", "AR6")] == [25, 28, 27.9]
    assert (gwp("CH4_fossil", "AR6"), gwp("SF6", "AR5"), gwp("R-410A", "AR5")) == (29.8, 23500, 1924)
    with pytest.raises(ValueError, match="R407A has no potential in AR6; it is known in AR5"):
        gwp("R407A", "AR6")
    with pytest.raises(ValueError, match="did you mean 'R410A'"):
        gwp("R410B", "AR5")
    assert all(r.source and r.licence for r in gwp_rows().values())


def test_standard_coal_and_losses() -> None:
    """GB/T 2589: 3600/29307.6 kgce/kWh; 1.4571 kgce/kg of diesel."""
    power, diesel = standard_coal("electricity"), standard_coal("diesel")
    assert power is not None
    assert diesel is not None
    assert power.value == pytest.approx(0.0036 / KGCE_GJ, abs=1e-4)
    assert (diesel.value, diesel.unit) == (1.4571, "kgce/kg")
    assert standard_coal("coke_oven_gas") is None  # the standard gives a range
    assert [r.value for r in td_losses("GB") if r.data_year == 2025] == [0.01853]
    assert {r.kind for r in td_losses("US-CAMX")} == {"loss_share"}
    assert td_losses("CN-GD") == ()  # nobody publishes what could be cited


def test_every_carrier_is_described_and_every_fuel_of_a_set_can_be_counted() -> None:
    assert set(CARRIERS) == set(Carrier.__args__)  # type: ignore[attr-defined]
    for carrier, kind in CARRIERS.items():
        assert kind.fuel == bool(kind.state), carrier
    assert about("wood").biogenic
    assert about("unknown").scope == 0
    for found in shipped_fuels():
        if found.fuel in CARRIERS:
            assert about(found.fuel).biogenic == found.biogenic
