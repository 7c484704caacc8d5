"""Modbus peers for Node.js as processes: a server of modbus-serial, clients of modbus-serial and jsmodbus."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.waiting import DEADLINE_S

HERE: Final = Path(__file__).parent
VERSIONS: Final[dict[str, str]] = json.loads((HERE / "package.json").read_text())["dependencies"]
Held = Mapping[int, Mapping[str, Mapping[int, int]]]  # value by unit, table and address


@asynccontextmanager
async def _running(program: str, script: str, *arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(program, str(HERE / script), *arguments, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _say(process: Process, what: object) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(what).encode() + b"\n")
    await process.stdin.drain()


async def _hear(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        line = (await process.stdout.readline()).decode().strip()
    assert line, "the Node.js peer has ended; what it said is above"
    return line


@asynccontextmanager
async def modbus_serial_server(program: str, held: Held) -> AsyncIterator[int]:
    """Serve registers and bits with modbus-serial; its port comes out."""
    async with _running(program, "modbus_server.js") as process:
        await _say(process, held)
        yield int(await _hear(process))


class Client:
    """A Modbus client of Node.js that asks unit 1; calls are named as modbus-serial names them."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def ask(self, call: str, *args: object, as_: str | None = None) -> dict[str, Any]:
        """Return `values`, the `value` that Node.js reads in the bytes `as_` says, an `exception` or an `error`."""
        await _say(self._process, {"call": call, "args": args, "as": as_})
        told: dict[str, Any] = json.loads(await _hear(self._process))
        return told


@asynccontextmanager
async def client(program: str, name: str, port: int) -> AsyncIterator[Client]:
    """Connect a client of the package `name` to a server on this machine."""
    async with _running(program, "modbus_client.js", name, str(port)) as process:
        assert await _hear(process) == "ready"
        yield Client(process)
