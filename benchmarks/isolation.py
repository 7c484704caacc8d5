"""200 simulated units enter, 120 of them bad; how the good ones keep their period leaves, with and without the bad.

`python -m benchmarks.isolation` writes its block of docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import uvloop

from benchmarks.collected import Rows, collected
from benchmarks.report import ROOT, heading, put_block, table
from collectors.modbus import ModbusCollector
from config.bindings import BoundDevice, bind, series_key
from config.model import Gateway
from config.protocols.modbus import ModbusConnection
from pipeline.clock import SECOND_NS, Clock
from pipeline.counters import Counters
from pipeline.gaps import Gap, gap_key
from pipeline.ports import Origin
from simulators.faults import Link
from simulators.registers import Block
from simulators.serve_modbus import ModbusServer, Unit

UNITS: Final = 200
BESIDE: Final = 10  # units behind one gateway where they share a connection
PERIOD_S: Final = 1.0
TIMEOUT_S: Final = 0.2
WARM_S: Final = 10.0  # until the bad ones are known as such
# Of every ten units one hangs, one answers late, one sends exceptions, one garbage, and two neighbours hang up.
BAD: Final = {
    1: Link(drop="silent"),
    3: Link(lag_s=2 * TIMEOUT_S),
    5: Link(exception=4),
    6: Link(drop="close"),
    7: Link(drop="close"),
    8: Link(garbage=bytes(range(40, 64))),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """How good units kept their period: |interval − period| [ms] at p50 and p99, the longest, misses, readings."""

    p50_ms: float
    p99_ms: float
    longest_ms: float
    missed: int
    readings: int


async def serve(shared: bool) -> None:
    """Serve all units until killed; print their addresses as JSON."""
    image = {"holding": Block(0, 20, bytes(40))}
    addresses = []
    async with AsyncExitStack() as stack:
        for first in range(0, UNITS, BESIDE if shared else 1):
            units = {n % BESIDE + 1: Unit(image) for n in range(first, first + (BESIDE if shared else 1))}
            for number, unit in units.items():
                unit.link = BAD.get(number - 1)
            server = await stack.enter_async_context(ModbusServer(units=units))
            addresses += [f"127.0.0.1:{server.port}/{number}" for number in units]
        print(json.dumps(addresses), flush=True)
        await asyncio.Event().wait()


def devices(addresses: Sequence[str], with_bad: bool) -> list[BoundDevice]:
    """Return a device for each address, the bad ones among them or left out."""
    point = {"quantity": "power", "unit": "W", "modbus": {"address": 0, "type": "float32"}}
    assets: dict[str, Any] = {
        f"meter-{n}": {
            "type": "meter",
            "devices": {"m": {"connection": "floor", "address": at, "points": {"p": point}}},
        }
        for n, at in enumerate(addresses)
        if with_bad or n % BESIDE not in BAD
    }
    connection = {"protocol": "modbus", "every_s": PERIOD_S, "timeout_s": TIMEOUT_S}
    site = {"name": "bench", "region": "GB"}
    gateway = Gateway.model_validate(
        {"version": 1, "site": site, "connections": {"floor": connection}, "areas": {"hall": {"assets": assets}}}
    )
    return list(bind(gateway, {}))


async def watched(bound: Sequence[BoundDevice], seconds: float) -> Kept:
    """Collect for `seconds` once the bad units are known, and return how the good ones kept their period."""
    ids: dict[str, int] = {}
    for device in bound:
        ids[series_key(device.asset_name, "p", "power")] = len(ids)
        ids[gap_key(device.asset_name, device.name)] = len(ids)
    good = [b.asset_name for b in bound if int(b.asset_name.removeprefix("meter-")) % BESIDE not in BAD]
    connection = ModbusConnection(protocol="modbus", every_s=PERIOD_S, timeout_s=TIMEOUT_S)
    clock = Clock()
    collector = ModbusCollector(Origin("floor", 1, clock), connection, bound, ids, Counters())
    rows = await collected(collector, clock, WARM_S, seconds)
    return _kept(rows, [(ids[f"{g}.p.power"], ids[gap_key(g, "m")]) for g in good])


def _kept(rows: Rows, good: Sequence[tuple[int, int]]) -> Kept:
    off: list[npt.NDArray[np.float64]] = []
    missed = readings = 0
    for values, gaps in good:
        mine = rows.times_of(values)
        readings += len(mine)
        missed += rows.count(gaps, but=Gap.NONE)
        off.append(np.abs(np.diff(mine) / SECOND_NS - PERIOD_S) * 1e3)
    every = np.concatenate(off)
    p50, p99 = np.percentile(every, [50, 99])
    return Kept(float(p50), float(p99), float(every.max()), missed, readings)


def measure(shared: bool, given: argparse.Namespace) -> dict[bool, list[Kept]]:
    """Return what was seen with (True) and without the bad units, turn by turn over the rounds."""
    serving = [sys.executable, "-m", "benchmarks.isolation", "--serve", "shared" if shared else "own"]
    child = subprocess.Popen(serving, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert child.stdout is not None
        addresses = json.loads(child.stdout.readline())
        found: dict[bool, list[Kept]] = {False: [], True: []}
        for _ in range(given.rounds):
            for with_bad in (False, True):
                found[with_bad].append(uvloop.run(watched(devices(addresses, with_bad), given.seconds)))
    finally:
        child.kill()
        child.wait()
    return found


def block(found: dict[str, dict[bool, list[Kept]]], given: argparse.Namespace) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    lines = [["200 units", "bad ones", "jitter p50", "p99", "longest", "readings of the good", "missed"]]
    for way, runs in found.items():
        for with_bad, kept in runs.items():
            middle = [statistics.median(getattr(k, what) for k in kept) for what in ("p50_ms", "p99_ms", "longest_ms")]
            times = [f"{ms:.1f} ms" for ms in middle]
            counts = [f"{sum(k.readings for k in kept):,}", str(sum(k.missed for k in kept))]
            lines.append([way, f"{UNITS * len(BAD) // BESIDE} of {UNITS}" if with_bad else "left out", *times, *counts])
    return f"""{heading("Isolation", "isolation")}

200 Modbus TCP units read every {PERIOD_S:g} s with a timeout of {TIMEOUT_S:g} s, of which 20 hang, 20 answer
after {2 * TIMEOUT_S:g} s, 20 send exceptions, 20 garbage and 40, two beside each other, hang up; the simulator is a
process of its own. Jitter is |interval between readings − period| of the 80 good ones, medians of {given.rounds}
rounds of {given.seconds:g} s, with and without the bad ones in turn. Behind a gateway ten units, six of them bad,
share one connection, which carries one request at a time.

{table(lines)}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how bad Modbus units disturb good ones.")
    parser.add_argument("--seconds", type=float, default=20.0, help="watched in each round (default 20)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    parser.add_argument("--serve", choices=["own", "shared"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        uvloop.run(serve(given.serve == "shared"))
        return
    ways = {"a connection each": False, "ten behind each gateway": True}
    text = block({way: measure(shared, given) for way, shared in ways.items()}, given)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "isolation", text)


if __name__ == "__main__":
    main()
