"""Demand for compressed air and the flow of several compressors enter, the pressure of their common receiver leaves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from simulators.site import Site
from simulators.wander import Wander

ATMOSPHERE_BAR = 1.01325
_SUBSTEP_S = 2.0  # pressure control moves within tens of seconds
_FULL_SERVICE_BAR = 3.0  # below it consumers get less than they ask for


class AirSource(Protocol):
    """What feeds the receiver."""

    def begin(self) -> None:
        """A new step starts."""

    def run(self, pressure_bar: float, dt_s: float) -> float:
        """Run `dt_s` against `pressure_bar` (gauge) and return the mean free air delivered [m³/min]."""


def shift_demand(site: Site, peak_m3_min: float, name: str = "air") -> Callable[[int], float]:
    """Return the demand [m³/min of free air] as a function of time: the shifts, with tools coming and going."""
    tools = Wander(f"{site.seed}/{name}/demand", tau_s=90, every_s=10)
    return lambda now_ns: peak_m3_min * site.busy * max(0.1, 0.9 + 0.2 * tools.at(now_ns))


class CompressedAir:
    """A receiver with its header: V·dp/dt = p₀·(Σ q_compressor − q_demand − q_leak), isothermal, q as free air.

    Leaks are holes: their flow goes with absolute pressure and is `leak_m3_min` at `nominal_bar` (gauge).
    """

    def __init__(
        self,
        site: Site,
        demand: Callable[[int], float],
        receiver_m3: float = 5.0,
        leak_m3_min: float = 1.5,
        nominal_bar: float = 7.0,
    ) -> None:
        self.site, self.demand, self.receiver_m3, self.leak_m3_min = site, demand, receiver_m3, leak_m3_min
        self.nominal_bar = nominal_bar
        self.pressure_bar = nominal_bar  # gauge
        self.sources: list[AirSource] = []
        self.produced_m3 = self.used_m3 = self.leaked_m3 = 0.0  # free air since the start
        self._time_ns: int | None = None

    def advance(self, now_ns: int, dt_s: float) -> None:
        """Advance receiver and all compressors by `dt_s` up to `now_ns`; asked twice for one step it does nothing."""
        if now_ns == self._time_ns:
            return
        self._time_ns = now_ns
        self.site.advance(now_ns, dt_s)
        for source in self.sources:
            source.begin()
        substeps = math.ceil(dt_s / _SUBSTEP_S - 1e-9)
        start_ns, h_s = now_ns - int(dt_s * 1e9), dt_s / substeps
        for k in range(substeps):
            self._balance(start_ns + int((k + 0.5) * h_s * 1e9), h_s)

    def _balance(self, now_ns: int, dt_s: float) -> None:
        minutes = dt_s / 60.0
        produced = sum(source.run(self.pressure_bar, dt_s) for source in self.sources) * minutes
        service = max(0.0, min(1.0, self.pressure_bar / _FULL_SERVICE_BAR))
        used = self.demand(now_ns) * service * minutes
        absolute = (self.pressure_bar + ATMOSPHERE_BAR) / (self.nominal_bar + ATMOSPHERE_BAR)
        leaked = self.leak_m3_min * absolute * minutes if self.pressure_bar > 0 else 0.0
        self.pressure_bar += ATMOSPHERE_BAR * (produced - used - leaked) / self.receiver_m3
        self.produced_m3 += produced
        self.used_m3 += used
        self.leaked_m3 += leaked
