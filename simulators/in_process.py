"""A scenario and a gateway's devices enter; what they would be read as leaves, without any protocol.

For days of plant time in seconds: `tanflow demo` shows the same over the real protocols.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from config.bindings import BoundDevice, series_key
from pipeline.clock import SECOND_NS
from simulators.device import Device
from simulators.faults import DeviceFaults, Fault
from simulators.scenario import Scenario

Readings = tuple[int, Mapping[str, float]]  # an instant [ns UTC], values [canonical units] by key of series


class InProcess:
    """The devices of a scenario, read where they stand. `devices` have the truth."""

    def __init__(self, scenario: Scenario, bound: Collection[BoundDevice]) -> None:
        self.devices, self._step = scenario.devices()
        self._step_s = scenario.step_s
        self._read = [
            _Read(b, self.devices[b.asset_name], DeviceFaults(_mine(scenario, b), b.points))
            for b in bound
            if b.asset_name in self.devices
        ]

    def readings(self, begin_ns: int, seconds: float) -> Iterator[Readings]:
        """Step through `seconds` from `begin_ns` on and yield what each step shows."""
        for n in range(1, round(seconds / self._step_s) + 1):
            now_ns = begin_ns + round(n * self._step_s * SECOND_NS)
            self._step(now_ns, self._step_s)
            values: dict[str, float] = {}
            for one in self._read:
                values |= one.values(n * self._step_s, now_ns)
            yield now_ns, values


class _Read:
    """One device as it is read."""

    def __init__(self, bound: BoundDevice, device: Device, faults: DeviceFaults) -> None:
        self._device, self._faults = device, faults
        self._keys = {
            name.removeprefix(bound.device.prefix): (name, series_key(bound.asset_name, name, point.quantity))
            for name, point in bound.points.items()
        }
        # Only registers are looked at; a frozen node or message brings nothing new.
        self._looked_at = all(point.protocol == "modbus" for point in bound.points.values())

    def values(self, elapsed_s: float, now_ns: int) -> dict[str, float]:
        """Return what is read of it at this step, by key of series."""
        readings = self._device.readings
        own = {name: readings[at] for at, (name, _) in self._keys.items() if at in readings}
        shown = self._faults.show(elapsed_s, now_ns, own)
        lost = shown.link is not None and (shown.link.drop or shown.link.exception)
        if lost or (shown.time_ns != now_ns and not self._looked_at):
            return {}
        good = {name: v for name, v in shown.readings.items() if name not in shown.status and not math.isnan(v)}
        return {key: good[name] for name, key in self._keys.values() if name in good}


def _mine(scenario: Scenario, bound: BoundDevice) -> list[Fault]:
    return [fault for fault in scenario.faults if fault.device in (bound.asset_name, bound.key)]
