"""What the user writes of connections: one class per protocol, told apart by `protocol:`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.protocols.dlt645 import Dlt645Connection
from config.protocols.modbus import ModbusConnection
from config.protocols.mqtt import MqttConnection
from config.protocols.opcua import OpcuaConnection
from config.protocols.sparkplug import SparkplugConnection

Connection = Annotated[
    ModbusConnection | Dlt645Connection | OpcuaConnection | MqttConnection | SparkplugConnection,
    Field(discriminator="protocol"),
]
