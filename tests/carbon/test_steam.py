"""Enthalpy of water and steam against the release's own verification tables, and the heat that is bought with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.factor import Factor
from carbon.factors import if97, steam
from pipeline.factors import Provenance

# IAPWS R7-97(2012), "computer-program verification": all nine printed digits must be met.
TABLE_5 = [(3, 300, 0.115331273e3), (80, 300, 0.184142828e3), (3, 500, 0.975542239e3)]  # MPa, K, kJ/kg
TABLE_15 = [(0.0035, 300, 0.254991145e4), (0.0035, 700, 0.333568375e4), (30, 700, 0.263149474e4)]
TABLE_35 = [(300, 0.353658941e-2), (500, 0.263889776e1), (600, 0.123443146e2)]  # K, MPa
TABLE_36 = [(0.1, 0.372755919e3), (1, 0.453035632e3), (10, 0.584149488e3)]  # MPa, K

GUIDELINE = Provenance("NDRC", "24 guidelines", 2015, "2015", "co2", "default for bought heat, 0.11 t/GJ")
HEAT = Factor("ndrc-24/heat/default/2015", "GJ", (110.0, 0, 0, 0, 0), 1 / 0.0036, GUIDELINE)


def nine(value: object) -> str:
    return f"{float(value):.8e}"  # type: ignore[arg-type]


@pytest.mark.parametrize(("mpa", "kelvin", "expected"), TABLE_5)
def test_water_meets_table_5(mpa: float, kelvin: float, expected: float) -> None:
    assert nine(if97.water_enthalpy(mpa, kelvin)) == nine(expected)


@pytest.mark.parametrize(("mpa", "kelvin", "expected"), TABLE_15)
def test_steam_meets_table_15(mpa: float, kelvin: float, expected: float) -> None:
    assert nine(if97.steam_enthalpy(mpa, kelvin)) == nine(expected)


@pytest.mark.parametrize(("kelvin", "expected"), TABLE_35)
def test_boiling_pressure_meets_table_35(kelvin: float, expected: float) -> None:
    assert nine(if97.saturation_pressure(kelvin)) == nine(expected)


@pytest.mark.parametrize(("mpa", "expected"), TABLE_36)
def test_boiling_point_meets_table_36(mpa: float, expected: float) -> None:
    assert nine(if97.saturation_temperature(mpa)) == nine(expected)


def test_border_to_region_3_meets_the_release() -> None:
    # R7-97(2012), section 4: T = 0.623150000e3 K ↔ p = 0.165291643e2 MPa
    assert nine(if97.border_pressure(0.623150000e3)) == nine(0.165291643e2)


def test_columns_give_what_single_values_give() -> None:
    mpa, kelvin = np.array([0.5, 1.0, 4.0]), np.array([450.0, 500.0, 700.0])
    together = if97.steam_enthalpy(mpa, kelvin)
    assert together.tolist() == [float(if97.steam_enthalpy(p, t)) for p, t in zip(mpa, kelvin, strict=True)]
    assert steam.dry_steam(np.array([0.4, 0.8])).shape == (2,)


@given(st.floats(0.001, 16.5))
def test_both_ways_along_the_saturation_line_agree(mpa: float) -> None:
    assert float(if97.saturation_pressure(if97.saturation_temperature(mpa))) == pytest.approx(mpa, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: if97.water_enthalpy(0.1, 400), "0.1 MPa absolute at 126.85 °C: that is steam, not water"),
        (lambda: if97.steam_enthalpy(3, 400), "that is water, not steam"),
        (lambda: if97.steam_enthalpy(30, 650), "too near the critical point"),
        (lambda: if97.steam_enthalpy(1, 1200), "between 273.15 and 1073.15 K, not at 1200 K"),
        (lambda: if97.steam_enthalpy(0, 400), "add 0.1013 to a gauge's"),
        (lambda: if97.steam_enthalpy(np.nan, 400), "no absolute pressure"),
        (lambda: if97.saturation_temperature(23), "between 0.000611213 and 22.064 MPa"),
        (lambda: steam.dry_steam(8, 175), "at least 295.0 °C, yet the temperature is 175.0 °C"),
        (lambda: steam.wet_steam(0.8, 95), "between 0 and 1"),
        (lambda: steam.per_tonne(HEAT, 80), "carries no heat"),
        (lambda: steam.per_energy(HEAT, "m3"), "not a unit of energy"),
    ],
)
def test_what_is_outside_is_refused_with_a_sentence(call, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        call()


def test_a_thermometer_that_reads_a_little_low_does_not_turn_steam_into_water() -> None:
    # 0.8 MPa boils at 170.41 °C; at 169 °C IF97 region 1 would give 714 kJ/kg instead of 2,768 kJ/kg.
    assert float(steam.dry_steam(0.8, 169.0)) == pytest.approx(float(steam.dry_steam(0.8)), abs=1e-9)
    assert float(steam.dry_steam(0.8)) == pytest.approx(2768.3, abs=0.05)  # steam tables: h″(8 bar) = 2,768.3 kJ/kg
    assert float(steam.dry_steam(0.8, 200.0)) > float(steam.dry_steam(0.8))


def test_wet_steam_lies_between_water_and_steam() -> None:
    # steam tables: h′(10 bar) = 762.7, h″ = 2,777.1 kJ/kg; with 5 % water 0.95·2,777.1 + 0.05·762.7 = 2,676.4
    assert float(steam.wet_steam(1.0, 0.95)) == pytest.approx(2676.4, abs=0.1)
    assert float(steam.wet_steam(1.0, 1.0)) == float(steam.dry_steam(1.0))


def test_bought_steam_by_hand() -> None:
    # 1,000 t at 0.8 MPa saturated: 1000 · (2,768.30 − 83.74)/1000 = 2,684.56 GJ; · 0.11 t/GJ = 295.30 t CO₂
    gj = float(steam.steam_heat(1000, 2768.30))
    assert gj == pytest.approx(2684.56, abs=1e-9)
    assert gj * HEAT.total == pytest.approx(295_301.6, abs=1e-6)
    per_tonne = steam.per_tonne(HEAT, 2768.30)
    assert (per_tonne.unit, per_tonne.kg[0]) == ("t", pytest.approx(295.3016, abs=1e-9))
    assert per_tonne.kwh == pytest.approx(2.68456 / 0.0036, rel=1e-12)
    assert per_tonne.id == "ndrc-24/heat/default/2015@2768.30kJ/kg"


def test_bought_hot_water_and_cold_by_hand() -> None:
    # 500 t at 95 °C: 500 · 75 · 4.1868/1000 = 157.005 GJ; returned at 60 °C: 500 · 35 · 4.1868/1000 = 73.269 GJ
    assert float(steam.hot_water_heat(500, 95)) == pytest.approx(157.005, abs=1e-9)
    assert float(steam.hot_water_heat(500, 95, 60)) == pytest.approx(73.269, abs=1e-9)
    # 120 m³ of chilled water, 12 °C back against 7 °C out: 1.163 · 120 · 5 = 697.8 kWh
    assert float(steam.cooling_energy(120, 5)) == pytest.approx(697.8, abs=1e-9)


def test_bought_heat_per_kwh_is_the_published_default() -> None:
    # 0.11 t/GJ · 0.0036 GJ/kWh = 0.396 kg/kWh
    per_kwh = steam.per_energy(HEAT, "kWh")
    assert per_kwh.kg[0] == pytest.approx(0.396, rel=1e-12)
    assert per_kwh.kwh == pytest.approx(1.0, rel=1e-12)


@given(st.floats(0, 1e6), st.floats(2500, 3500))
def test_heat_is_linear_in_mass(tonnes: float, enthalpy: float) -> None:
    assert float(steam.steam_heat(2 * tonnes, enthalpy)) == pytest.approx(2 * float(steam.steam_heat(tonnes, enthalpy)))
    per_tonne, per_gj = steam.per_tonne(HEAT, enthalpy), HEAT
    by_heat = float(steam.steam_heat(tonnes, enthalpy)) * per_gj.total
    assert tonnes * per_tonne.total == pytest.approx(by_heat, rel=1e-12)
