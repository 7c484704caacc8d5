"""Chance that does not depend on the step, the wet bulb against its source, the shifts' hours."""

import random
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.schedule import Schedule
from simulators.wander import Wander
from simulators.weather import Weather, wet_bulb

SECOND = 1_000_000_000
START = 1_780_272_000 * SECOND


@given(st.integers(1, 600), st.integers(0, 10_000))
@settings(deadline=None)
def test_wander_does_not_depend_on_the_step(step_s: int, seed: int) -> None:
    coarse, fine = Wander(str(seed), 300, 10), Wander(str(seed), 300, 10)
    fine.at(START)
    coarse.at(START)
    for now in range(START, START + step_s * SECOND, 7 * SECOND):
        fine.at(now)
    end = START + step_s * SECOND
    assert fine.at(end) == coarse.at(end)


def test_wander_has_unit_variance_and_its_time_constant() -> None:
    wander = Wander("statistics", tau_s=100, every_s=10)
    x = np.array([wander.at(START + k * 10 * SECOND) for k in range(200_000)])
    # Standard error of the variance with correlation time 10 steps: √(2·2·10/2/200000) ≈ 0.01
    assert x.mean() == pytest.approx(0, abs=0.05)
    assert x.var() == pytest.approx(1, abs=0.05)
    assert np.mean(x[10:] * x[:-10]) == pytest.approx(np.exp(-1), abs=0.05)


def test_wet_bulb_of_stulls_example() -> None:
    assert wet_bulb(20.0, 50.0) == pytest.approx(13.7, abs=0.05)  # Stull 2011, worked example of eq. 1


def test_weather_is_plausible_over_a_year() -> None:
    weather = Weather("seed", 113.75)
    rng = random.Random(1)
    now, temperatures, clear = START, [], []
    while now < START + 365 * 86_400 * SECOND:
        weather.advance(now)
        assert weather.wet <= weather.air + 1.0  # Stull's own error
        assert 0.25 <= weather.clearness <= 1.0
        temperatures.append(weather.air)
        clear.append(weather.clearness)
        now += rng.randrange(600, 7_200) * SECOND
    assert np.mean(temperatures) == pytest.approx(22.8, abs=1.5)
    assert min(temperatures) > 0
    assert max(temperatures) < 45
    assert 0.5 < np.mean(clear) < 0.85
    assert np.std(clear) > 0.1


def test_shifts_by_local_hour() -> None:
    def level(text: str) -> float:
        return Schedule().level(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e9))

    assert level("2026-06-01T01:00:00") == pytest.approx(1.0)  # Monday 09:00 in China
    assert level("2026-06-01T04:20:00") == pytest.approx(0.75)  # 12:20
    assert level("2026-06-01T19:00:00") == pytest.approx(0.1)  # Tuesday 03:00
    assert level("2026-06-06T17:00:00") == pytest.approx(0.1)  # Sunday 01:00
    assert level("2026-06-07T01:00:00") == pytest.approx(0.4)  # Sunday 09:00
    assert level("2026-05-31T22:15:00") == pytest.approx(0.55)  # Monday 06:15, halfway up
