"""Header pressure enters; electric power, free air, pressures, temperatures and hours of a screw compressor leave."""

from __future__ import annotations

import math
from enum import IntEnum

from simulators.compressed_air import ATMOSPHERE_BAR, CompressedAir
from simulators.device import Device
from simulators.electrical import Submeter

_BLOWN_DOWN_BAR = 1.5  # sump pressure an unloaded machine keeps to circulate its oil
_BLOWDOWN_S = 15.0


# What the templates of other makers call it
_ALIASES = {
    "running_hours": "run_hours",
    "loaded_hours": "load_hours",
    "remote_pressure": "system_pressure",
    "external_pressure": "system_pressure",
    "aftercooler_pressure": "discharge_pressure",
    "internal_pressure": "sump_pressure",
    "main_current_l1": "current_l1",
    "main_current_l2": "current_l2",
    "main_current_l3": "current_l3",
    "supply_voltage": "voltage_ll_avg",
    "state_bits": "state",
}


class State(IntEnum):
    STOPPED = 0
    UNLOADED = 1
    LOADED = 2


def isentropic_work(pressure_bar: float) -> float:
    """Return the isentropic work [1] of compressing air to `pressure_bar` (gauge), per unit of inlet p·V·κ/(κ − 1)."""
    return float((1.0 + pressure_bar / ATMOSPHERE_BAR) ** (0.4 / 1.4)) - 1.0


class ScrewCompressor(Device):
    """Oil-injected screw compressor, fixed speed: loads at `load_bar`, unloads at `unload_bar`, stops after `run_on_s`.

    Package power at full flow is `specific_power`·`flow_m3_min` at `rated_bar` and follows isentropic work with
    pressure (about 6 % a bar). Unloaded, it falls with the sump's blow-down to a quarter.
    The accounted energy is the package's electricity. Readings: those of `Submeter.read` and
    discharge_pressure, system_pressure, sump_pressure, separator_pressure_drop [bar, gauge] ·
    discharge_temperature, airend_discharge_temperature, injected_coolant_temperature,
    aftercooler_discharge_temperature [degC] ·
    flow [m3/h] mean of the step, volume [m3] both free air at inlet state · run_hours, load_hours [h] ·
    starts [1] · state [1] 0 stopped, 1 unloaded, 2 loaded · main_motor_speed [1/min] ·
    load_pressure_setpoint, unload_pressure_setpoint [bar, gauge], and other makers' names for the same (`_ALIASES`).
    """

    power_factor = 0.87
    thd_current = 4.0
    rated_rpm = 2_970.0

    def __init__(
        self,
        name: str,
        air: CompressedAir,
        flow_m3_min: float,
        specific_power: float,
        rated_bar: float = 7.0,
        load_bar: float = 6.6,
        unload_bar: float = 7.2,
        run_on_s: float = 300.0,
    ) -> None:
        super().__init__(name)
        self.air, self.flow_m3_min, self.specific_power, self.rated_bar = air, flow_m3_min, specific_power, rated_bar
        self.load_bar, self.unload_bar, self.run_on_s = load_bar, unload_bar, run_on_s
        self._rated_work = isentropic_work(rated_bar)
        self.meter = Submeter(name, air.site, thd_current=self.thd_current)
        self.state = State.STOPPED
        self.speed = 0.0  # share of rated
        self.sump_bar = 0.0
        self.temperature = 35.0
        self.run_hours, self.load_hours, self.starts = 8_123.4, 5_687.2, 2_410
        self.volume_m3 = 1_234_567.0
        self._idle_s = self._step_kj = self._step_kvars = self._step_m3 = 0.0
        air.sources.append(self)

    def begin(self) -> None:
        self._step_kj = self._step_kvars = self._step_m3 = 0.0

    def run(self, pressure_bar: float, dt_s: float) -> float:
        self._switch(pressure_bar, dt_s)
        self.speed = self._speed(pressure_bar, dt_s)
        loaded = self.state is State.LOADED
        flow = self.flow_at(self.speed) if loaded else 0.0
        power = self.power_at(self.speed, pressure_bar)
        self._step_kj += power * dt_s
        self._step_kvars += self.reactive_at(power) * dt_s
        self._step_m3 += flow * dt_s / 60.0
        rest = pressure_bar + 0.25 if loaded else _BLOWN_DOWN_BAR if self.state else 0.0
        self.sump_bar += (rest - self.sump_bar) * -math.expm1(-dt_s / (3.0 if loaded else _BLOWDOWN_S))
        self._warm(dt_s)
        self.run_hours += dt_s / 3_600 if self.state else 0.0
        self.load_hours += dt_s / 3_600 if loaded else 0.0
        return flow

    def flow_at(self, speed: float) -> float:
        """Return the free air delivered, loaded, at `speed` (share of rated) [m³/min]; 4 % of full flow slips back."""
        return self.flow_m3_min * max(0.0, 1.04 * speed - 0.04)

    def power_at(self, speed: float, pressure_bar: float) -> float:
        """Return the package power in the present state [kW]."""
        if self.state is State.STOPPED:
            return 0.0
        full = self.specific_power * self.flow_m3_min
        if self.state is State.LOADED:
            part = self.part_load(speed)
            return full * part * isentropic_work(pressure_bar) / self._rated_work
        return full * speed * (0.17 + 0.33 * max(self.sump_bar, _BLOWN_DOWN_BAR) / self.rated_bar)

    def reactive_at(self, power_kw: float) -> float:
        """Return the reactive power [kvar]: three quarters of it magnetise the motor whatever its load."""
        if self.state is State.STOPPED:
            return 0.0
        full = self.specific_power * self.flow_m3_min
        return full * math.tan(math.acos(self.power_factor)) * (0.75 + 0.25 * (power_kw / full) ** 2)

    def part_load(self, speed: float) -> float:
        """Return power at `speed` over power at full speed: controls and fan, torque, losses that grow with speed."""
        return 0.04 + 0.84 * speed + 0.12 * speed**2

    def _speed(self, pressure_bar: float, dt_s: float) -> float:
        return 1.0 if self.state else 0.0

    def _may_unload(self) -> bool:
        return True

    def _switch(self, pressure_bar: float, dt_s: float) -> None:
        if pressure_bar <= self.load_bar:
            self.starts += self.state is State.STOPPED
            self.state = State.LOADED
        elif self.state is State.LOADED and pressure_bar >= self.unload_bar and self._may_unload():
            self.state, self._idle_s = State.UNLOADED, 0.0
        elif self.state is State.UNLOADED:
            self._idle_s += dt_s
            if self._idle_s >= self.run_on_s:
                self.state = State.STOPPED

    def _warm(self, dt_s: float) -> None:
        """The oil thermostat holds a loaded airend near 80 °C; it cools slowly when stopped."""
        room = self.air.site.weather.air + 6.0
        above, tau_s = ((0.0, 2_400.0), (36.0, 400.0), (52.0, 200.0))[self.state]
        goal = room + above + (4.0 * self.speed if self.state is State.LOADED else 0.0)
        self.temperature += (goal - self.temperature) * -math.expm1(-dt_s / tau_s)

    def advance(self, now_ns: int, dt_s: float) -> float:
        self.air.advance(now_ns, dt_s)
        power = self._step_kj / dt_s
        self.volume_m3 += self._step_m3
        self.readings.update(self.meter.read(power, self._step_kvars / dt_s, dt_s))
        loaded = self.state is State.LOADED
        self.readings.update(
            discharge_pressure=self.air.pressure_bar + (0.05 if loaded else 0.0),
            system_pressure=self.air.pressure_bar,
            sump_pressure=self.sump_bar,
            separator_pressure_drop=0.25 if loaded else 0.0,
            discharge_temperature=self.temperature,
            airend_discharge_temperature=self.temperature,
            injected_coolant_temperature=self.temperature - (12.0 if loaded else 2.0),
            aftercooler_discharge_temperature=self.air.site.weather.air + (14.0 if loaded else 6.0),
            flow=self._step_m3 * 3_600.0 / dt_s,
            volume=self.volume_m3,
            run_hours=self.run_hours,
            load_hours=self.load_hours,
            starts=float(self.starts),
            state=float(self.state),
            main_motor_speed=self.speed * self.rated_rpm,
            load_pressure_setpoint=self.load_bar,
            unload_pressure_setpoint=self.unload_bar,
        )
        for alias, name in _ALIASES.items():
            self.readings[alias] = self.readings[name]
        return power


class VariableSpeedCompressor(ScrewCompressor):
    """A screw compressor whose speed follows pressure by PI control, between `slowest` and rated speed.

    Below its slowest speed it unloads `band_bar` above the setpoint and loads again `band_bar` / 2 below it.
    Readings as `ScrewCompressor` and vfd_frequency [Hz], vfd_power [kW], vfd_voltage [V], vfd_current [A].
    """

    power_factor = 0.96
    thd_current = 32.0  # six-pulse rectifier with a choke
    kp_per_bar = 2.0
    integral_s = 30.0
    ramp_per_s = 0.05

    def __init__(
        self,
        name: str,
        air: CompressedAir,
        flow_m3_min: float,
        specific_power: float,
        rated_bar: float = 7.0,
        setpoint_bar: float = 6.9,
        band_bar: float = 0.4,
        slowest: float = 0.25,
        run_on_s: float = 120.0,
    ) -> None:
        load, unload = setpoint_bar - band_bar / 2, setpoint_bar + band_bar
        super().__init__(name, air, flow_m3_min, specific_power, rated_bar, load, unload, run_on_s)
        self.setpoint_bar, self.slowest = setpoint_bar, slowest
        self.speed = self._integral = 0.6
        self.state = State.LOADED

    def reactive_at(self, power_kw: float) -> float:
        """Return the reactive power [kvar]: a rectifier's power factor hardly depends on load."""
        return power_kw * math.tan(math.acos(self.power_factor))

    def _may_unload(self) -> bool:
        return self.speed <= self.slowest + 1e-9

    def _speed(self, pressure_bar: float, dt_s: float) -> float:
        if self.state is not State.LOADED:
            self._integral = self.slowest
            return self.slowest if self.state else 0.0
        error = self.setpoint_bar - pressure_bar
        gain = self.kp_per_bar
        self._integral = max(self.slowest, min(1.0, self._integral + gain * error * dt_s / self.integral_s))
        wish = max(self.slowest, min(1.0, self._integral + gain * error))
        most = self.ramp_per_s * dt_s
        return max(self.slowest, self.speed + max(-most, min(most, wish - self.speed)))

    def advance(self, now_ns: int, dt_s: float) -> float:
        power = super().advance(now_ns, dt_s)
        shaft = 0.95 * power  # fan and controls take the rest
        volts = 400.0 * self.speed  # constant flux
        amps = shaft * 1_000.0 / (math.sqrt(3) * volts * 0.88) if volts > 0 else 0.0
        self.readings.update(vfd_frequency=50.0 * self.speed, vfd_power=shaft, vfd_voltage=volts, vfd_current=amps)
        return power
