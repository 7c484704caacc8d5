"""Protocol and sink names → what serves them; a module is imported only when it is configured, to spare memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from config.bindings import BoundDevice
from config.connections import Connection
from config.model import InfluxSink
from config.notify import Channel as ChannelConfig
from config.notify import MqttChannel
from pipeline.counters import Counters
from pipeline.ports import Collector, Origin, Sink
from pipeline.series import SeriesTable
from sinks.notify.channel import Channel
from sinks.notify.message import Words

COLLECTORS: Final = {
    "modbus": ("collectors.modbus", "ModbusCollector"),
    "dlt645": ("collectors.dlt645", "Dlt645Collector"),
    "opcua": ("collectors.opcua", "OpcuaCollector"),
    "mqtt": ("collectors.mqtt", "MqttCollector"),
    "sparkplug": ("collectors.sparkplug", "SparkplugCollector"),
}
SINKS: Final = {"influxdb": ("sinks.influxdb", "InfluxSink")}
CHANNELS: Final = {
    "apprise": ("sinks.notify.apprise_channel", "AppriseChannel"),
    "alertmanager": ("sinks.notify.alertmanager_channel", "AlertmanagerChannel"),
    "mqtt": ("sinks.notify.mqtt_channel", "MqttChannel"),
}


def _load(place: tuple[str, str]) -> Any:
    module, name = place
    return getattr(import_module(module), name)


def collector(
    origin: Origin,
    connection: Connection,
    devices: Sequence[BoundDevice],
    ids: Mapping[str, int],
    counters: Counters,
) -> Collector:
    """Return the collector of a configured connection."""
    made: Collector = _load(COLLECTORS[connection.protocol])(origin, connection, devices, ids, counters)
    return made


def sink(name: str, config: InfluxSink, table: SeriesTable, counters: Counters) -> Sink:
    """Return the sink of a configured database."""
    made: Sink = _load(SINKS[config.type])(name, config, table, counters)
    return made


def channel(config: ChannelConfig, connections: Mapping[str, Connection], words: Words) -> Channel:
    """Return the channel of a configured way to tell of alerts."""
    there = (connections[config.connection],) if isinstance(config, MqttChannel) else ()
    made: Channel = _load(CHANNELS[config.type])(config, *there, words)
    return made
