"""CPU per value of this collector against a plain asyncua subscription, on the same server in the same run.

`python -m benchmarks.opcua` writes its block of docs/PERFORMANCE.md. A server of asyncua runs in a process of its own
and changes all items every 250 ms; both clients subscribe to all of them, in turns, each in a process of its own, and
count what arrives. What is compared is the CPU time of the client's whole process; the decoders alone are timed on one
message.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import subprocess
import sys
import time
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

from asyncua import Client, Server, ua
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary

from benchmarks.database import free_port
from benchmarks.report import ROOT, Target, heading, put_block, table, target_table
from benchmarks.turns import in_turns, told
from collectors.opcua import OpcuaCollector
from collectors.opcua_fast import publish_result
from config.bindings import BoundDevice, series_key
from config.model import Asset, Device
from config.protocols.opcua import OpcuaConnection
from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.gaps import gap_key
from pipeline.ports import Origin

_EVERY_S: Final = 0.25
_SETTLE_S: Final = 3.0
_MEASURE_S: Final = 5.0

logging.getLogger("asyncua").setLevel(logging.CRITICAL)


async def serve(port: int, items: int) -> None:
    """Change all items every period, until killed."""
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    objects = server.nodes.objects
    nodes = [await objects.add_variable(ua.NodeId(f"v{i}", 1), f"1:v{i}", 0.0) for i in range(items)]
    await server.start()
    print("ready", flush=True)
    number = 0
    while True:
        due = time.monotonic() + _EVERY_S
        number += 1
        now = datetime.now(UTC)
        for i, node in enumerate(nodes):
            value = ua.DataValue(ua.Variant(number + i / items, ua.VariantType.Double), ua.StatusCode(0), now, now)
            await server.write_attribute_value(node.nodeid, value)
        await asyncio.sleep(max(0.0, due - time.monotonic()))


class Plain:
    """What the library's examples do: one handler, called for each value."""

    def __init__(self) -> None:
        self.values = 0

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        """Count one value."""
        self.values += 1


async def plain(port: int, items: int) -> None:
    """Subscribe with asyncua's client and tell CPU seconds and values of the interval."""
    async with Client(f"opc.tcp://127.0.0.1:{port}") as client:
        handler = Plain()
        subscription = await client.create_subscription(_EVERY_S * 1000, handler)
        await subscription.subscribe_data_change([client.get_node(f"ns=1;s=v{i}") for i in range(items)])
        await told(lambda: handler.values, _SETTLE_S, _MEASURE_S)


async def ours(port: int, items: int) -> None:
    """Do the same with the collector, to finished batches of rows."""
    points = {f"v{i}": {"quantity": "power", "unit": "kW", "opcua": {"node": f"ns=1;s=v{i}"}} for i in range(items)}
    described = Device.model_validate({"connection": "link", "points": points})
    device = BoundDevice(
        "a", "b", Asset(type="other", devices={"d": described}), "d", described, None, dict(described.points)
    )
    ids = {series_key("b", name, p.quantity): i for i, (name, p) in enumerate(device.points.items())}
    ids[gap_key("b", "d")] = items
    connection = OpcuaConnection(protocol="opcua", url=f"opc.tcp://127.0.0.1:{port}", every_s=_EVERY_S)
    counters = Counters()
    collector = OpcuaCollector(Origin("link", 1, Clock()), connection, [device], ids, counters)

    async def take() -> None:
        async with collector:
            async for _ in collector.batches():
                await asyncio.sleep(_EVERY_S)  # a commit

    task = asyncio.create_task(take())
    await told(lambda: counters.received, _SETTLE_S, _MEASURE_S)
    task.cancel()


def decoders(items: int) -> tuple[float, float]:
    """Return the time per value of the library's decoder and of the columns [µs] on one message."""
    now = datetime.now(UTC)
    changes = [
        ua.MonitoredItemNotification(i, ua.DataValue(ua.Variant(float(i), ua.VariantType.Double), None, now, now))
        for i in range(1, items + 1)
    ]
    response = ua.PublishResponse()
    response.Parameters.NotificationMessage.NotificationData = [ua.DataChangeNotification(changes)]
    body = struct_to_binary(response)
    theirs, mine = [], []
    for _ in range(7):
        at = time.perf_counter()
        struct_from_binary(ua.PublishResponse, ua.utils.Buffer(body))
        theirs.append(time.perf_counter() - at)
        at = time.perf_counter()
        publish_result(body)
        mine.append(time.perf_counter() - at)
    return median(theirs) / items * 1e6, median(mine) / items * 1e6


def compare(port: int, items: int, rounds: int) -> dict[str, float]:
    """Return the CPU per value [µs] of both, measured in turns."""
    command = [sys.executable, "-m", "benchmarks.opcua", "--port", str(port), "--items", str(items)]
    with subprocess.Popen([*command, "--serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()
            return in_turns({which: [*command, "--client", which] for which in ("ours", "plain")}, rounds)
        finally:
            server.kill()


def block(found: dict[str, float], items: int, rounds: int) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    theirs, mine = found["plain"], found["ours"]
    slow, fast = decoders(items)
    lines = [["per value", "tanflow", "asyncua", "asyncua ÷ tanflow"]]
    lines.append(["whole client", f"{mine:.2f} µs", f"{theirs:.2f} µs", f"{theirs / mine:.1f} x"])
    lines.append(["decoder alone", f"{fast:.3f} µs", f"{slow:.2f} µs", f"{slow / fast:.0f} x"])
    target = Target.at_least("CPU per value, asyncua ÷ tanflow", theirs / mine, 4, "x")
    return f"""{heading("OPC UA", "opcua")}

{items:,} items that change every {_EVERY_S * 1e3:.0f} ms on a server of asyncua; both clients subscribe to all, each
in a process of its own, medians of {rounds} turns of {_MEASURE_S:g} s. tanflow is the gateway's collector, to finished
batches of rows; asyncua is a handler that counts.

{table(lines)}

{target_table([target])}"""


def main() -> None:
    """Compare, or be one of the processes of a comparison."""
    parser = argparse.ArgumentParser(description="Measure what a subscribed value costs, beside plain asyncua.")
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", choices=["plain", "ours"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.port, given.items))
    elif given.client:
        asyncio.run({"plain": plain, "ours": ours}[given.client](given.port, given.items))
    else:
        found = compare(free_port(), given.items, given.rounds)
        text = block(found, given.items, given.rounds)
        print(text)
        if not given.no_write:
            put_block(ROOT / "docs" / "PERFORMANCE.md", "opcua", text)


if __name__ == "__main__":
    main()
