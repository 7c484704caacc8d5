"""Devices and where a configuration reads them enter; the servers they stand on, opened at first need, leave."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Protocol, Self

from config import secrets
from config.bindings import BoundDevice
from config.errors import ConfigError, Problem
from config.model import Gateway
from config.protocols.dlt645 import Dlt645Connection, dlt645_address
from config.protocols.modbus import ModbusAddress, ModbusConnection
from config.protocols.mqtt import MqttConnection
from config.protocols.opcua import OpcuaConnection
from config.protocols.sparkplug import SparkplugConnection, sparkplug_address
from simulators.broker import Broker
from simulators.faults import Link, Shown
from simulators.meter_items import MeterItems
from simulators.registers import RegisterMap
from simulators.serve_dlt645 import OTHER_ERROR, Meter, PortLine, TcpLine
from simulators.serve_dlt645 import Line as MeterLine
from simulators.serve_modbus import BUSY, Bank, ModbusServer, Unit
from simulators.serve_modbus_rtu import RtuLine, RtuPort, RtuServer
from simulators.serve_mqtt import Messages, Publisher
from simulators.serve_opcua import OpcuaServer, secured_for
from simulators.serve_sparkplug import EdgeNode


class Outlet(Protocol):
    """Where the values of a device become visible."""

    async def show(self, shown: Shown) -> None: ...


class UnitOutlet:
    """A Modbus unit as an outlet."""

    def __init__(self, bound: BoundDevice, unit: Unit) -> None:
        self.map = RegisterMap(bound.points, bound.modbus, text=bound.asset_name)
        self.unit = unit

    async def show(self, shown: Shown) -> None:
        self.unit.show(self.map.encode(shown.readings, shown.time_ns))
        self.unit.link = shown.link


class Network:
    """All servers devices stand on; leaving closes them. Ports and paths are those of the configuration."""

    def __init__(self, gateway: Gateway, own_broker: bool) -> None:
        self.modbus: dict[str, ModbusServer] = {}  # by host:port
        self.lines: dict[str, RtuLine] = {}  # of Modbus RTU, by host:port or serial port
        self.meters: dict[str, MeterLine] = {}  # lines of DL/T 645 meters, by host:port or serial port
        self.opcua: dict[str, OpcuaServer] = {}  # by connection
        self.mqtt: dict[str, Publisher] = {}  # by connection
        self.messages: dict[str, Messages] = {}  # by asset.device
        self.edge_nodes: dict[tuple[str, str], EdgeNode] = {}  # by connection and group/node
        self.units: dict[str, Unit] = {}  # by asset.device
        self._brokers: set[tuple[str, int]] = set()
        self._gateway = gateway
        self._own_broker = own_broker
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def settle(self) -> None:
        """Take what brokers have acknowledged."""
        clients: list[Publisher | EdgeNode] = [*self.mqtt.values(), *self.edge_nodes.values()]
        for client in clients:
            client.settle()

    async def open(self, bound: BoundDevice) -> Outlet:
        """Return the outlet of one device, starting the server it stands on at first need."""
        connection = self._gateway.connections[bound.device.connection]
        if isinstance(connection, ModbusConnection):
            return await self._open_modbus(bound, connection)
        if isinstance(connection, Dlt645Connection):
            return await self._open_dlt645(bound, connection)
        if isinstance(connection, OpcuaConnection):
            return await self._open_opcua(bound, connection)
        if isinstance(connection, MqttConnection):
            return await self._open_mqtt(bound, connection)
        if isinstance(connection, SparkplugConnection):
            return await self._open_sparkplug(bound, connection)
        raise ConfigError([Problem("scenario", 1, bound.key, f"nothing is simulated on {connection.protocol}")])

    async def _open_modbus(self, bound: BoundDevice, connection: ModbusConnection) -> Outlet:
        bank, number = await self._bank(connection, connection.unit_address(bound.device.address))
        unit = self.units[bound.key] = Unit(max_registers=bound.template.max_registers if bound.template else 125)
        bank.units[number] = unit
        unit.link = Link(exception=BUSY)  # until it has something to show
        return UnitOutlet(bound, unit)

    async def _bank(self, connection: ModbusConnection, at: ModbusAddress) -> tuple[Bank, int]:
        """Return the server or line a unit stands at, and its number there."""
        key = f"{at.host}:{at.port}" if at.host else str(connection.line.port)
        if connection.framing == "tcp":
            if key not in self.modbus:
                self.modbus[key] = await self._stack.enter_async_context(ModbusServer(at.host, at.port))
            return self.modbus[key], at.unit
        if key not in self.lines:
            line = RtuServer(at.host, at.port, connection.line) if at.host else RtuPort(connection.line)
            self.lines[key] = await self._stack.enter_async_context(line)
        return self.lines[key], at.unit

    async def _open_dlt645(self, bound: BoundDevice, connection: Dlt645Connection) -> Outlet:
        host, port, digits = dlt645_address(bound.device.address)
        key = f"{host}:{port}" if host else str(connection.serial.port)
        if key not in self.meters:
            line = TcpLine(host, port) if host else PortLine(connection.serial)
            self.meters[key] = await self._stack.enter_async_context(line)
        meter = self.meters[key].meters[digits] = Meter(digits)
        meter.link = Link(exception=OTHER_ERROR)  # until it has something to show
        return MeterItems(bound.points, meter)

    async def _open_opcua(self, bound: BoundDevice, connection: OpcuaConnection) -> Outlet:
        name = bound.device.connection
        if name not in self.opcua:
            server = OpcuaServer(connection.url, secured_for(connection))
            self.opcua[name] = await self._stack.enter_async_context(server)
        return await self.opcua[name].add(bound.key, bound.points)

    async def _open_mqtt(self, bound: BoundDevice, connection: MqttConnection) -> Outlet:
        name = bound.device.connection
        if name not in self.mqtt:
            port = await self._broker(connection)
            self.mqtt[name] = await self._stack.enter_async_context(Publisher(connection, port, _password(connection)))
        messages = self.messages[bound.key] = self.mqtt[name].add(bound)
        return messages

    async def _open_sparkplug(self, bound: BoundDevice, connection: SparkplugConnection) -> Outlet:
        group, node, _ = sparkplug_address(bound.device.address)
        key = bound.device.connection, f"{group}/{node}"
        if key not in self.edge_nodes:
            port = await self._broker(connection)
            edge_node = EdgeNode(connection, port, key[1], _password(connection))
            self.edge_nodes[key] = await self._stack.enter_async_context(edge_node)
        return self.edge_nodes[key].add(bound.device.address, bound.points)

    async def _broker(self, connection: MqttConnection | SparkplugConnection) -> int:
        """Return the port of a connection's broker, started at first need where it is to be our own."""
        port = connection.port or (8883 if connection.tls else 1883)
        if self._own_broker and (connection.host, port) not in self._brokers:
            self._brokers.add((connection.host, port))
            await self._stack.enter_async_context(Broker(connection.host, port))
        return port


def _password(connection: MqttConnection | SparkplugConnection) -> str | None:
    return secrets.read(connection.password) if connection.password else None
