"""The inverter gives nothing at night, never more than a clear sky, and a plausible year."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.pv import PvInverter
from simulators.site import Site
from simulators.sun import sun_position

SECOND = 1_000_000_000
START = 1_780_272_000 * SECOND


@given(st.integers(0, 365 * 86_400), st.integers(0, 1_000), st.sampled_from([0.05, 1.0, 60.0]))
@settings(max_examples=200, deadline=None)
def test_night_clear_sky_and_rating_are_limits(second: int, seed: int, dt_s: float) -> None:
    pv = PvInverter("pv", Site(seed))
    now = START + second * SECOND
    pv.step(now, dt_s)
    r = pv.readings
    if sun_position(now, 23.0, 113.75).zenith > 90.3:
        assert r["power"] == r["irradiance"] == 0.0
    assert 0.0 <= r["power"] <= pv.rated_kw
    assert r["irradiance"] <= r["clear_sky_irradiance"] <= 1_040
    assert r["cell_temperature"] >= r["air_temperature"]
    assert r["power"] <= max(0.0, r["dc_power"])


def test_inverter_clips() -> None:
    pv = PvInverter("pv", Site(), peak_kw=300.0, rated_kw=100.0)
    for hour in range(24):
        pv.step(START + hour * 3_600 * SECOND, 3_600.0)
    assert max(pv.trace.power_kw) == 100.0


def test_a_year_of_sun_and_performance_ratio() -> None:
    pv = PvInverter("pv", Site())
    begin = pv.meter.energy_export
    irradiation = 0.0
    for step in range(1, 365 * 48 + 1):
        pv.step(START + step * 1_800 * SECOND, 1_800.0)
        irradiation += pv.readings["irradiance"] * 0.5 / 1_000
    # Guangdong sees about 1,200 … 1,500 kWh/m² a year; the performance ratio of IEC 61724-1 is 0.75 … 0.90.
    assert 1_100 < irradiation < 1_600
    assert 0.75 < pv.energy_kwh / 120.0 / irradiation < 0.90
    assert pv.readings["energy_export"] - begin == pytest.approx(pv.energy_kwh)
    assert pv.readings["energy_import"] == PvInverter("pv", Site()).meter.energy_import
