"""Production demand enters; gas, tonnes, temperatures and flue gas of a steel reheating furnace leave."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from simulators.device import Device
from simulators.gas_meter import GasMeter
from simulators.site import Site
from simulators.wander import Wander

_SUBSTEP_S = 5.0
_STEFAN_BOLTZMANN = 5.670374e-11  # [kW/(m²·K⁴)]
_KELVIN = 273.15
# Siegert's coefficients for natural gas, O2 in % of dry flue gas, result in % of NCV.
_SIEGERT_A2, _SIEGERT_B = 0.66, 0.009


def flue_loss(flue_celsius: float, air_celsius: float, o2_percent: float) -> float:
    """Return the flue loss as a share of NCV [1] by Siegert: q = (T_flue − T_air)·(A₂ / (21 − O₂) + B) / 100."""
    return (flue_celsius - air_celsius) * (_SIEGERT_A2 / (21.0 - o2_percent) + _SIEGERT_B) / 100.0


class GasFurnace(Device):
    """Walking-beam furnace: cold pieces enter, move slot by slot, leave when they are hot and the mill wants them.

    C_wall·dT/dt = gas·(1 − flue loss) − Σ to pieces − through the wall; a piece gains ε·σ·A·(T⁴ − T_piece⁴).
    Flue gas leaves behind a recuperator, so its temperature grows with firing. The
    accounted energy is the gas's heat (NCV).
    Readings: those of `GasMeter.read` [m3, m3/h at its reference] · mass [t] cumulative out · mass_flow [t/h] mean
    of the step · furnace_temperature, furnace_setpoint, charge_temperature (the hottest piece's), flue_temperature,
    discharge_temperature (the last piece's that left) [degC] · flue_o2 [%] · firing_rate [%] · burner_on [1] ·
    gas_power [kW].
    """

    def __init__(
        self,
        name: str,
        site: Site,
        burner_kw: float = 3_600.0,
        rate_t_h: float = 8.0,
        setpoint: float = 1_250.0,
        firing: Literal["modulating", "high-low"] = "modulating",
        gas: GasMeter | None = None,
        demand: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(name)
        self.site, self.burner_kw, self.rate_t_h, self.setpoint, self.firing = (
            site,
            burner_kw,
            rate_t_h,
            setpoint,
            firing,
        )
        self.gas = gas or GasMeter(start=654_321.0)
        self.demand = demand or (lambda: site.busy)  # share of `rate_t_h`
        self.wanted = 1.0  # share of that demand which the mill takes; 0: it stands, and the furnace is kept hot
        self.piece_t, self.slots = 0.25, 24
        self.heat_capacity = 12_000.0  # of the lining's hot side [kJ/K]
        self.wall_kw_k = 0.15
        self.piece_area_m2, self.emissivity = 0.62, 0.7
        self.steel_kj_t_k = 690.0  # mean of 20 … 1,200 °C
        self.discharge_above = 1_150.0
        self.celsius = setpoint
        self.pieces = [25.0 + (self.discharge_above - 25.0) * math.sqrt(k / self.slots) for k in range(self.slots)]
        self.mass_t = 45_678.0
        self.rate = self._integral = 0.6  # firing, share of `burner_kw`
        self.lit = True
        self.o2_percent, self.flue_celsius = 3.0, 420.0
        self.discharged = self.discharge_above
        self._due_t = 0.0
        self._o2 = Wander(f"{site.seed}/{name}/o2", tau_s=300, every_s=10)
        # First-law totals since the start [kJ]
        self.gas_kj = self.flue_kj = self.wall_kj = self.out_kj = self.in_kj = 0.0

    @property
    def stored_kj(self) -> float:
        """Return the heat in lining and pieces above 0 °C [kJ]."""
        return self.heat_capacity * self.celsius + self.piece_t * self.steel_kj_t_k * sum(self.pieces)

    def advance(self, now_ns: int, dt_s: float) -> float:
        self.site.advance(now_ns, dt_s)
        before_t, before_kj = self.mass_t, self.gas_kj
        substeps = math.ceil(dt_s / _SUBSTEP_S - 1e-9)
        start_ns, h_s = now_ns - int(dt_s * 1e9), dt_s / substeps
        for k in range(substeps):
            self._control(h_s)
            self._flue(start_ns + int((k + 0.5) * h_s * 1e9))
            self._heat(h_s)
            self._move(h_s)
        power = (self.gas_kj - before_kj) / dt_s
        self.readings.update(self.gas.read(power, dt_s))
        self.readings.update(
            mass=self.mass_t,
            mass_flow=(self.mass_t - before_t) * 3_600.0 / dt_s,
            furnace_temperature=self.celsius,
            furnace_setpoint=self.setpoint,
            charge_temperature=self.pieces[-1],
            discharge_temperature=self.discharged,
            flue_temperature=self.flue_celsius,
            flue_o2=self.o2_percent,
            firing_rate=100.0 * self.rate,
            burner_on=float(self.lit),
            gas_power=power,
        )
        return power

    def _control(self, dt_s: float) -> None:
        """Modulating: PI between low fire (10 %) and full, off above; high-low: 100 % or 20 % by a band of ± 6 K."""
        error = self.setpoint - self.celsius
        self.lit = error > -20.0 if self.lit else error > 5.0
        if not self.lit:
            self.rate = 0.0
        elif self.firing == "high-low":
            self.rate = 1.0 if error > 6.0 else 0.2 if error < -6.0 or self.rate < 0.2 else self.rate
        else:
            self._integral = max(0.1, min(1.0, self._integral + 0.02 * error * dt_s / 600.0))
            self.rate = max(0.1, min(1.0, self._integral + 0.02 * error))

    def _flue(self, now_ns: int) -> None:
        # Less turndown of air than of gas: excess air grows at low fire.
        self.o2_percent = max(1.0, 2.5 + 3.5 * (1.0 - self.rate) ** 2 + 0.2 * self._o2.at(now_ns))
        air = self.site.weather.air
        self.flue_celsius = air + (0.22 + 0.14 * self.rate) * (self.celsius - air)

    def _heat(self, dt_s: float) -> None:
        air = self.site.weather.air
        gas = self.burner_kw * self.rate * dt_s
        flue = gas * flue_loss(self.flue_celsius, air, self.o2_percent)
        wall = self.wall_kw_k * (self.celsius - air) * dt_s
        hot = (self.celsius + _KELVIN) ** 4
        radiation = self.emissivity * _STEFAN_BOLTZMANN * self.piece_area_m2 * dt_s
        piece_kj_k = self.piece_t * self.steel_kj_t_k
        charge = 0.0
        for k, celsius in enumerate(self.pieces):
            gain = radiation * (hot - (celsius + _KELVIN) ** 4)
            self.pieces[k] = celsius + gain / piece_kj_k
            charge += gain
        self.celsius += (gas - flue - wall - charge) / self.heat_capacity
        self.gas_kj += gas
        self.flue_kj += flue
        self.wall_kj += wall

    def _move(self, dt_s: float) -> None:
        self._due_t = min(self._due_t + self.rate_t_h * self.demand() * self.wanted * dt_s / 3_600.0, 2 * self.piece_t)
        if self._due_t < self.piece_t or self.pieces[-1] < self.discharge_above:
            return
        self._due_t -= self.piece_t
        piece_kj_k = self.piece_t * self.steel_kj_t_k
        cold = self.site.weather.air
        self.discharged = self.pieces.pop()
        self.pieces.insert(0, cold)
        self.out_kj += piece_kj_k * self.discharged
        self.in_kj += piece_kj_k * cold
        self.mass_t += self.piece_t
