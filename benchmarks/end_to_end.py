"""Changes at simulated devices enter; how long until each can be queried in InfluxDB and from the gateway leaves.

`python -m benchmarks.end_to_end` writes its block of docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import struct
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import orjson
import urllib3
import uvloop

from benchmarks.database import DATABASE, Influx, free_port, influxdb, wait_for
from benchmarks.measure import metrics, wait_until
from benchmarks.plant import Plant, configuration, simulated
from benchmarks.process import Program, python
from benchmarks.report import ROOT, Target, heading, put_block, table, target_table
from simulators.registers import Block
from simulators.serve_modbus import ModbusServer, Unit

PROBES: Final = 20
CHANGE_S: Final = 0.5  # a probe changes this often on average, at random moments
LOOK_S: Final = 0.03  # between two looks; what is found is later by up to that and the question's own time
MOST_S: Final = 1.5
_LAST: Final = "SELECT last(power_kw) FROM energy WHERE asset =~ /^probe-/ AND time > now() - 60s GROUP BY asset"


@dataclass
class Probe:
    """A unit whose value is the number of its last change; when each change was made [s monotonic]."""

    unit: Unit = field(default_factory=Unit)
    changed_s: list[float] = field(default_factory=list)

    def change(self) -> None:
        self.unit.show({"input": Block(0, 2, struct.pack(">f", len(self.changed_s)))})
        self.changed_s.append(time.monotonic())


@dataclass
class Door:
    """A place where values are looked up: how far each probe has been seen, and after what time [s] each change was."""

    ask: Callable[[], Mapping[str, float]]
    seen: dict[str, int] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)

    def look(self, probes: Mapping[str, Probe]) -> None:
        """Ask once; a change that was overwritten before it was read counts until a later one is seen."""
        answer, now = self.ask(), time.monotonic()
        for name, value in answer.items():
            upto, first = int(value) + 1, self.seen.get(name)
            if first is not None:  # the very first says nothing: it may have stood there for long
                self.took_s += [now - at for at in probes[name].changed_s[first:upto]]
            self.seen[name] = max(upto, first or 0)


def in_influx(influx: Influx) -> dict[str, float]:
    """Return the newest value of each probe in InfluxDB."""
    series = cast(list[dict[str, Any]], influx.ask(_LAST))
    return {one["tags"]["asset"]: one["values"][0][1] for one in series}


def in_gateway(url: str, names: list[str]) -> dict[str, float]:
    """Return the newest value of each probe that /api/query tells."""
    keys = ",".join(f"{name}.power.power" for name in names)
    answer = urllib3.request("GET", f"{url}/api/query?series={keys}&from=-60s", timeout=30)
    if answer.status != 200:
        raise RuntimeError(f"/api/query: {answer.status} {answer.data.decode()}")
    series = orjson.loads(answer.data)["series"]
    return {name: one["value"][-1] for name, one in zip(names, series, strict=True) if one["value"]}


def with_probes(path: Path, port: int, names: list[str]) -> None:
    """Add the probes to a gateway.yaml."""
    gateway = orjson.loads(path.read_bytes())
    points = {
        "power": {"quantity": "power", "unit": "kW", "modbus": {"table": "input", "address": 0, "type": "float32"}}
    }
    for unit, name in enumerate(names, 1):
        device = {"connection": "floor", "address": f"127.0.0.1:{port}/{unit}", "points": points}
        gateway["areas"]["hall"]["assets"][name] = {"type": "meter", "devices": {"m": device}}
    path.write_bytes(orjson.dumps(gateway))


async def watched(probes: Mapping[str, Probe], doors: Mapping[str, Door], seconds: float) -> None:
    """Change the probes and look through the doors for so long."""

    async def change(probe: Probe) -> None:
        while True:
            probe.change()
            await asyncio.sleep(random.uniform(0, 2 * CHANGE_S))

    async def look(door: Door) -> None:
        while True:
            await asyncio.to_thread(door.look, probes)
            await asyncio.sleep(LOOK_S)

    tasks = [asyncio.create_task(change(p)) for p in probes.values()]
    tasks += [asyncio.create_task(look(d)) for d in doors.values()]
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()  # raises: none of them ends by itself


async def measure(given: argparse.Namespace, directory: Path, plant: Plant, influx: Influx) -> dict[str, list[float]]:
    """Return the times [s] by door."""
    probes = {f"probe-{n}": Probe() for n in range(PROBES)}
    for probe in probes.values():
        probe.change()
    port = free_port()
    url, names = f"http://127.0.0.1:{port}", list(probes)
    path = configuration(plant, directory, influx.url, DATABASE, port)
    async with ModbusServer(units={i: p.unit for i, p in enumerate(probes.values(), 1)}) as server:
        with_probes(path, server.port, names)
        with Program(python("-m", "tanflow", "run", "-c", str(path)), directory / "gateway.log") as program:
            await asyncio.to_thread(wait_for, f"{url}/api/health", program, 120)
            full = 3 * plant.devices * plant.values

            def delivered() -> bool:
                return metrics(url).total("sink.", "delivered") > full

            await asyncio.to_thread(wait_until, delivered, program, 120, "readings in InfluxDB")
            await asyncio.sleep(given.warmup)
            doors = {
                "InfluxDB": Door(lambda: in_influx(influx)),
                "/api/query": Door(lambda: in_gateway(url, names)),
            }
            await watched(probes, doors, given.seconds)
    if unseen := [name for name, door in doors.items() if not door.took_s]:
        raise RuntimeError(f"no change was seen in {' and '.join(unseen)}: is the machine overloaded?")
    return {name: door.took_s for name, door in doors.items()}


def block(found: dict[str, list[float]], given: argparse.Namespace) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    lines, targets = [["queryable in", "changes", "p50", "p99", "longest"]], []
    for name, took_s in found.items():
        p50, p99, most = np.percentile(took_s, [50, 99, 100])
        lines.append([name, f"{len(took_s):,}", f"{p50:.2f} s", f"{p99:.2f} s", f"{most:.2f} s"])
        targets.append(Target.at_most(f"p99, change at the device to queryable in {name}", float(p99), MOST_S, "s", 2))
    return f"""{heading("From device to query", "end_to_end")}

{PROBES} probes among {given.devices:,} devices × {given.values} values, all read at 1 Hz and delivered to InfluxDB 1.x.
A probe changes at random moments, every {CHANGE_S:g} s on average; both places are asked again {LOOK_S * 1e3:.0f} ms \
after every answer, for
{given.seconds:.0f} s. A change that was overwritten before it was read counts until a later one is seen.

{table(lines)}

{target_table(targets)}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long a change takes from the device to a query.")
    parser.add_argument("--devices", type=int, default=1_000, help="a multiple of 20")
    parser.add_argument("--values", type=int, default=62, help="float32 values a device, at most 62")
    parser.add_argument("--warmup", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=60.0, help="watched (default 60)")
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tanflow-bench-") as name:
        directory = Path(name)
        with influxdb(directory) as influx, simulated(directory, 20, given.devices // 20, given.values) as plant:
            found = uvloop.run(measure(given, directory, plant, influx))
    text = block(found, given)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "end_to_end", text)


if __name__ == "__main__":
    main()
