"""A gateway's configuration and simulated devices enter; every device is served where the configuration reads it.

The one file that tells the gateway where a value stands tells the simulator where to put it.
"""

from __future__ import annotations

import logging
import shutil
import socket
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from config import secrets
from config.bindings import BoundDevice, bind
from config.errors import ConfigError, Problem
from config.model import Gateway
from config.points import DeviceMap
from config.protocols.dlt645 import Dlt645Connection, dlt645_address
from config.protocols.modbus import ModbusAddress, ModbusConnection, modbus_address
from config.protocols.mqtt import MqttConnection
from config.protocols.opcua import OpcuaConnection
from config.protocols.sparkplug import SparkplugConnection, sparkplug_address
from pipeline.clock import SECOND_NS, Clock
from simulators.broker import Broker
from simulators.device import Device
from simulators.faults import DeviceFaults, Fault, Link, Shown
from simulators.meter_items import MeterItems
from simulators.registers import RegisterMap
from simulators.serve_dlt645 import OTHER_ERROR, Meter, PortLine, TcpLine
from simulators.serve_dlt645 import Line as MeterLine
from simulators.serve_modbus import BUSY, Bank, ModbusServer, Unit
from simulators.serve_modbus_rtu import RtuLine, RtuPort, RtuServer
from simulators.serve_mqtt import Messages, Publisher
from simulators.serve_opcua import OpcuaServer, secured_for
from simulators.serve_sparkplug import EdgeNode, SparkplugDevice

log = logging.getLogger("tanflow.simulators")

_ON_BROKERS: Final = ("mqtt", "sparkplug")

Step = Callable[[int, float], object]


class Outlet(Protocol):
    """Where the values of a device become visible."""

    async def show(self, shown: Shown) -> None: ...


class _Registers:
    """A Modbus unit as an outlet."""

    def __init__(self, bound: BoundDevice, unit: Unit) -> None:
        self.map = RegisterMap(bound.points, bound.modbus, text=bound.asset_name)
        self.unit = unit

    async def show(self, shown: Shown) -> None:
        self.unit.show(self.map.encode(shown.readings, shown.time_ns))
        self.unit.link = shown.link


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
            late = shown.link is not None and not isinstance(self.outlet, _Registers | MeterItems)
            self.waiting.append((elapsed_s + (shown.link.lag_s if late and shown.link else 0.0), shown))
        while self.waiting and self.waiting[0][0] <= elapsed_s + 1e-9:
            await self.outlet.show(self.waiting.popleft()[1])


class Served:
    """The devices on the network. `gateway` is the configuration with the real ports; `step` moves time."""

    def __init__(self, gateway: Gateway, devices: Mapping[str, Device], step: Step) -> None:
        self.gateway = gateway
        self.devices = devices  # with the truth: `devices[asset].trace`
        self.elapsed_s = 0.0
        self.modbus: dict[str, ModbusServer] = {}  # by host:port of `gateway`
        self.lines: dict[str, RtuLine] = {}  # of Modbus RTU, by host:port or path of `gateway`
        self.meters: dict[str, MeterLine] = {}  # lines of DL/T 645 meters, by host:port or serial port of `gateway`
        self.opcua: dict[str, OpcuaServer] = {}  # by connection
        self.mqtt: dict[str, Publisher] = {}  # by connection
        self.messages: dict[str, Messages] = {}  # by asset.device
        self.edge_nodes: dict[tuple[str, str], EdgeNode] = {}  # by connection and group/node
        self.brokers: set[tuple[str, int]] = set()
        self.units: dict[str, Unit] = {}  # by asset.device
        self._step = step
        self.placed: list[_Placed] = []

    async def step(self, now_ns: int, dt_s: float) -> None:
        """Advance the physics by `dt_s` [s] up to `now_ns` and show it everywhere."""
        self._step(now_ns, dt_s)
        self.elapsed_s += dt_s
        for placed in self.placed:
            await placed.show(self.elapsed_s, now_ns)
        clients: list[Publisher | EdgeNode] = [*self.mqtt.values(), *self.edge_nodes.values()]
        for client in clients:
            client.settle()
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
    own = tempfile.mkdtemp() if free_ports else None
    gateway = _as_served(gateway, own, own_broker)

    def each(now_ns: int, dt_s: float) -> None:
        for device in devices.values():
            device.step(now_ns, dt_s)

    served = Served(gateway, devices, step or each)
    async with AsyncExitStack() as stack:
        if own:
            stack.callback(shutil.rmtree, own)
        for bound in _places(gateway, templates, devices):
            outlet = await _open(served, stack, bound, own_broker)
            mine = [f for f in faults if f.device in (bound.asset_name, bound.key)]
            served.placed.append(_Placed(devices[bound.asset_name], bound, outlet, mine))
        yield served


def _places(gateway: Gateway, templates: Mapping[str, DeviceMap], devices: Mapping[str, Device]) -> list[BoundDevice]:
    return [b for b in bind(gateway, dict(templates)) if b.asset_name in devices]


async def _open(served: Served, stack: AsyncExitStack, bound: BoundDevice, own_broker: bool) -> Outlet:
    """Return the outlet of one device, starting the server it stands on at first need."""
    connection = served.gateway.connections[bound.device.connection]
    if isinstance(connection, ModbusConnection):
        return await _open_modbus(served, stack, bound, connection)
    if isinstance(connection, Dlt645Connection):
        return await _open_dlt645(served, stack, bound, connection)
    if isinstance(connection, OpcuaConnection):
        return await _open_opcua(served, stack, bound, connection)
    if isinstance(connection, MqttConnection):
        return await _open_mqtt(served, stack, bound, connection, own_broker)
    if isinstance(connection, SparkplugConnection):
        return await _open_sparkplug(served, stack, bound, connection, own_broker)
    raise ConfigError([Problem("scenario", 1, bound.key, f"nothing is simulated on {connection.protocol}")])


async def _open_modbus(
    served: Served, stack: AsyncExitStack, bound: BoundDevice, connection: ModbusConnection
) -> Outlet:
    bank, number = await _bank(served, stack, connection, connection.unit_address(bound.device.address))
    unit = served.units[bound.key] = Unit(max_registers=bound.template.max_registers if bound.template else 125)
    bank.units[number] = unit
    unit.link = Link(exception=BUSY)  # until it has something to show
    return _Registers(bound, unit)


async def _bank(
    served: Served, stack: AsyncExitStack, connection: ModbusConnection, at: ModbusAddress
) -> tuple[Bank, int]:
    """Return the server or line a unit stands at, and its number there."""
    key = f"{at.host}:{at.port}" if at.host else str(connection.line.port)
    if connection.framing == "tcp":
        if key not in served.modbus:
            served.modbus[key] = await stack.enter_async_context(ModbusServer(at.host, at.port))
        return served.modbus[key], at.unit
    if key not in served.lines:
        line = RtuServer(at.host, at.port, connection.line) if at.host else RtuPort(connection.line)
        served.lines[key] = await stack.enter_async_context(line)
    return served.lines[key], at.unit


async def _open_dlt645(
    served: Served, stack: AsyncExitStack, bound: BoundDevice, connection: Dlt645Connection
) -> Outlet:
    host, port, digits = dlt645_address(bound.device.address)
    key = f"{host}:{port}" if host else str(connection.serial.port)
    if key not in served.meters:
        line = TcpLine(host, port) if host else PortLine(connection.serial)
        served.meters[key] = await stack.enter_async_context(line)
    meter = served.meters[key].meters[digits] = Meter(digits)
    meter.link = Link(exception=OTHER_ERROR)  # until it has something to show
    return MeterItems(bound.points, meter)


async def _open_opcua(served: Served, stack: AsyncExitStack, bound: BoundDevice, connection: OpcuaConnection) -> Outlet:
    name = bound.device.connection
    if name not in served.opcua:
        served.opcua[name] = await stack.enter_async_context(OpcuaServer(connection.url, secured_for(connection)))
    return await served.opcua[name].add(bound.key, bound.points)


async def _open_mqtt(
    served: Served, stack: AsyncExitStack, bound: BoundDevice, connection: MqttConnection, own_broker: bool
) -> Outlet:
    name = bound.device.connection
    if name not in served.mqtt:
        port = await _broker(served, stack, connection, own_broker)
        served.mqtt[name] = await stack.enter_async_context(Publisher(connection, port, _password(connection)))
    messages = served.messages[bound.key] = served.mqtt[name].add(bound.asset_name, bound.device.address, bound.points)
    return messages


async def _open_sparkplug(
    served: Served, stack: AsyncExitStack, bound: BoundDevice, connection: SparkplugConnection, own_broker: bool
) -> Outlet:
    group, node, _ = sparkplug_address(bound.device.address)
    key = bound.device.connection, f"{group}/{node}"
    if key not in served.edge_nodes:
        port = await _broker(served, stack, connection, own_broker)
        edge_node = EdgeNode(connection, port, key[1], _password(connection))
        served.edge_nodes[key] = await stack.enter_async_context(edge_node)
    return served.edge_nodes[key].add(bound.device.address, bound.points)


async def _broker(
    served: Served, stack: AsyncExitStack, connection: MqttConnection | SparkplugConnection, own_broker: bool
) -> int:
    """Return the port of a connection's broker, started at first need where it is to be our own."""
    port = connection.port or (8883 if connection.tls else 1883)
    if own_broker and (connection.host, port) not in served.brokers:
        served.brokers.add((connection.host, port))
        await stack.enter_async_context(Broker(connection.host, port))
    return port


def _password(connection: MqttConnection | SparkplugConnection) -> str | None:
    return secrets.read(connection.password) if connection.password else None


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


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _as_served(gateway: Gateway, own: str | None, own_broker: bool) -> Gateway:
    """Return the configuration a gateway needs to read what is served here; ports are free ones where `own` is given.

    Serial ports then stand in the folder `own`, without the parity a pseudo-terminal does not know.
    """
    free_ports = own is not None
    data: dict[str, Any] = gateway.model_dump()
    for connection in data["connections"].values():
        if connection["protocol"] in _ON_BROKERS and own_broker:  # all the small broker speaks
            connection |= {"version": "3.1.1", "tls": None, "username": None, "password": None}
        if free_ports and connection["protocol"] in _ON_BROKERS:
            connection["port"] = free_port()
        if free_ports and connection["protocol"] == "opcua":
            url = urlsplit(connection["url"])
            connection["url"] = url._replace(netloc=f"{url.hostname}:{free_port()}").geturl()
        if free_ports and (connection.get("serial") or {}).get("port"):
            connection["serial"] |= {"port": f"{own}/{connection['serial']['port'].replace('/', '-')}", "parity": "N"}
    if free_ports:
        _move(data)
    return Gateway.model_validate(data)


def _move(data: dict[str, Any]) -> None:
    """Give every device that is reached by host and port a free port, those of one place the same."""
    moved: dict[str, int] = {}
    for area in data["areas"].values():
        for asset in area["assets"].values():
            for device in asset["devices"].values():
                connection = data["connections"][device["connection"]]
                parts = {"modbus": modbus_address, "dlt645": dlt645_address}.get(connection["protocol"])
                if parts is None or (connection["serial"] or {}).get("port"):
                    continue
                host, port, unit = parts(device["address"])
                at = moved.setdefault(f"{host}:{port}", free_port(host))
                device["address"] = f"[{host}]:{at}/{unit}" if ":" in host else f"{host}:{at}/{unit}"
