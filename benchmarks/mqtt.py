"""Messages on a real broker enter; CPU per message of this collector and of aiomqtt with pydantic leaves.

`python -m benchmarks.mqtt` writes its block of docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiomqtt
import orjson
import paho.mqtt.client as paho
import uvloop
from pydantic import BaseModel

from benchmarks.database import free_port
from benchmarks.process import Program, python
from benchmarks.report import ROOT, heading, put_block, table
from benchmarks.turns import ended, in_turns, told
from collectors.mqtt import MqttCollector
from config.bindings import bind, series_key
from config.model import Gateway
from config.protocols.mqtt import MqttConnection
from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.gaps import gap_key
from pipeline.ports import Origin
from tanflow.memory import settle

DEVICES: Final = 50
VALUES: Final = 8
RATE: Final = 2_000  # messages a second
COMMIT_S: Final = 0.25  # how long the gateway's log takes what has come together, as configured by default
WARM_S: Final = 2.0
OURS: Final = "tanflow, to rows"
PEER: Final = "aiomqtt + pydantic, to models"


def publish(port: int) -> None:
    """Publish one message of each device after the other with QoS 1, until killed."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(2_000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    number, due = 0, time.monotonic()
    while True:
        for _ in range(RATE // 50):
            number += 1
            payload: dict[str, Any] = {f"v{i}": round(230 + number % 97 / 10 + i, 1) for i in range(VALUES)}
            payload |= {"time": datetime.now(UTC).isoformat(), "unit": "machine", "sequence": number}
            client.publish(f"plant/d{number % DEVICES}/state", orjson.dumps(payload), qos=1)
        due += 0.02
        time.sleep(max(0.0, due - time.monotonic()))


async def ours(port: int, measure_s: float) -> None:
    """Take them with the gateway's collector: every message acknowledged after its commit."""
    points = {f"v{i}": {"quantity": "power", "unit": "W", "mqtt": {"path": f"v{i}"}} for i in range(VALUES)}
    assets = {
        f"meter-{n}": {
            "type": "meter",
            "devices": {"m": {"connection": "broker", "address": f"plant/d{n}/state", "points": points}},
        }
        for n in range(DEVICES)
    }
    link = {"protocol": "mqtt", "host": "127.0.0.1", "port": port, "time_path": "time"}
    site = {"name": "bench", "region": "GB"}
    gateway = Gateway.model_validate(
        {"version": 1, "site": site, "connections": {"broker": link}, "areas": {"hall": {"assets": assets}}}
    )
    bound, ids = list(bind(gateway, {})), dict[str, int]()
    for device in bound:
        for name, point in device.points.items():
            ids[series_key(device.asset_name, name, point.quantity)] = len(ids)
        ids[gap_key(device.asset_name, device.name)] = len(ids)
    connection, counters, rows = gateway.connections["broker"], Counters(), 0
    assert isinstance(connection, MqttConnection)
    collector = MqttCollector(Origin("broker", 1, Clock()), connection, bound, ids, counters)

    async def take() -> None:
        nonlocal rows
        async for batch in collector.batches():
            rows += len(batch)
            await asyncio.sleep(COMMIT_S)

    async with collector:
        settle()
        pump = asyncio.create_task(take())
        await told(lambda: rows // VALUES, WARM_S, measure_s)
        await ended(pump)


class State(BaseModel):
    """A message as its schema would be written down."""

    time: datetime
    unit: str
    sequence: int
    v0: float
    v1: float
    v2: float
    v3: float
    v4: float
    v5: float
    v6: float
    v7: float


async def peer(port: int, measure_s: float) -> None:
    """Take them as the two libraries' own examples do; aiomqtt acknowledges by itself, before anything is stored."""
    states = 0

    async def take() -> None:
        nonlocal states
        async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.subscribe("plant/+/state", qos=1)
            async for message in client.messages:
                State.model_validate_json(message.payload)
                states += 1

    pump = asyncio.create_task(take())
    await told(lambda: states, WARM_S, measure_s)
    await ended(pump)


@contextmanager
def broker(directory: Path) -> Iterator[int]:
    """Run Mosquitto and what publishes on it; its port."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        raise RuntimeError("mosquitto is not installed; scripts/needs mosquitto brings it")
    port = free_port()
    lines = f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 100000\n"
    (directory / "mosquitto.conf").write_text(lines)
    with Program([program, "-c", str(directory / "mosquitto.conf")], directory / "mosquitto.log") as running:
        while True:
            running.check()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        publisher = python("-m", "benchmarks.mqtt", "--client", "publish", "--port", str(port))
        with Program(publisher, directory / "publisher.log"):
            yield port


def block(found: dict[str, float], rounds: int, measure_s: float) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    lines = [["client", "CPU per message", "÷ tanflow"]]
    lines += [[name, f"{us:.1f} µs", f"{us / found[OURS]:.2f} x"] for name, us in found.items()]
    return f"""{heading("MQTT", "mqtt")}

{RATE:,} messages/s of {DEVICES} devices through Mosquitto, QoS 1, JSON with {VALUES} values and a time. CPU of the
client's process, medians of {rounds} turns of {measure_s:g} s. tanflow is the gateway's collector, which acknowledges
after the commit and leaves out what is sent again; aiomqtt acknowledges on receipt.

{table(lines)}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a message costs, beside aiomqtt with pydantic.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="measured in each turn (default 4)")
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    parser.add_argument("--client", choices=["publish", "ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client == "publish":
        publish(given.port)
    if given.client:
        uvloop.run(ours(given.port, given.seconds)) if given.client == "ours" else asyncio.run(
            peer(given.port, given.seconds)
        )
        sys.exit()
    with tempfile.TemporaryDirectory(prefix="tanflow-bench-") as name, broker(Path(name)) as port:
        clients = {}
        for what, client in ((OURS, "ours"), (PEER, "peer")):
            clients[what] = python("-m", "benchmarks.mqtt", "--client", client, "--port", str(port))
            clients[what] += ["--seconds", f"{given.seconds:g}"]
        found = in_turns(clients, given.rounds)
    text = block(found, given.rounds, given.seconds)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "mqtt", text)


if __name__ == "__main__":
    main()
