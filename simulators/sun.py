"""A time and a place enter, the sun's position and the clear-sky irradiance leave."""

from __future__ import annotations

import math
from typing import NamedTuple

_J2000_NS = 946_728_000_000_000_000  # 2000-01-01T12:00:00Z
_DAY_NS = 86_400_000_000_000


class SunPosition(NamedTuple):
    """Zenith angle [deg, without refraction], azimuth [deg, clockwise from north] and declination [deg]."""

    zenith: float
    azimuth: float
    declination: float


def sun_position(time_ns: int, latitude: float, longitude: float) -> SunPosition:
    """Return where the sun stands at `time_ns` [ns UTC] seen from `latitude`, `longitude` [deg north, east].

    Low-accuracy solar coordinates of J. Meeus, Astronomical Algorithms, ch. 25, as in NOAA's solar calculator
    (gml.noaa.gov/grad/solcalc): about 0.01° between 1950 and 2050. UTC is taken for UT1 and for dynamical time.
    """
    days = (time_ns - _J2000_NS) / _DAY_NS
    century = days / 36_525.0
    mean_longitude = 280.46646 + century * (36_000.76983 + century * 0.0003032)
    anomaly = math.radians(357.52911 + century * (35_999.05029 - century * 0.0001537))
    centre = (
        math.sin(anomaly) * (1.914602 - century * (0.004817 + century * 0.000014))
        + math.sin(2 * anomaly) * (0.019993 - century * 0.000101)
        + math.sin(3 * anomaly) * 0.000289
    )
    node = math.radians(125.04 - 1_934.136 * century)
    apparent = math.radians(mean_longitude + centre - 0.00569 - 0.00478 * math.sin(node))
    obliquity = math.radians(23.4392911 - century * 0.0130042 + 0.00256 * math.cos(node))
    right_ascension = math.atan2(math.cos(obliquity) * math.sin(apparent), math.cos(apparent))
    declination = math.asin(math.sin(obliquity) * math.sin(apparent))
    # Greenwich mean sidereal time, Meeus eq. 12.4
    sidereal = math.radians((280.46061837 + 360.98564736629 * days + longitude) % 360.0)
    hour = sidereal - right_ascension
    north = math.radians(latitude)
    up = math.sin(north) * math.sin(declination) + math.cos(north) * math.cos(declination) * math.cos(hour)
    azimuth = math.atan2(math.sin(hour), math.cos(hour) * math.sin(north) - math.tan(declination) * math.cos(north))
    zenith = math.degrees(math.acos(max(-1.0, min(1.0, up))))
    return SunPosition(zenith, (math.degrees(azimuth) + 180.0) % 360.0, math.degrees(declination))


def clear_sky(zenith: float) -> float:
    """Return the global horizontal irradiance of a cloudless sky [W/m²] at `zenith` [deg]; 0 below the horizon.

    GHI = 1098·cos z·exp(−0.057 / cos z), B. Haurwitz, J. Meteorology 2 (1945) 154 and 3 (1946) 123.
    """
    up = math.cos(math.radians(zenith))
    return 1_098.0 * up * math.exp(-0.057 / up) if up > 1e-6 else 0.0
