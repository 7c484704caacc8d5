"""Consumers, generators and an unmetered base load enter; what the main electricity meter shows leaves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from simulators.device import Device
from simulators.electrical import Submeter
from simulators.site import Site
from simulators.wander import Wander


class MainMeter(Device):
    """The meter at the grid connection: P = Σ consumers + base − Σ generators, the same for reactive power.

    Step it after all others. Power and true energy are net, positive when drawn from the grid; the registers count the
    two directions apart. Base load is not metered elsewhere; its energy is `base_kwh`.
    Readings: those of `Submeter.read`.
    """

    def __init__(
        self,
        name: str,
        site: Site,
        consumers: Sequence[Device],
        generators: Sequence[Device] = (),
        base: Callable[[int], float] | None = None,
        base_power_factor: float = 0.92,
    ) -> None:
        super().__init__(name)
        self.site, self.consumers, self.generators = site, consumers, generators
        self.base = base or shift_base(site, 100.0, 140.0)  # [kW] at a time [ns UTC]
        self.base_kwh = 0.0
        self.extra_kw = 0.0  # what runs beside the base load and should not
        self._base_tan = math.tan(math.acos(base_power_factor))
        self.meter = Submeter(name, site, export_kwh=12.3, thd_current=9.0)

    def advance(self, now_ns: int, dt_s: float) -> float:
        self.site.advance(now_ns, dt_s)
        base = self.base(now_ns - int(dt_s * 5e8)) + self.extra_kw
        self.base_kwh += base * dt_s / 3_600.0
        power, reactive = base, base * self._base_tan
        for device in self.consumers:
            power += device.readings["power"]
            reactive += device.readings["reactive_power"]
        for device in self.generators:
            power -= device.readings["power"]
            reactive += device.readings["reactive_power"]
        self.readings.update(self.meter.read(power, reactive, dt_s))
        return power


def shift_base(site: Site, always_kw: float, busy_kw: float) -> Callable[[int], float]:
    """Return light, ventilation and small machines [kW] as a function of time: a floor, and a share by the shifts."""
    machines = Wander(f"{site.seed}/base", tau_s=300, every_s=10)
    return lambda now_ns: always_kw + busy_kw * site.busy * max(0.3, 1.0 + 0.12 * machines.at(now_ns))
