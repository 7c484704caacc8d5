"""The sun's position against published answers, and the clear sky's shape."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.sun import clear_sky, sun_position


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e9)


def test_position_of_nrel_spa_example() -> None:
    # Reda and Andreas, NREL/TP-560-34302, table A5.1: zenith 50.11162°, azimuth 194.34024° at 820 hPa, 11 °C,
    # 2003-10-17 12:30:30 UTC−7. Theirs includes refraction, 1.02′/tan(40°)·0.81 ≈ 0.016°, and parallax, −0.002°.
    sun = sun_position(ns("2003-10-17T19:30:30"), 39.742476, -105.1786)
    assert sun.zenith == pytest.approx(50.11162 + 0.016 - 0.002, abs=0.005)
    assert sun.azimuth == pytest.approx(194.34024, abs=0.01)


def test_declination_of_meeus_example() -> None:
    # Meeus, Astronomical Algorithms, example 25.a: 1992-10-13 0h dynamical time, δ = −7.78507°.
    assert sun_position(ns("1992-10-13T00:00:00"), 0.0, 0.0).declination == pytest.approx(-7.78507, abs=0.002)


@pytest.mark.parametrize(
    ("instant", "declination"),
    # Equinoxes and solstices of 2024 to the minute, as published by the US Naval Observatory.
    [
        ("2024-03-20T03:06:00", 0.0),
        ("2024-09-22T12:44:00", 0.0),
        ("2024-06-20T20:51:00", 23.436),
        ("2024-12-21T09:20:00", -23.436),
    ],
)
def test_seasons(instant: str, declination: float) -> None:
    assert sun_position(ns(instant), 23.0, 113.75).declination == pytest.approx(declination, abs=0.01)


def test_noon_in_dongguan_is_overhead_in_june() -> None:
    # Latitude 23.0 lies 0.436° south of the sun on the solstice: it passes north of the zenith.
    passing = [sun_position(ns("2026-06-21T04:00:00") + m * 60_000_000_000, 23.0, 113.75) for m in range(60)]
    highest = min(passing, key=lambda sun: sun.zenith)
    assert highest.zenith == pytest.approx(0.436, abs=0.07)  # 15° an hour: a minute's grid is 0.125° off at most


@given(
    st.integers(ns("1980-01-01T00:00:00"), ns("2050-01-01T00:00:00")),
    st.floats(-89, 89),
    st.floats(-180, 180),
)
@settings(deadline=None)
def test_sun_stays_on_the_sphere(time_ns: int, latitude: float, longitude: float) -> None:
    sun = sun_position(time_ns, latitude, longitude)
    assert 0 <= sun.zenith <= 180
    assert 0 <= sun.azimuth <= 360
    assert abs(sun.declination) < 23.46
    # Opposite places see opposite suns.
    assert sun_position(time_ns, -latitude, longitude + 180).zenith == pytest.approx(180 - sun.zenith, abs=1e-4)


def test_clear_sky_falls_with_zenith() -> None:
    sky = [clear_sky(z) for z in range(181)]
    assert sky == sorted(sky, reverse=True)
    assert sky[0] == pytest.approx(1037, abs=1)  # 1098·exp(−0.057)
    assert not any(sky[90:])
