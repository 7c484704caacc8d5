"""A gateway's configuration and simulated devices enter; every device is served where the configuration reads it.

The one file that tells the gateway where a value stands tells the simulator where to put it.
"""

from __future__ import annotations

import logging
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from config.bindings import BoundDevice, bind
from config.errors import ConfigError, Problem
from config.model import Gateway
from config.points import DeviceMap
from config.protocols.modbus import ModbusConnection
from pipeline.clock import SECOND_NS, Clock
from simulators.device import Device
from simulators.faults import DeviceFaults, Fault, Shown
from simulators.free_places import as_served
from simulators.meter_items import MeterItems
from simulators.network import Network, Outlet, UnitOutlet
from simulators.serve_mqtt import Messages
from simulators.serve_sparkplug import SparkplugDevice

log = logging.getLogger("tanflow.simulators")

Step = Callable[[int, float], object]


class _Placed:
    """One device at one place: its faults, its outlet and how often it shows something new."""

    def __init__(self, device: Device, bound: BoundDevice, outlet: Outlet, faults: Iterable[Fault]) -> None:
        self.device = device
        self.key = bound.key
        self.prefix = bound.device.prefix
        self.faults = DeviceFaults(faults, bound.points)
        self.outlet = outlet
        # Registers and nodes are looked at; only messages have a period of their own.
        self.every_s = (bound.device.every_s or 0.0) if isinstance(outlet, Messages | SparkplugDevice) else 0.0
        self.period = 0
        self.waiting: deque[tuple[float, Shown]] = deque()  # until (elapsed [s]) a lag lets them through

    def readings(self) -> Mapping[str, float]:
        """Return the device's readings under the names its points have here."""
        readings = self.device.readings
        return readings | {self.prefix + n: v for n, v in readings.items()} if self.prefix else readings

    async def show(self, elapsed_s: float, now_ns: int) -> None:
        period = int((elapsed_s + 1e-9) / self.every_s) if self.every_s else self.period + 1
        if period > self.period:
            self.period = period
            shown = self.faults.show(elapsed_s, now_ns, self.readings())
            # A late answer is the unit's own.
            late = shown.link is not None and not isinstance(self.outlet, UnitOutlet | MeterItems)
            self.waiting.append((elapsed_s + (shown.link.lag_s if late and shown.link else 0.0), shown))
        while self.waiting and self.waiting[0][0] <= elapsed_s + 1e-9:
            await self.outlet.show(self.waiting.popleft()[1])


class Served:
    """The devices on the network. `gateway` is the configuration with the real ports; `step` moves time."""

    def __init__(self, gateway: Gateway, devices: Mapping[str, Device], step: Step, network: Network) -> None:
        self.gateway = gateway
        self.devices = devices  # with the truth: `devices[asset].trace`
        self.elapsed_s = 0.0
        self.network = network
        self._step = step
        self.placed: list[_Placed] = []

    async def step(self, now_ns: int, dt_s: float) -> None:
        """Advance the physics by `dt_s` [s] up to `now_ns` and show it everywhere."""
        self._step(now_ns, dt_s)
        self.elapsed_s += dt_s
        for placed in self.placed:
            await placed.show(self.elapsed_s, now_ns)
        self.network.settle()
        if self.elapsed_s == dt_s:
            for key, names in self.unread().items():
                log.info("%s: no simulated value for %s", key, ", ".join(names))

    def unread(self) -> dict[str, list[str]]:
        """Return, once a step is made, the configured points by asset.device that the physics has no reading for."""
        found = {p.key: sorted(n for n in p.faults.points if n not in p.readings()) for p in self.placed}
        return {key: names for key, names in found.items() if names}

    async def run(self, clock: Clock, every_s: float = 1.0) -> None:
        """Step now and at every whole `every_s` of the clock until cancelled; a late step covers the time passed."""
        period = round(every_s * SECOND_NS)
        last = clock.now_ns() // period * period - period
        while True:
            await clock.sleep((last + period - clock.now_ns()) / SECOND_NS)
            due = clock.now_ns() // period * period
            if due > last:
                await self.step(due, (due - last) / SECOND_NS)
                last = due


@asynccontextmanager
async def serve(
    gateway: Gateway,
    templates: Mapping[str, DeviceMap],
    devices: Mapping[str, Device],
    *,
    faults: Sequence[Fault] = (),
    step: Step | None = None,
    free_ports: bool = False,
    own_broker: bool = True,
) -> AsyncIterator[Served]:
    """Serve every device of `gateway` whose asset is a simulated device of that name, at its configured place.

    `step` moves the physics (default: each device in order). `free_ports` replaces every port by a free one.
    `own_broker` starts a broker for each MQTT connection; without, the configured one is published to.
    Raises ConfigError for an address that cannot be served and for a fault that cannot happen.
    """
    _check(gateway, _places(gateway, templates, devices), devices, faults)

    def each(now_ns: int, dt_s: float) -> None:
        for device in devices.values():
            device.step(now_ns, dt_s)

    with tempfile.TemporaryDirectory() as ports:
        gateway = as_served(gateway, ports if free_ports else None, own_broker)
        async with Network(gateway, own_broker) as network:
            served = Served(gateway, devices, step or each, network)
            for bound in _places(gateway, templates, devices):
                outlet = await network.open(bound)
                mine = [f for f in faults if f.device in (bound.asset_name, bound.key)]
                served.placed.append(_Placed(devices[bound.asset_name], bound, outlet, mine))
            yield served


def _places(gateway: Gateway, templates: Mapping[str, DeviceMap], devices: Mapping[str, Device]) -> list[BoundDevice]:
    return [b for b in bind(gateway, dict(templates)) if b.asset_name in devices]


def _check(
    gateway: Gateway, places: Sequence[BoundDevice], devices: Mapping[str, Device], faults: Sequence[Fault]
) -> None:
    """Raise ConfigError with everything that cannot be served."""
    found: list[tuple[str, str]] = []
    for bound in places:
        connection = gateway.connections[bound.device.connection]
        if isinstance(connection, ModbusConnection):
            try:
                connection.unit_address(bound.device.address)
            except ValueError as error:
                found.append((bound.key, str(error)))
        mine = [f for f in faults if f.device in (bound.asset_name, bound.key)]
        found += [(bound.key, problem) for problem in DeviceFaults(mine, bound.points).problems()]
    known = {b.asset_name for b in places} | {b.key for b in places}
    found += [(f.device, "a fault for a device that is not served") for f in faults if f.device not in known]
    if unplaced := sorted(set(devices) - {b.asset_name for b in places}):
        log.info("simulated but not in the gateway's configuration, so not served: %s", ", ".join(unplaced))
    if found:
        raise ConfigError([Problem("scenario", 1, where, message) for where, message in found])
