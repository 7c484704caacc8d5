"""A seed and a clock enter, the machines of a whole factory in step with each other leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from pipeline.clock import SECOND_NS, Clock
from simulators.chiller import WaterCooledChiller
from simulators.compressed_air import CompressedAir, shift_demand
from simulators.compressor import ScrewCompressor, VariableSpeedCompressor
from simulators.device import Device
from simulators.electric_meter import MainMeter
from simulators.events import Event, Events
from simulators.furnace import GasFurnace
from simulators.pv import PvInverter
from simulators.site import Site


class Plant:
    """Devices on one time base, stepped in the given order (a meter that sums others comes last).

    `parts` are machines without a meter of their own; events happen to them as to devices.
    `watchers` are called with the time after every step, when all readings belong to that time.
    """

    def __init__(
        self, devices: Sequence[Device], period_s: float = 1.0, parts: Mapping[str, object] | None = None
    ) -> None:
        self.devices = {device.name: device for device in devices}
        self.machines: dict[str, object] = {**(parts or {}), **self.devices}
        self.period_s = period_s
        self.time_ns: int | None = None
        self.elapsed_s = 0.0
        self._events = Events((), self.machines)
        self.watchers: list[Callable[[int], None]] = []

    @classmethod
    def demo(cls, seed: int = 1, period_s: float = 1.0) -> Plant:
        """Return the demo factory: 150 … 500 kW of electricity, up to 2.5 MW of gas; never exports."""
        site = Site(seed)
        air = CompressedAir(site, shift_demand(site, 15.0))
        vsd = VariableSpeedCompressor("compressor-1", air, flow_m3_min=13.2, specific_power=6.3)  # a 75 kW machine
        fixed = ScrewCompressor("compressor-2", air, flow_m3_min=9.7, specific_power=6.4)  # a 55 kW machine
        furnace = GasFurnace("furnace-1", site)
        chiller = WaterCooledChiller("chiller-1", site)
        pv = PvInverter("pv-1", site)
        main = MainMeter("main-meter", site, consumers=(vsd, fixed, chiller), generators=(pv,))
        return cls((vsd, fixed, furnace, chiller, pv, main), period_s, {"air-station": air})

    def suffer(self, events: Iterable[Event]) -> None:
        """Let these events happen, counted from the first step; raises ValueError for one that cannot."""
        self._events = Events(events, self.machines)

    def step(self, now_ns: int) -> None:
        """Advance every device from the last step's time (at first: one period before) to `now_ns` [ns UTC].

        Raises ValueError when `now_ns` is not later than the last step.
        """
        dt_s = self.period_s if self.time_ns is None else (now_ns - self.time_ns) / SECOND_NS
        if dt_s <= 0:
            raise ValueError(f"the plant stands at {self.time_ns} ns and cannot step back to {now_ns} ns")
        self.elapsed_s += dt_s
        self._events.step(self.elapsed_s)
        for device in self.devices.values():
            device.step(now_ns, dt_s)
        self.time_ns = now_ns
        for watcher in self.watchers:
            watcher(now_ns)

    async def run(self, clock: Clock, period_s: float = 1.0) -> None:
        """Step at every whole multiple of `period_s` of `clock` until cancelled; late steps are made up one by one."""
        self.period_s = period_s
        period_ns = round(period_s * SECOND_NS)
        next_ns = (clock.now_ns() // period_ns + 1) * period_ns
        while True:
            await clock.sleep((next_ns - clock.now_ns()) / SECOND_NS)
            while next_ns <= clock.now_ns():
                self.step(next_ns)
                next_ns += period_ns
                await asyncio.sleep(0)
