"""What the user writes of connections: one class per protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from config.strict import Name, Seconds, Secret, Strict


class Tls(Strict):
    """TLS towards a broker or server; without `ca` the system's authorities are trusted."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class ModbusConnection(Strict):
    """All Modbus TCP units read with the same manners; a device's address is `host[:port]/unit`."""

    protocol: Literal["modbus"]
    every_s: Seconds = 1.0
    timeout_s: Annotated[float, Field(ge=0.05, le=30)] = 1.0
    backoff_max_s: Seconds = 60.0


class OpcuaConnection(Strict):
    """One OPC UA server, by subscription (default) or by polling."""

    protocol: Literal["opcua"]
    url: Annotated[str, StringConstraints(pattern=r"^opc\.tcp://[^\s]+$")]
    mode: Literal["subscribe", "poll"] = "subscribe"
    every_s: Seconds = 1.0  # publishing interval, or the poll's period
    sampling_s: Annotated[float, Field(ge=0, le=86_400)] | None = None  # default: every_s
    queue: Annotated[int, Field(ge=1, le=100_000)] = 10
    deadband: Annotated[float, Field(ge=0)] = 0.0  # absolute, in the node's own unit
    stale_s: Seconds = 10.0  # silence after which the client is rebuilt
    timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 4.0
    backoff_max_s: Seconds = 60.0
    username: str | None = None
    password: Secret | None = None


class MqttConnection(Strict):
    """One MQTT broker with a persistent session; a device's address is a topic filter."""

    protocol: Literal["mqtt"]
    host: str
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None  # default: 1883, 8883 with tls
    version: Literal["5", "3.1.1"] = "5"
    client_id: Name = "tanflow"
    qos: Literal[0, 1] = 1
    receive_maximum: Annotated[int, Field(ge=1, le=65_535)] = 2_000
    session_expiry_s: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)] = 7 * 86_400
    keepalive_s: Annotated[int, Field(ge=5, le=3_600)] = 30
    backoff_max_s: Seconds = 60.0
    username: str | None = None
    password: Secret | None = None
    tls: Tls | None = None
    # Path and format of the time in a payload; none: the gateway stamps on arrival.
    time_path: str | None = None
    time_format: Literal["iso", "s", "ms", "us", "ns"] = "iso"


Connection = Annotated[ModbusConnection | OpcuaConnection | MqttConnection, Field(discriminator="protocol")]
