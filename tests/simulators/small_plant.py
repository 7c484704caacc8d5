"""A meter on Modbus, a furnace on OPC UA and an inverter on MQTT, for tests of how they are served."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from paho.mqtt.client import Client as MqttClient
from paho.mqtt.enums import CallbackAPIVersion

from config.model import Gateway
from pipeline.clock import SECOND_NS
from simulators.device import Device
from simulators.serve import Served
from tests.waiting import until

START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z


class Ramp(Device):
    """Power is 100 kW; after step k the counters show k + 1 and the temperature 20 + k."""

    def advance(self, now_ns: int, dt_s: float) -> float:
        count = self.readings.get("energy_import", 0.0) + 1.0
        self.readings |= {"power": 100.0, "energy_import": count, "volume": count, "temperature": 19.0 + count}
        return 100.0


def points(protocol: str, places: dict[str, Any]) -> dict[str, Any]:
    known = {
        "power": {"quantity": "power", "unit": "W"},
        "energy_import": {"quantity": "energy_index", "unit": "kWh", "scale": 0.01},
        "volume": {"quantity": "volume_index", "unit": "m3", "digits": 6},
        "temperature": {"quantity": "temperature", "unit": "degC"},
        "sequence": {"quantity": "count", "unit": "1"},
    }
    return {name: known[name] | {protocol: place} for name, place in places.items()}


METER = points(
    "modbus",
    {
        "power": {"address": 10, "type": "float32"},
        "energy_import": {"address": 12, "type": "uint32"},
        "sequence": {"address": 14, "type": "uint32"},
    },
)
FURNACE = points(
    "opcua",
    {
        "volume": {"node": "ns=2;s=Furnace.Gas"},
        "temperature": {"node": "ns=3;s=Furnace.T1"},
        "sequence": {"node": "ns=2;s=Furnace.Seq"},
    },
)
INVERTER = points(
    "mqtt",
    {"power": {"path": "ac.power"}, "energy_import": {"path": "energy.0"}, "sequence": {"path": "seq"}},
)


def gateway(**devices: dict[str, Any]) -> Gateway:
    """Return the configuration of the small plant; ports are to be replaced by free ones."""
    placed = {
        "meter": {"connection": "floor", "address": "127.0.0.1:502/7", "points": METER},
        "furnace": {"connection": "plc", "points": FURNACE},
        "inverter": {"connection": "roof", "address": "site/+", "points": INVERTER},
    } | devices
    return Gateway.model_validate(
        {
            "version": 1,
            "site": {"name": "small", "region": "CN"},
            "connections": {
                "floor": {"protocol": "modbus"},
                "plc": {"protocol": "opcua", "url": "opc.tcp://127.0.0.1:4840/plant"},
                "roof": {"protocol": "mqtt", "host": "127.0.0.1", "version": "3.1.1", "time_format": "ms"},
            },
            "areas": {
                "hall": {"assets": {n: {"type": "other", "devices": {"main": d}} for n, d in placed.items() if d}},
            },
        }
    )


async def steps(served: Served, count: int) -> None:
    """Move the plant on by `count` seconds; the first step ends one second after START_NS."""
    for _ in range(count):
        await served.step(START_NS + round((served.elapsed_s + 1) * SECOND_NS), 1.0)


class Listener:
    """A paho client that keeps what arrives on `site/#`."""

    def __init__(self, port: int, clean: bool = True) -> None:
        self.payloads: list[tuple[str, Any]] = []
        self.ready = False
        self.client = MqttClient(CallbackAPIVersion.VERSION2, client_id="listener", clean_session=clean)
        self.client.on_connect = lambda *_: self.client.subscribe("site/#", qos=1)
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.on_message = lambda _, __, m: self.payloads.append((m.topic, json.loads(m.payload)))
        self.client.connect_async("127.0.0.1", port)

    async def __aenter__(self) -> Listener:
        self.client.loop_start()
        await until(lambda: self.ready, what="subscribed")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.disconnect()
        await asyncio.to_thread(self.client.loop_stop)
