"""A large plant's newest values in, CPU of the gateway's event streams out: pages that each follow some series at 1 Hz.

python -m benchmarks.stream [--devices 1000] [--pages 10] [--series 200] [--for 20]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.plant import Plant, configuration
from config.load import load
from config.model import Api
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tanflow.web.server import serve

_VALUES = 62
# Reads each stream for ever in another process, so that only the gateway's share is counted.
_PAGES = """
import socket, sys, selectors
port, queries = int(sys.argv[1]), sys.stdin.read().split()
selector, read = selectors.DefaultSelector(), 0
for query in queries:
    link = socket.create_connection(("127.0.0.1", port))
    link.sendall(f"GET /api/stream?series={query} HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n".encode())
    selector.register(link, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        key.fileobj.recv(1 << 20)
"""


async def change(gateway: Gateway) -> None:
    """Give every series a new value each second, as a plant does that is read at 1 Hz; for ever."""
    latest = gateway.latest
    while True:
        latest.time_ns[:] = gateway.clock.now_ns()
        latest.value[:] = np.round(200 + np.random.default_rng().normal(0, 20, latest.size), 1)
        await asyncio.sleep(1)


async def measure(gateway: Gateway, port: int, pages: int, series: int, seconds: float) -> tuple[float, float]:
    """Return the CPU share of a core, and the most CPU [s] the loop's thread spent between two looks at it.

    CPU, not wall time: how long others keep the machine is not the stream's.
    """
    rng, keys = np.random.default_rng(1), [spec.key for spec in gateway.table.specs if spec]
    queries = [",".join(rng.choice(keys, series, replace=False)) for _ in range(pages)]
    reader = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PAGES, str(port), stdin=asyncio.subprocess.PIPE
    )
    assert reader.stdin is not None
    try:
        reader.stdin.write("\n".join(queries).encode())
        reader.stdin.close()
        await asyncio.sleep(3)
        begin_cpu, begin, longest = time.process_time(), time.monotonic(), 0.0
        while time.monotonic() - begin < seconds:
            before = time.thread_time()
            await asyncio.sleep(0.005)
            longest = max(longest, time.thread_time() - before)
        return (time.process_time() - begin_cpu) / (time.monotonic() - begin), longest
    finally:
        reader.kill()
        await reader.wait()


async def run(devices: int, pages: int, series: int, seconds: float) -> None:
    """Measure without pages, then with them."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        plant = Plant(tuple(range(20_000, 20_000 + max(1, devices // 100))), min(devices, 100), _VALUES)
        path = configuration(plant, Path(folder), "http://127.0.0.1:9", "none", port)
        loaded = load(path)
        config = loaded.gateway.model_copy(update={"sinks": {}})
        async with open_gateway(config, loaded.templates, base=Path(folder)) as gateway:
            tasks = [asyncio.create_task(serve(gateway, Api(port=port))), asyncio.create_task(change(gateway))]
            found = {}
            for count in (0, pages):
                share, longest = await measure(gateway, port, count, series, seconds)
                found[f"{count} pages"] = {"share of a core": round(share, 4), "longest ms": round(longest * 1e3, 1)}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            print(json.dumps({"series of the plant": len(gateway.table), "series of a page": series} | found, indent=1))


def main() -> None:
    """Parse arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--pages", type=int, default=10)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--for", dest="seconds", type=float, default=20.0)
    given = parser.parse_args()
    asyncio.run(run(given.devices, given.pages, given.series, given.seconds))


if __name__ == "__main__":
    main()
