"""The chiller's COP follows the second law, its waters the first."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.chiller import WaterCooledChiller, chiller_cop
from simulators.site import Site

SECOND = 1_000_000_000
START = 1_780_272_000 * SECOND


def run(chiller: WaterCooledChiller, seconds: float, dt_s: float = 5.0) -> WaterCooledChiller:
    for k in range(1, round(seconds / dt_s) + 1):
        chiller.step(START + round(k * dt_s * SECOND), dt_s)
    return chiller


@given(st.floats(3, 12), st.floats(20, 45), st.floats(0.1, 10), st.floats(0.15, 1.0))
@settings(deadline=None)
def test_cop_falls_with_condensing_temperature(evaporating: float, condensing: float, more: float, load: float) -> None:
    cop = chiller_cop(evaporating, condensing, load)
    assert chiller_cop(evaporating, condensing + more, load) < cop
    assert chiller_cop(evaporating + more, condensing + more, load) > chiller_cop(evaporating, condensing + more, load)
    assert cop < (evaporating + 273.15) / max(condensing - evaporating, 1.0)  # Carnot


# At full load nothing is left to pull a warm loop down.
@given(st.floats(0.2, 0.9), st.sampled_from([0.5, 5.0, 60.0]))
@settings(max_examples=20, deadline=None)
def test_cop_and_waters_at_every_load(share: float, dt_s: float) -> None:
    chiller = run(WaterCooledChiller("c", Site(), demand=lambda: 700 * share), 3_600, dt_s)
    r = chiller.readings
    assert 3.5 < r["cop"] < 8
    assert r["cooling_power"] == pytest.approx(700 * share, rel=0.05)
    assert r["evaporator_leaving_water_temperature"] == pytest.approx(7.0, abs=0.3)
    assert r["evaporating_temperature"] < r["evaporator_leaving_water_temperature"]
    assert (
        r["condensing_temperature"]
        > r["condenser_leaving_water_temperature"]
        > r["condenser_entering_water_temperature"]
    )
    # Heat balance of both circuits: Q = 1.163·flow·ΔT, rejected = cooling + power
    rise = r["condenser_leaving_water_temperature"] - r["condenser_entering_water_temperature"]
    assert 1.163 * r["condenser_water_flow"] * rise == pytest.approx(r["heat_rejected"], rel=0.01)
    fall = r["evaporator_entering_water_temperature"] - r["evaporator_leaving_water_temperature"]
    assert 1.163 * r["chilled_water_flow"] * fall == pytest.approx(r["cooling_power"], rel=0.02)


def test_loop_keeps_the_first_law() -> None:
    chiller = WaterCooledChiller("c", Site(), demand=lambda: 400.0)
    stored, cooled = chiller.loop_kj_k * chiller.returning, chiller.cooling_kwh
    run(chiller, 3_600)
    gained = 400.0 * 3_600 - (chiller.cooling_kwh - cooled) * 3_600
    assert chiller.loop_kj_k * chiller.returning - stored == pytest.approx(gained, abs=1e-2)
    assert sum(chiller.trace.power_kw) * 5.0 / 3_600 == pytest.approx(chiller.energy_kwh)


def test_fouling_costs_power() -> None:
    clean = run(WaterCooledChiller("c", Site(), demand=lambda: 600.0), 7_200)
    fouled = run(WaterCooledChiller("c", Site(), demand=lambda: 600.0, fouling=1.5), 7_200)
    assert 1.02 < fouled.energy_kwh / clean.energy_kwh < 1.2


def test_small_load_cycles_between_water_temperatures() -> None:
    chiller = WaterCooledChiller("c", Site(), demand=lambda: 40.0)
    states, leaving = set(), []
    for k in range(1, 4_000):
        chiller.step(START + k * 5 * SECOND, 5.0)
        states.add(chiller.readings["state"])
        leaving.append(chiller.readings["evaporator_leaving_water_temperature"])
    assert states == {0.0, 1.0}
    assert min(leaving[500:]) > 4.5
    assert max(leaving[500:]) < 11
