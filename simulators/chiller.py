"""Cooling demand and the weather enter; electric power, COP and water temperatures of a water-cooled chiller leave."""

from __future__ import annotations

import math
from collections.abc import Callable

from simulators.device import Device
from simulators.electrical import Submeter
from simulators.site import Site

_SUBSTEP_S = 5.0
_WATER_KW_M3H_K = 1.163  # ρ·c of water per m³/h
_KELVIN = 273.15
# What the templates of other makers call it
_ALIASES = {
    "cooler_entering_water_temperature": "evaporator_entering_water_temperature",
    "cooler_leaving_water_temperature": "evaporator_leaving_water_temperature",
    "saturated_condensing_temperature_a": "condensing_temperature",
    "temperature_setpoint": "chilled_water_setpoint_active",
    "control_point": "chilled_water_setpoint_active",
    "capacity_total": "capacity",
    "operating_status": "state",
}


def chiller_cop(evaporating: float, condensing: float, load: float) -> float:
    """Return the COP [1] between refrigerant temperatures [°C] at `load` (share of rated capacity).

    COP = η·T_e / (T_c − T_e + 8 K): η·Carnot with 8 K lost inside the machine; η peaks at 0.75 near 80 % load.
    """
    carnot = (evaporating + _KELVIN) / (max(condensing - evaporating, 5.0) + 8.0)
    return 0.75 * (1.0 - 0.5 * (0.8 - load) ** 2) * carnot


class WaterCooledChiller(Device):
    """Chiller with chilled-water loop and cooling tower; capacity follows leaving water by PI, cycling below 15 %.

    Loop: C·dT_return/dt = load − cooling. Tower water is wet bulb + approach, at least 18 °C. Refrigerant
    temperatures are the leaving waters' ∓ an approach that grows with load, on the condenser also with `fouling`
    (0 clean, 1 doubled).
    The accounted energy is the chiller's electricity. Readings: those of `Submeter.read` and
    evaporator_leaving_water_temperature, evaporator_entering_water_temperature, condenser_entering_water_temperature,
    condenser_leaving_water_temperature, chilled_water_setpoint_active, evaporating_temperature,
    condensing_temperature, outdoor_air_temperature [degC] · chilled_water_flow, condenser_water_flow [m3/h] ·
    cooling_power, heat_rejected [kW] · cooling_energy [kWh] · capacity, demand_limit, current_limit_setpoint [%] ·
    cop [1] · state [1] running; and other makers' names for the same (`_ALIASES`).
    """

    power_factor = 0.9

    def __init__(
        self,
        name: str,
        site: Site,
        rated_kw: float = 700.0,
        setpoint: float = 7.0,
        fouling: float = 0.0,
        demand: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(name)
        self.site, self.rated_kw, self.setpoint, self.fouling = site, rated_kw, setpoint, fouling
        self.demand = demand or self._demand  # cooling wanted [kW]
        self.meter = Submeter(name, site)
        self.chilled_flow = rated_kw / (_WATER_KW_M3H_K * 5.0)  # 5 K at rated load [m³/h]
        self.condenser_flow = 1.2 * self.chilled_flow
        self.loop_kj_k = 25.0 * rated_kw  # about 6 litres of water per kW
        self.returning = setpoint + 3.0
        self.leaving = setpoint
        self.load = self._integral = 0.6
        self.running = True
        self.cooling_kwh = 2_345_678.0
        self.cop = 5.0
        self.evaporating, self.condensing = 5.0, 35.0
        self.tower = self.condenser_leaving = 28.0

    def _demand(self) -> float:
        """Return process heat by the shifts plus the building's above 16 °C outside [kW]."""
        weather = self.site.weather
        process = 0.35 * self.rated_kw * self.site.busy
        return min(self.rated_kw, process + 0.025 * self.rated_kw * max(0.0, weather.air - 16.0))

    def advance(self, now_ns: int, dt_s: float) -> float:
        self.site.advance(now_ns, dt_s)
        substeps = math.ceil(dt_s / _SUBSTEP_S - 1e-9)
        h_s = dt_s / substeps
        electric = cooling = 0.0
        for _ in range(substeps):
            self._control(h_s)
            step_kw = self.rated_kw * self.load
            electric += self._compress(step_kw) * h_s
            cooling += step_kw * h_s
            self.returning += (self.demand() - step_kw) * h_s / self.loop_kj_k
            self.leaving = self.returning - step_kw / (_WATER_KW_M3H_K * self.chilled_flow)
        power = electric / dt_s
        self.cooling_kwh += cooling / 3_600.0
        self._show(power, cooling / dt_s, dt_s)
        return power

    def _control(self, dt_s: float) -> None:
        error = self.leaving - self.setpoint
        self.running = error > -1.5 if self.running else self.returning > self.setpoint + 3.0
        if not self.running:
            self.load, self._integral = 0.0, 0.15
            return
        self._integral = max(0.15, min(1.0, self._integral + 0.05 * error * dt_s / 60.0))
        wish = max(0.15, min(1.0, self._integral + 0.05 * error))
        # A screw's slide valve takes some minutes from end to end.
        self.load = max(0.15, self.load + max(-0.01 * dt_s, min(0.01 * dt_s, wish - self.load)))

    def _compress(self, cooling_kw: float) -> float:
        """Set water and refrigerant temperatures and COP for `cooling_kw`; return the electric power [kW]."""
        self.tower = max(18.0, self.site.weather.wet + 2.0 + 3.0 * self.load)
        if cooling_kw <= 0.0:
            self.condenser_leaving, self.cop = self.tower, 0.0
            return 0.0
        self.evaporating = self.leaving - 2.5 * self.load
        power = cooling_kw / (self.cop or 5.0)
        for _ in range(3):  # what is rejected depends on the power it costs; contracts by about 1/30 a round
            self.condenser_leaving = self.tower + (cooling_kw + power) / (_WATER_KW_M3H_K * self.condenser_flow)
            self.condensing = self.condenser_leaving + 2.0 * (1.0 + self.fouling) * self.load
            self.cop = chiller_cop(self.evaporating, self.condensing, self.load)
            power = cooling_kw / self.cop
        return power

    def _show(self, power: float, cooling: float, dt_s: float) -> None:
        reactive = power * math.tan(math.acos(self.power_factor))
        self.readings.update(self.meter.read(power, reactive, dt_s))
        self.readings.update(
            evaporator_leaving_water_temperature=self.leaving,
            evaporator_entering_water_temperature=self.returning,
            condenser_entering_water_temperature=self.tower,
            condenser_leaving_water_temperature=self.condenser_leaving,
            chilled_water_setpoint_active=self.setpoint,
            evaporating_temperature=self.evaporating,
            condensing_temperature=self.condensing,
            outdoor_air_temperature=self.site.weather.air,
            chilled_water_flow=self.chilled_flow,
            condenser_water_flow=self.condenser_flow,
            cooling_power=cooling,
            heat_rejected=cooling + power,
            cooling_energy=self.cooling_kwh,
            capacity=100.0 * cooling / self.rated_kw,
            cop=cooling / power if power > 0 else 0.0,
            demand_limit=100.0,
            current_limit_setpoint=100.0,
            state=float(self.running),
        )
        for alias, name in _ALIASES.items():
            self.readings[alias] = self.readings[name]
