"""asyncua's own server with a history in memory, for tests: `python opcua_history.py PORT JSON`.

Its variables `v0` … count up by one every `step_ms`, each value with the time it is due, also those that became due
while the process stood still. JSON: items, plain (how many of the last keep no history), step_ms.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import Server, ua

logging.getLogger("asyncua").setLevel(logging.CRITICAL)


async def main(port: int, given: dict[str, Any]) -> None:
    items, plain, step_s = given.get("items", 1), given.get("plain", 0), given.get("step_ms", 50) / 1000
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    nodes = []
    for i in range(items):
        node = await server.nodes.objects.add_variable(ua.NodeId(f"v{i}", 1), f"1:v{i}", -1.0)
        nodes.append(node)
    await server.start()
    for node in nodes[: items - plain]:
        await server.historize_node_data_change(node, period=timedelta(days=1), count=0)
    print("ready", flush=True)
    start, due = time.time(), 0
    while True:
        while start + due * step_s <= time.time():
            at = datetime.fromtimestamp(start + due * step_s, UTC)
            for node in nodes:
                value = ua.DataValue(ua.Variant(float(due), ua.VariantType.Double), ua.StatusCode(0), at, at)
                await server.write_attribute_value(node.nodeid, value)
            due += 1
        await asyncio.sleep(step_s)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), json.loads(sys.argv[2])))
