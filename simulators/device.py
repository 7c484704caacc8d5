"""What every simulated device is: physics stepped in time, readings by point name, and the truth nobody else sees."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from array import array


class Trace:
    """The truth at every step, by sequence number: time [ns UTC], cumulative energy [kWh] and power [kW]."""

    def __init__(self) -> None:
        self.time_ns = array("q")
        self.energy_kwh = array("d")
        self.power_kw = array("d")

    def add(self, time_ns: int, energy_kwh: float, power_kw: float) -> int:
        """Append one step and return its sequence number."""
        self.time_ns.append(time_ns)
        self.energy_kwh.append(energy_kwh)
        self.power_kw.append(power_kw)
        return len(self.time_ns) - 1

    def energy_between(self, first: int, last: int) -> float:
        """Return the true energy [kWh] from step `first` to step `last`."""
        return self.energy_kwh[last] - self.energy_kwh[first]

    def integration_bound(self, steps: list[int]) -> float:
        """Return the most a trapezoid over samples taken at `steps` can differ from the truth [kWh].

        Between two samples the true integral and the trapezoid both lie within dt·P_min … dt·P_max of that
        interval, so |error| ≤ Σ dt·(P_max − P_min).
        """
        bound = 0.0
        for a, b in itertools.pairwise(steps):
            power = self.power_kw[a : b + 1]
            bound += (self.time_ns[b] - self.time_ns[a]) / 3.6e12 * (max(power) - min(power))
        return bound


class Device(ABC):
    """A machine or meter. `readings` maps point names to values in canonical units (config.quantities)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.readings: dict[str, float] = {}
        self.trace = Trace()
        self.energy_kwh = 0.0  # true, cumulative, of the carrier the device is accounted for

    @abstractmethod
    def advance(self, now_ns: int, dt_s: float) -> float:
        """Advance the physics by `dt_s`, set `readings`, return the mean power of the step [kW]."""

    def step(self, now_ns: int, dt_s: float) -> None:
        """Advance by `dt_s` [s] up to `now_ns` and record the truth; `readings["sequence"]` counts steps."""
        power_kw = self.advance(now_ns, dt_s)
        self.energy_kwh += power_kw * dt_s / 3600.0
        self.readings["sequence"] = float(self.trace.add(now_ns, self.energy_kwh, power_kw))
