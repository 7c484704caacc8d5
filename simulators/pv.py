"""Sun and weather enter; the power and energy a photovoltaic inverter feeds in leave."""

from __future__ import annotations

from simulators.device import Device
from simulators.electrical import Submeter
from simulators.site import Site
from simulators.sun import clear_sky, sun_position


class PvInverter(Device):
    """A flat roof of modules behind one inverter: P_dc = kWp·G / 1000·(1 + γ·(T_cell − 25))·(1 − losses).

    T_cell = T_air + G / 800·(NOCT − 20 K), γ = −0.35 %/K. The inverter passes 98 % less a constant 0.3 % of its
    rating and clips at `rated_kw`. Power and accounted energy are positive when generating.
    Readings: those of `Submeter.read` with generation as positive power, counted in energy_export [kWh] while
    energy_import stands · energy [kWh] as energy_export · dc_power [kW] · irradiance, clear_sky_irradiance [W/m2] ·
    cell_temperature, air_temperature [degC] · sun_zenith [deg] · state [1] feeding.
    """

    temperature_coefficient = -0.0035
    nominal_cell = 45.0  # NOCT [°C]

    def __init__(
        self, name: str, site: Site, peak_kw: float = 120.0, rated_kw: float = 100.0, losses: float = 0.06
    ) -> None:
        super().__init__(name)
        self.site, self.peak_kw, self.rated_kw, self.losses = site, peak_kw, rated_kw, losses
        self.meter = Submeter(name, site, export_kwh=123_456.7, thd_current=2.0)

    def advance(self, now_ns: int, dt_s: float) -> float:
        site, weather = self.site, self.site.weather
        site.advance(now_ns, dt_s)
        sun = sun_position(now_ns - int(dt_s * 5e8), site.latitude, site.longitude)
        cloudless = clear_sky(sun.zenith)
        light = cloudless * weather.clearness
        cell = weather.air + light / 800.0 * (self.nominal_cell - 20.0)
        warm = 1.0 + self.temperature_coefficient * (cell - 25.0)
        direct = self.peak_kw * light / 1_000.0 * warm * (1.0 - self.losses)
        power = max(0.0, min(self.rated_kw, 0.98 * direct - 0.003 * self.rated_kw))
        # A meter counts what is fed in as export; the inverter shows it as positive power.
        self.readings.update(self.meter.read(-power, 0.0, dt_s))
        for point in ("power", "power_l1", "power_l2", "power_l3"):
            self.readings[point] = abs(self.readings[point])
        for point in ("power_factor", "power_factor_l1", "power_factor_l2", "power_factor_l3"):
            self.readings[point] = 1.0
        self.readings.update(
            phase_angle_total=0.0,
            energy=self.meter.energy_export,
            dc_power=direct,
            irradiance=light,
            clear_sky_irradiance=cloudless,
            cell_temperature=cell,
            air_temperature=weather.air,
            sun_zenith=sun.zenith,
            state=float(power > 0),
        )
        return power
