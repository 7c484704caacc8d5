"""Simulated Modbus TCP units enter; CPU per request of this collector, of pymodbus and of a C program leaves.

`python -m benchmarks.modbus_read` writes its block of docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import uvloop
from pymodbus.client import AsyncModbusTcpClient

from benchmarks.plant import Plant, simulated
from benchmarks.process import python
from benchmarks.report import ROOT, Target, heading, put_block, table, target_table
from benchmarks.turns import ended, in_turns, told
from collectors.modbus import TICK_S, ModbusCollector
from config.bindings import BoundDevice, bind, series_key
from config.model import Gateway
from config.protocols.modbus import ModbusConnection
from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.gaps import gap_key
from pipeline.ports import Origin
from tanflow.memory import settle

CONNECTIONS: Final = 16
UNITS: Final = 120  # on each connection
TICKS: Final = 24  # of the collector's schedule in a period; it spreads the units over them, and so do the others
EACH: Final = UNITS // TICKS
FLOATS: Final = 62
REGISTERS: Final = 125  # the most one request may ask for: the floats, and one register more
PERIOD_S: Final = TICKS * TICK_S
COMMIT_S: Final = 0.25  # how long the gateway's log takes what has come together, as configured by default
WARM_S: Final = 2.0
LIMIT: Final = "C, epoll, decoded"
OURS: Final = "tanflow, decoded to rows"
PEER: Final = "pymodbus (asyncio), registers"
ALIKE: Final = "pymodbus (asyncio), all floats decoded in one call"
EACH_POINT: Final = "pymodbus (asyncio), decoded point by point"
Decode = Callable[[AsyncModbusTcpClient, Sequence[int]], None]


def devices(ports: list[int]) -> list[BoundDevice]:
    """Return all units as the gateway reads them: one block of all registers each."""
    points = {
        f"v{i}": {"quantity": "power", "unit": "W", "modbus": {"table": "input", "address": 2 * i, "type": "float32"}}
        for i in range(FLOATS)
    }
    points["state"] = {
        "quantity": "count",
        "unit": "1",
        "modbus": {"table": "input", "address": 2 * FLOATS, "type": "uint16"},
    }
    assets = {
        f"meter-{port}-{unit}": {
            "type": "meter",
            "devices": {"m": {"connection": "floor", "address": f"127.0.0.1:{port}/{unit}", "template": "machine"}},
        }
        for port in ports
        for unit in range(1, UNITS + 1)
    }
    gateway = Gateway.model_validate(
        {
            "version": 1,
            "site": {"name": "bench", "region": "GB"},
            "templates": {"machine": {"protocol": "modbus", "points": points}},
            "connections": {"floor": {"protocol": "modbus", "every_s": PERIOD_S}},
            "areas": {"hall": {"assets": assets}},
        }
    )
    return list(bind(gateway, gateway.templates))


async def ours(ports: list[int], measure_s: float) -> None:
    """Collect from all units with the gateway's collector, batches taken as often as the log takes them."""
    bound, ids = devices(ports), dict[str, int]()
    for device in bound:
        for name, point in device.points.items():
            ids[series_key(device.asset_name, name, point.quantity)] = len(ids)
        ids[gap_key(device.asset_name, device.name)] = len(ids)
    connection = ModbusConnection(protocol="modbus", every_s=PERIOD_S, timeout_s=2.0)
    counters, values = Counters(), 0
    collector = ModbusCollector(Origin("floor", 1, Clock()), connection, bound, ids, counters)

    async def take() -> None:
        nonlocal values
        async for batch in collector.batches():
            values += len(batch)
            await asyncio.sleep(COMMIT_S)

    async with collector:
        settle()
        pump = asyncio.create_task(take())
        await told(lambda: values // (FLOATS + 1), WARM_S, measure_s)
        await ended(pump)


def raw(client: AsyncModbusTcpClient, registers: Sequence[int]) -> None:
    """Leave the registers as they are."""


def alike(client: AsyncModbusTcpClient, registers: Sequence[int]) -> None:
    """Decode all floats in one call, which is possible only where all registers of an answer are of one type."""
    client.convert_from_registers(registers[: 2 * FLOATS], client.DATATYPE.FLOAT32)
    client.convert_from_registers(registers[2 * FLOATS :], client.DATATYPE.UINT16)


def each_point(client: AsyncModbusTcpClient, registers: Sequence[int]) -> None:
    """Decode each point by its own address and type, as a map of points says them and as the gateway knows them."""
    for address, count, datatype in _MAP:
        client.convert_from_registers(registers[address : address + count], datatype)


_DATATYPE: Final = AsyncModbusTcpClient.DATATYPE
_MAP: Final = [*((2 * i, 2, _DATATYPE.FLOAT32) for i in range(FLOATS)), (2 * FLOATS, 1, _DATATYPE.UINT16)]
CLIENTS: Final[dict[str, tuple[str, Decode]]] = {
    "pymodbus": (PEER, raw),
    "alike": (ALIKE, alike),
    "each-point": (EACH_POINT, each_point),
}


async def pymodbus(ports: list[int], measure_s: float, decode: Decode) -> None:
    """Do the same with pymodbus: a client for each connection, all at once, so many units of each every tick."""
    done, over = 0, False

    async def poll(port: int) -> None:
        nonlocal done
        client = AsyncModbusTcpClient("127.0.0.1", port=port)
        await client.connect()
        due, turn = time.monotonic(), 0
        while not over:  # not cancelled: before Python 3.12 asyncio.wait_for, which it uses, may lose that
            first, turn = turn % TICKS * EACH + 1, turn + 1
            for unit in range(first, first + EACH):
                answer = await client.read_input_registers(0, count=REGISTERS, device_id=unit)
                if answer.isError():
                    raise RuntimeError(f"unit {unit}: {answer}")
                decode(client, answer.registers)
                done += 1
            due = max(due + TICK_S, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
        client.close()

    async with asyncio.TaskGroup() as group:
        for port in ports:
            group.create_task(poll(port))
        await told(lambda: done, WARM_S, measure_s)
        over = True


def compiled(directory: Path) -> Path | None:
    """Return the C client, compiled here and now; None where there is no gcc."""
    gcc, program = shutil.which("gcc"), directory / "epoll_client"
    if gcc is None:
        return None
    subprocess.run([gcc, "-O2", "-o", program, ROOT / "benchmarks" / "epoll_client.c"], check=True)
    return program


def commands(plant: Plant, program: Path | None, measure_s: float) -> dict[str, list[str]]:
    """Return what is run in turns."""
    ports = list(map(str, plant.ports))
    found = {}
    if program is not None:
        times = [str(int(seconds * 1e3)) for seconds in (TICK_S, WARM_S, measure_s)]
        found[LIMIT] = [str(program), str(EACH), str(REGISTERS), *times, *ports]
    for client, name in {"ours": OURS, **{client: name for client, (name, _) in CLIENTS.items()}}.items():
        found[name] = python("-m", "benchmarks.modbus_read", "--client", client, "--seconds", f"{measure_s:g}")
        found[name] += ["--ports", *ports]
    return found


def targets(found: dict[str, float]) -> list[Target]:
    """Return what is asked of the ratios."""
    ours_us = found[OURS]
    asked = [
        Target.at_least("CPU per request, pymodbus point by point ÷ tanflow", found[EACH_POINT] / ours_us, 10, "x"),
        Target.at_least("CPU per request, pymodbus in one call ÷ tanflow", found[ALIKE] / ours_us, 10, "x"),
    ]
    if LIMIT in found:
        asked.insert(0, Target.at_most("CPU per request, tanflow ÷ C", ours_us / found[LIMIT], 1.6, "x"))
    return asked


def block(found: dict[str, float], rounds: int, measure_s: float) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    lines = [["client", "CPU per request", "÷ tanflow"]]
    lines += [[name, f"{us:.1f} µs", f"{us / found[OURS]:.2f} x"] for name, us in found.items()]
    if LIMIT not in found:
        lines.append([LIMIT, "gcc was missing", "–"])
    return f"""{heading("Modbus read", "modbus_read")}

{CONNECTIONS} connections to the simulator, {UNITS} units behind each, {REGISTERS} registers ({FLOATS} float32 and one \
uint16) of every unit each
{PERIOD_S:g} s, {EACH} of each connection every {1e3 * TICK_S:g} ms, one request under way on a connection.
CPU (user and system) of the client's process, medians of {rounds} turns of {measure_s:g} s.
tanflow is the gateway's collector: schedule, deadlines, gap rows, batches in columns, each point with its own
address and type. It decodes, so its target is judged against pymodbus decoding too: point by point, as a program does
that has a map of points, and all floats in one call, which only a device of one type allows. The C client is
`benchmarks/epoll_client.c`, which does no more than ask, compare and decode.

{table(lines)}

{target_table(targets(found))}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what reading registers costs, beside pymodbus and C.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="measured in each turn (default 4)")
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    parser.add_argument("--client", choices=["ours", *CLIENTS], help=argparse.SUPPRESS)
    parser.add_argument("--ports", type=int, nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client == "ours":
        uvloop.run(ours(given.ports, given.seconds))
        sys.exit()
    if given.client:
        asyncio.run(pymodbus(given.ports, given.seconds, CLIENTS[given.client][1]))
        sys.exit()
    with tempfile.TemporaryDirectory(prefix="tanflow-bench-") as name:
        directory = Path(name)
        with simulated(directory, CONNECTIONS, UNITS, FLOATS + 1) as plant:
            found = in_turns(commands(plant, compiled(directory), given.seconds), given.rounds)
    text = block(found, given.rounds, given.seconds)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "modbus_read", text)


if __name__ == "__main__":
    main()
