"""A configuration that changes while the gateway runs: what is unchanged reads on, what is wrong changes nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import yaml

from config.errors import GatewayError
from config.load import load
from pipeline.gaps import Gap
from pipeline.log.directory import owner
from pipeline.log.log import LogReader
from simulators.registers import Block
from simulators.serve_modbus import ModbusServer, Unit
from tanflow.reload import FILE, Outcome
from tests.services.ports import free_port
from tests.waiting import DEADLINE_S, until

ROOT = Path(__file__).parents[2]
EVERY_S = 0.05


class Plant:
    """Two Modbus units on servers of their own whose register counts up, and the configuration that reads them."""

    def __init__(self, folder: Path, left: ModbusServer, right: ModbusServer, left_every_s: float) -> None:
        self.folder, self.servers = folder, {"left": left, "right": right}
        self.path = folder / "gateway.yaml"
        self.port = free_port()
        every_s = {"left": left_every_s, "right": EVERY_S}
        self.connections: dict[str, dict[str, Any]] = {
            name: {"protocol": "modbus", "every_s": every_s[name], "timeout_s": 10} for name in self.servers
        }
        self.write()

    def write(self) -> None:
        """Write the configuration as it is now."""
        point = {"quantity": "count", "unit": "1", "modbus": {"address": 0, "type": "uint32"}}
        assets = {
            name: {
                "type": "other",
                "devices": {
                    "d": {
                        "connection": name,
                        "address": f"127.0.0.1:{self.servers[name].port}/1",
                        "points": {"n": point},
                    }
                },
            }
            for name in self.connections
        }
        config = {
            "version": 1,
            "site": {"name": "s", "region": "CN-GD"},
            "data": {"dir": "data", "commit_ms": 20},
            "api": {"port": self.port},
            "connections": self.connections,
            "areas": {"hall": {"assets": assets}},
        }
        self.path.write_text(yaml.safe_dump(config), "utf-8")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def rows(self, key: str) -> list[tuple[int, float]]:
        """Return (time, value) of all rows of a series in the log."""
        try:
            reader = LogReader(self.data)
        except (sqlite3.OperationalError, GatewayError):  # it is just being made
            return []
        try:
            ids = dict(reader.query("SELECT key, id FROM series"))
            found: list[tuple[int, float]] = []
            position = 0
            while windows := reader.read_raw(position):
                for batch in (b for w in windows for b in w.batches):
                    mine = batch.series == ids.get(key, -1)
                    found += zip(batch.time_ns[mine].tolist(), batch.value[mine].tolist(), strict=True)
                position = windows[-1].position
            return found
        finally:
            reader.close()

    def gaps(self, name: str) -> set[float]:
        """Return why readings of a connection are missing; that a loaded machine is late is nobody's mistake."""
        return {value for _, value in self.rows(f"{name}.d-gap.gap")} - {Gap.NONE, Gap.MISSED}

    async def components(self) -> dict[str, Any]:
        """Return what /api/health says of each part; the page is away for a moment while it is made anew."""
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=20), timeout=DEADLINE_S) as client:
            found: dict[str, Any] = (await client.get(f"http://127.0.0.1:{self.port}/api/health")).json()["components"]
            return found

    async def reads(self, name: str) -> None:
        """Return once five more readings of a connection are accepted."""
        before = len(self.rows(f"{name}.n.count"))
        await until(lambda: len(self.rows(f"{name}.n.count")) >= before + 5, what=f"readings of {name}")


async def _count(servers: tuple[ModbusServer, ...]) -> None:
    """Let the register of every unit count."""
    number = 0
    while True:
        number += 1
        for server in servers:
            server.units[1].show({"holding": Block(0, 2, struct.pack(">I", number))})
        await asyncio.sleep(EVERY_S / 5)


@asynccontextmanager
async def plant(folder: Path, left_every_s: float = EVERY_S) -> AsyncIterator[Plant]:
    async with ModbusServer(units={1: Unit()}) as left, ModbusServer(units={1: Unit()}) as right:
        counting = asyncio.create_task(_count((left, right)))
        try:
            yield Plant(folder, left, right, left_every_s)
        finally:
            counting.cancel()


@asynccontextmanager
async def gateway(of: Plant) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the program itself until the block is left."""
    command = (sys.executable, "-m", "tanflow", "run", "-c", str(of.path))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=(of.folder / "log").open("ab"))
    try:
        await until(lambda: (of.data / "log.db").exists() and owner(of.data) == process.pid, what="the gateway")
        await of.reads("left")
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0, (of.folder / "log").read_text()


async def reload(of: Plant) -> tuple[int, str]:
    """Call `tanflow reload`; return its exit code and all it says."""
    command = (sys.executable, "-m", "tanflow", "reload", "-c", str(of.path))
    pipe, both = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=both)
    told, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode()


async def test_what_has_not_changed_reads_on(tmp_path: Path) -> None:
    """The left connection keeps its one TCP connection, misses no cycle and gets no gap row; the right begins anew."""
    async with plant(tmp_path, left_every_s=1.0) as of, gateway(of):
        opened = set(of.servers["left"].connections)
        of.connections["right"]["every_s"] = EVERY_S * 2
        of.write()
        code, told = await reload(of)
        assert (code, told) == (0, "configuration 2 is in force: right began; left went on undisturbed\n")
        await of.reads("left")
        await of.reads("right")
        assert set(of.servers["left"].connections) == opened
    assert of.gaps("left") == set()
    numbers = [value for _, value in of.rows("left.n.count")]
    assert numbers == sorted(numbers)
    assert of.gaps("right") == {Gap.STOPPED}
    times = np.diff([time for time, _ in of.rows("left.n.count")])
    assert (times > 0).all()  # nothing is there twice


async def test_connections_come_and_go(tmp_path: Path) -> None:
    async with plant(tmp_path) as of, gateway(of):
        right = of.connections.pop("right")
        of.write()
        assert await reload(of) == (0, "configuration 2 is in force: right ended; left went on undisturbed\n")
        await until(lambda: not of.servers["right"].connections, what="the right connection to be closed")
        await of.reads("left")
        assert "collector.right" not in await of.components()
        of.connections["right"] = right
        of.write()
        assert await reload(of) == (0, "configuration 3 is in force: right began; left went on undisturbed\n")
        await of.reads("right")
        links = (await of.components())["collector.right"]["links"]
        assert links["known"] == 1
        assert {what for what in links["what"].values() if "takes longer" not in what} == set()  # a loaded machine may


async def test_a_wrong_file_changes_nothing(tmp_path: Path) -> None:
    """The command tells the mistake with its line and asks nothing of the gateway; a bare signal is answered so too."""
    async with plant(tmp_path) as of, gateway(of) as process:
        of.connections["right"]["every_s"] = -1
        of.write()
        line = of.path.read_text("utf-8").splitlines().index("    every_s: -1") + 1
        code, told = await reload(of)
        mistake = f"{of.path}:{line}: connections.right.every_s: must be greater than or equal to 0.01, not -1"
        assert (code, told.strip()) == (2, mistake)
        assert Outcome.last(of.data) is None
        process.send_signal(signal.SIGHUP)
        await until(lambda: (of.data / FILE).exists(), what="the outcome")
        assert list(orjson.loads((of.data / FILE).read_bytes())["problems"]) == [mistake]
        await of.reads("left")
        await of.reads("right")
    assert of.gaps("left") == of.gaps("right") == set()


async def test_what_takes_a_restart_is_said(tmp_path: Path) -> None:
    async with plant(tmp_path) as of, gateway(of):
        text = of.path.read_text("utf-8").replace("commit_ms: 20", "commit_ms: 30")
        of.path.write_text(text, "utf-8")
        line = text.splitlines().index("data:") + 1
        code, told = await reload(of)
        assert code == 1
        assert told.strip().endswith(f"gateway.yaml:{line}: data: is changed; that takes a restart of the gateway")


async def test_a_gateway_keeps_its_data_directory(tmp_path: Path) -> None:
    """Nothing runs on the directory the file names now; the gateway that follows the file is found all the same."""
    async with plant(tmp_path) as of, gateway(of) as process:
        of.path.write_text(of.path.read_text("utf-8").replace("dir: data", "dir: elsewhere"), "utf-8")
        assert await reload(of) == (
            1,
            f"tanflow: the gateway of {of.path} (process {process.pid}) runs on {of.data}, and a running gateway keeps "
            "its data directory: put data.dir back, or restart the gateway\n",
        )
        await of.reads("left")


async def test_without_a_gateway_there_is_nothing_to_reload(tmp_path: Path) -> None:
    async with plant(tmp_path) as of:
        assert load(of.path).gateway.data.dir == of.data
        assert await reload(of) == (
            1, f"tanflow: no gateway runs on {of.data}; start it with tanflow run -c {of.path}\n",
        )  # fmt: skip


def _owns(of: Plant, process: asyncio.subprocess.Process) -> bool:
    return owner(of.data) == process.pid


def _written_since(of: Plant, before_ns: int) -> bool:
    return os.stat(of.data / "log.db-wal").st_mtime_ns != before_ns


async def test_killed_while_it_reloads_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """Five lives, each killed at another moment after a reload began: rows stay in order and once each."""
    async with plant(tmp_path) as of:
        for life in range(5):
            command = (sys.executable, "-m", "tanflow", "run", "-c", str(of.path))
            process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=(tmp_path / "log").open("ab"))
            await until(partial(_owns, of, process), what="the gateway")
            await of.reads("left")
            of.connections["right"]["every_s"] = EVERY_S * (life + 2)
            of.write()
            before = os.stat(of.data / "log.db-wal").st_mtime_ns
            process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.04 * life)  # how far it has come is what differs between lives
            await until(partial(_written_since, of, before), what="a commit")
            process.kill()
            await process.wait()
        async with gateway(of):
            await of.reads("right")
    for name in of.servers:
        rows = of.rows(f"{name}.n.count")
        assert (np.diff([time for time, _ in rows]) > 0).all()
        assert [value for _, value in rows] == sorted(value for _, value in rows)
