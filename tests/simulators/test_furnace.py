"""The furnace keeps the first law, its setpoint and a plausible bill of gas."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.furnace import GasFurnace, flue_loss
from simulators.gas_meter import NCV_0C_MJ_M3, GasMeter
from simulators.site import Site

SECOND = 1_000_000_000
START = 1_780_272_000 * SECOND


def run(furnace: GasFurnace, seconds: float, dt_s: float = 10.0, since: int = START) -> int:
    now = since
    for _ in range(round(seconds / dt_s)):
        now += round(dt_s * SECOND)
        furnace.step(now, dt_s)
    return now


@given(
    st.floats(0.0, 1.0),
    st.sampled_from(["modulating", "high-low"]),
    st.sampled_from([0.05, 1.0, 7.0, 60.0]),
)
@settings(max_examples=25, deadline=None)
def test_first_law(demand: float, firing: str, dt_s: float) -> None:
    furnace = GasFurnace("f", Site(), firing=firing, demand=lambda: demand)  # type: ignore[arg-type]
    before = furnace.stored_kj
    run(furnace, 200 * dt_s, dt_s)
    gone = furnace.flue_kj + furnace.wall_kj + furnace.out_kj
    assert furnace.gas_kj + furnace.in_kj - gone == pytest.approx(furnace.stored_kj - before, abs=0.01)
    assert furnace.energy_kwh * 3_600 == pytest.approx(furnace.gas_kj)


@pytest.mark.parametrize("firing", ["modulating", "high-low"])
@pytest.mark.parametrize("demand", [0.4, 0.7, 1.0])
def test_specific_energy_of_steel_reheating(firing: str, demand: float) -> None:
    furnace = GasFurnace("f", Site(), firing=firing, demand=lambda: demand)  # type: ignore[arg-type]
    now = run(furnace, 2 * 3_600)
    mass, energy = furnace.mass_t, furnace.energy_kwh
    temperatures = []
    for _ in range(240):
        now = run(furnace, 60, since=now)
        temperatures.append(furnace.celsius)
    tonnes = furnace.mass_t - mass
    assert tonnes == pytest.approx(8.0 * demand * 4, abs=0.5)
    # Steel reheating takes 1.0 … 1.6 GJ/t.
    assert 1.0 < (furnace.energy_kwh - energy) / tonnes * 3.6e-3 < 1.6
    assert min(temperatures) > 1_235
    assert max(temperatures) < 1_265
    assert furnace.discharged >= furnace.discharge_above


def test_idle_furnace_only_covers_its_walls() -> None:
    furnace = GasFurnace("f", Site(), demand=lambda: 0.0)
    run(furnace, 12 * 3_600)
    before = furnace.energy_kwh, furnace.wall_kj, furnace.flue_kj, furnace.stored_kj
    run(furnace, 3_600, since=START + 12 * 3_600 * SECOND)
    heat = (furnace.energy_kwh - before[0]) * 3_600
    losses = furnace.wall_kj - before[1] + furnace.flue_kj - before[2]
    assert heat == pytest.approx(losses + furnace.stored_kj - before[3])
    assert heat / 3_600 < 450  # kW
    assert furnace.mass_t == 45_678.0


def test_siegert() -> None:
    # By hand: (220 − 20)·(0.66 / (21 − 3) + 0.009) = 9.13 % of NCV
    assert flue_loss(220, 20, 3) == pytest.approx(0.091333, abs=1e-6)
    assert flue_loss(220, 20, 8) > flue_loss(220, 20, 3)
    assert flue_loss(20, 20, 3) == 0


def test_gas_volume_states_its_reference() -> None:
    at_0, at_20 = GasMeter(0.0), GasMeter(20.0)
    for meter in (at_0, at_20):
        meter.read(1_000.0, 3_600.0)
    assert at_0.volume == pytest.approx(3_600 / NCV_0C_MJ_M3)
    assert at_20.volume / at_0.volume == pytest.approx(293.15 / 273.15)
    assert 35 < at_20.ncv_mj_m3 < at_0.ncv_mj_m3 < 39


def test_gas_register_and_true_energy_are_one() -> None:
    furnace = GasFurnace("f", Site(), gas=GasMeter(20.0))
    run(furnace, 3_600)
    assert furnace.readings["volume"] * furnace.gas.ncv_mj_m3 / 3.6 == pytest.approx(furnace.energy_kwh)
    assert furnace.readings["volume_flow"] * furnace.gas.ncv_mj_m3 / 3.6 == pytest.approx(furnace.readings["gas_power"])
