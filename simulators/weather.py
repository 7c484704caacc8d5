"""A place, a seed and a time enter; air temperature, wet bulb and cloud leave."""

from __future__ import annotations

import math

from simulators.wander import Wander

_YEAR_NS = 31_556_952_000_000_000
_DAY_NS = 86_400_000_000_000
_JUNE_21 = 0.468  # of the year


def _vapour_pressure(celsius: float) -> float:
    """Return the saturation vapour pressure of water [hPa], Magnus form with WMO's constants."""
    return 6.112 * math.exp(17.62 * celsius / (243.12 + celsius))


def wet_bulb(celsius: float, humidity: float) -> float:
    """Return the wet-bulb temperature [°C] of air at `celsius` and relative `humidity` [%].

    R. Stull, J. Appl. Meteorol. Climatol. 50 (2011) 2267, eq. 1: within ±1 K for 5–99 % and −20–50 °C at sea level.
    """
    return float(
        celsius * math.atan(0.151977 * math.sqrt(humidity + 8.313659))
        + math.atan(celsius + humidity)
        - math.atan(humidity - 1.676331)
        + 0.00391838 * humidity**1.5 * math.atan(0.023101 * humidity)
        - 4.686035
    )


class Weather:
    """Air by the seasons, the hour and chance; the defaults suit Dongguan (22.8 °C mean, ± 7 K a year, ± 3.5 K a day).

    `advance` sets `air` [°C], `wet` bulb [°C] and `clearness` [1], the share 0.25 … 1 of clear-sky light that passes.
    """

    def __init__(
        self, seed: str, longitude: float, mean: float = 22.8, yearly: float = 7.0, daily: float = 3.5
    ) -> None:
        self._longitude, self._mean, self._yearly, self._daily = longitude, mean, yearly, daily
        self._drift = Wander(f"{seed}/air", tau_s=2 * 86_400, every_s=3_600)
        self._cover = Wander(f"{seed}/cover", tau_s=3 * 3_600, every_s=600)
        self._passing = Wander(f"{seed}/passing", tau_s=240, every_s=30)
        self._time_ns: int | None = None
        self.air = self.wet = mean
        self.clearness = 1.0

    def advance(self, now_ns: int) -> None:
        """Move to `now_ns`; asked twice for the same time it does nothing."""
        if now_ns == self._time_ns:
            return
        self._time_ns = now_ns
        season = math.cos(2 * math.pi * (now_ns / _YEAR_NS - _JUNE_21 - 0.09))  # the air lags the sun by a month
        mean = self._mean + self._yearly * season + 2.0 * self._drift.at(now_ns)
        solar_day = (now_ns / _DAY_NS + self._longitude / 360.0) % 1.0
        self.air = mean + self._daily * math.cos(2 * math.pi * (solar_day - 15 / 24))
        dew_point = mean - self._daily - 1.0
        self.wet = wet_bulb(self.air, 100.0 * _vapour_pressure(dew_point) / _vapour_pressure(self.air))
        cover = 1.0 / (1.0 + math.exp(-0.3 - 1.5 * self._cover.at(now_ns)))
        # Broken cloud flickers, a closed or an open sky does not.
        cloud = cover + 1.2 * cover * (1.0 - cover) * self._passing.at(now_ns)
        self.clearness = 1.0 - 0.75 * max(0.0, min(1.0, cloud))
