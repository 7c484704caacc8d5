"""Standard coal by the defaults of GB/T 2589-2020, by a measured calorific value, and by the coal burnt for power."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.factors.fuels import fuel_factor
from carbon.factors.standard_coal import tce_per_unit
from config.fuels import fuel_row


def test_a_works_by_hand() -> None:
    # GB/T 2589-2020: 10,000 t raw coal · 0.7143 + 50 t diesel · 1.4571 + 12,000 MWh · 0.1229 tce/MWh
    # = 7,143 + 72.855 + 1,474.8 = 8,690.655 tce; with the power at a supply rate of 0.3018: 7,143 + 72.855 + 3,621.6
    fuels = 10_000 * tce_per_unit("raw_coal", "t") + 50_000 * tce_per_unit("diesel", "kg")
    assert fuels + 12e6 * tce_per_unit("electricity", "kWh") == pytest.approx(8690.655, abs=1e-6)
    assert fuels + 12_000 * tce_per_unit("electricity", "MWh", supply_rate=0.3018) == pytest.approx(
        10_837.455, abs=1e-6
    )


def test_a_measured_calorific_value_comes_first() -> None:
    # Coking coal washed, 26.344 GJ/t: 26.344/29.3076 = 0.898879 tce/t, where the default says 0.9000
    factor = fuel_factor(fuel_row("washed_coal", "ndrc-24"), unit="t", gwp="AR5")
    assert tce_per_unit("washed_coal", "t", kwh_per_unit=factor.kwh) == pytest.approx(0.898879, abs=5e-7)
    assert tce_per_unit("washed_coal", "t") == pytest.approx(0.9)
    # measured at 29.3076 GJ/t (7,000 kcal/kg) it is standard coal itself
    assert tce_per_unit("washed_coal", "t", kwh_per_unit=29.3076 / 0.0036) == pytest.approx(1.0, rel=1e-12)


def test_heat_is_coal_by_its_energy() -> None:
    # 1,000 GJ of heat: 1000/29.3076 = 34.1208 tce (0.03412 kgce/MJ, rounded)
    assert 1000 * tce_per_unit("heat", "GJ") == pytest.approx(34.1208, abs=5e-5)


@pytest.mark.parametrize(
    ("carrier", "unit", "said", "says"),
    [
        ("coke_oven_gas", "m3", {}, "by a range only, 0.5714 … 0.6143 kgce/m3: enter its measured calorific value"),
        ("wood", "t", {}, "no default for wood per t"),
        ("diesel", "m3", {}, "no default for diesel per m3"),
        ("electricity", "m3", {}, "counted in kWh"),
        ("electricity", "kWh", {"supply_rate": 302.0}, "about 0.30 kgce/kWh, not 302"),
        ("diesel", "t", {"supply_rate": 0.3}, "for electricity, not for diesel"),
        ("diesel", "gal", {}, "no standard coal is known per 'gal'"),
    ],
)
def test_what_the_standard_does_not_say_is_refused(carrier: str, unit: str, said: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tce_per_unit(carrier, unit, **said)


def test_a_range_is_no_obstacle_once_the_gas_was_measured() -> None:
    # 17.3854 MJ/Nm³: 0.0173854/0.0293076 = 0.59320 kgce/m³, inside the standard's range
    assert tce_per_unit("coke_oven_gas", "m3", kwh_per_unit=0.0173854 / 0.0036) == pytest.approx(0.59320e-3, abs=5e-9)


@given(st.sampled_from(["raw_coal", "coke", "diesel", "lpg", "steam"]), st.floats(0, 1e6))
def test_tonnes_and_kilograms_agree(carrier: str, tonnes: float) -> None:
    assert tonnes * tce_per_unit(carrier, "t") == pytest.approx(tonnes * 1000 * tce_per_unit(carrier, "kg"), rel=1e-12)
