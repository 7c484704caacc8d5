"""A serial line of 40 units, 4 of them dead, enters; whether the living are read in 1.1 × the budget leaves.

`python -m benchmarks.bus` writes its block of docs/PERFORMANCE.md. The line is a socat pair; the simulated units answer
at its speed, in a process of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import uvloop

from benchmarks.collected import Rows, collected
from benchmarks.report import ROOT, heading, put_block, table
from collectors.line_budget import Bus
from collectors.modbus import ModbusCollector
from collectors.modbus_budget import buses
from config.bindings import BoundDevice, bind, series_key
from config.model import Gateway
from config.protocols.modbus import ModbusConnection
from config.protocols.serial import Serial
from pipeline.clock import SECOND_NS, Clock
from pipeline.counters import Counters
from pipeline.gaps import Gap, gap_key
from pipeline.ports import Origin
from simulators.registers import Block
from simulators.serve_modbus import Unit
from simulators.serve_modbus_rtu import RtuPort

UNITS: Final = 40
DEAD: Final = frozenset({7, 8, 21, 40})
REGISTERS: Final = 20
TURNAROUND_S: Final = 0.02
TIMEOUT_S: Final = 0.5
MOST: Final = 1.1  # cycle of the living ÷ budget


@dataclass(frozen=True, slots=True)
class Cycle:
    """What was seen: mean time between readings of the living [s], the worst of them, readings, misses, attempts."""

    mean_s: float
    worst_s: float
    readings: int
    missed: int


async def serve(port: str, baudrate: int) -> None:
    """Answer for the living units until killed."""
    image = {"holding": Block(0, REGISTERS, bytes(2 * REGISTERS))}
    units = {u: Unit(image) for u in range(1, UNITS + 1) if u not in DEAD}
    line = Serial(port=port, baudrate=baudrate, parity="N")
    async with RtuPort(line, units, paced=True, turnaround_s=TURNAROUND_S):
        await asyncio.Event().wait()


def plant(port: str, baudrate: int, every_s: float) -> Gateway:
    """Return 40 units of ten float32 each, on one line."""
    points = {
        f"p{n}": {"quantity": "power", "unit": "W", "modbus": {"address": 2 * n, "type": "float32"}}
        for n in range(REGISTERS // 2)
    }
    assets: dict[str, Any] = {
        f"meter-{u}": {"type": "meter", "devices": {"m": {"connection": "line", "address": str(u), "points": points}}}
        for u in range(1, UNITS + 1)
    }
    line = {
        "protocol": "modbus",
        "framing": "rtu",
        "serial": {"port": port, "baudrate": baudrate, "parity": "N"},
        "turnaround_s": TURNAROUND_S,
        "timeout_s": TIMEOUT_S,
        "every_s": every_s,
    }
    site = {"name": "bench", "region": "GB"}
    return Gateway.model_validate(
        {"version": 1, "site": site, "connections": {"line": line}, "areas": {"hall": {"assets": assets}}}
    )


async def watched(gateway: Gateway, devices: Sequence[BoundDevice], warm_s: float, seconds: float) -> Cycle:
    """Read the line for `seconds` once the dead are known, and return how often the living were read."""
    connection = gateway.connections["line"]
    assert isinstance(connection, ModbusConnection)
    keys = [series_key(d.asset_name, point, "power") for d in devices for point in d.points]
    ids = {key: n for n, key in enumerate(keys + [gap_key(d.asset_name, d.name) for d in devices])}
    clock = Clock()
    collector = ModbusCollector(Origin("line", 1, clock), connection, devices, ids, Counters())

    living = [d for d in devices if int(d.device.address) not in DEAD]
    rows = await collected(collector, clock, warm_s, seconds)
    return _cycle(rows, [(ids[f"{d.asset_name}.p0.power"], ids[gap_key(d.asset_name, d.name)]) for d in living])


def _cycle(rows: Rows, living: Sequence[tuple[int, int]]) -> Cycle:
    means, readings, missed = [], 0, 0
    for values, gaps in living:
        mine = rows.times_of(values)
        means.append((mine[-1] - mine[0]) / SECOND_NS / (len(mine) - 1))
        readings += len(mine)
        missed += rows.count(gaps, but=Gap.NONE)
    return Cycle(float(np.mean(means)), float(np.max(means)), readings, missed)


def measure(baudrate: int, cycles: int) -> tuple[Bus, float, Cycle]:
    """Return the budget, the period chosen and what was seen at one speed."""
    with tempfile.TemporaryDirectory(prefix="tanflow-bus-") as folder:
        near, far = f"{folder}/near", f"{folder}/far"
        socat = subprocess.Popen(["socat", f"pty,raw,echo=0,link={near}", f"pty,raw,echo=0,link={far}"])
        _wait_for(near, far)
        serving = [sys.executable, "-m", "benchmarks.bus", "--serve", far, "--baud", str(baudrate)]
        units = subprocess.Popen(serving, cwd=ROOT)
        try:
            (bus,) = buses(slow := plant(near, baudrate, 60), bind(slow, {}))
            period_s = MOST * bus.cycle_s
            gateway = plant(near, baudrate, period_s)
            warm_s = 10 * period_s + len(DEAD) * 3 * TIMEOUT_S
            return bus, period_s, uvloop.run(watched(gateway, list(bind(gateway, {})), warm_s, cycles * period_s))
        finally:
            for process in (units, socat):
                process.kill()
                process.wait()


def _wait_for(*ends: str) -> None:
    deadline = time.monotonic() + 10
    while not all(Path(end).exists() for end in ends):
        if time.monotonic() > deadline:
            raise RuntimeError("socat gives no pair of terminals within 10 s")
        time.sleep(0.02)


def block(found: dict[int, tuple[Bus, float, Cycle]], cycles: int) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    lines = [["baud", "budget of a cycle", "period", "read every", "slowest unit", "÷ budget", "readings", "missed"]]
    for baudrate, (bus, period_s, seen) in found.items():
        times = [f"{s:.3f} s" for s in (bus.cycle_s, period_s, seen.mean_s, seen.worst_s)]
        share = f"{seen.worst_s / bus.cycle_s:.2f}"
        lines.append([f"{baudrate:,}", *times, share, f"{seen.readings:,}", str(seen.missed)])
    return f"""{heading("Serial line", "bus")}

{UNITS} units of {REGISTERS} registers on a socat pair, of which {len(DEAD)} are dead; the living answer at the
line's speed after {TURNAROUND_S * 1e3:g} ms, the timeout is {TIMEOUT_S:g} s. The budget is what `tanflow check`
computes for all {UNITS}, the period {MOST:g} times that; "read every" and the rest are those of the living over
{cycles} cycles.

{table(lines)}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the cycle of a serial line with dead units on it.")
    parser.add_argument("--baud", type=int, nargs="+", default=[9_600, 115_200])
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        uvloop.run(serve(given.serve, given.baud[0]))
        return
    text = block({baud: measure(baud, given.cycles) for baud in given.baud}, given.cycles)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "bus", text)


if __name__ == "__main__":
    main()
