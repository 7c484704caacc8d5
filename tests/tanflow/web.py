"""A real gateway with its API on a free port; no device is read, rows are appended by the test."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from config.load import load
from config.model import Api
from pipeline.batch import Header, make
from pipeline.clock import SECOND_NS, Clock
from pipeline.log.writer import Entry
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tanflow.web.access.roles import Role
from tanflow.web.access.users import User, changing
from tanflow.web.server import serve
from tests.services.ports import free_port
from tests.waiting import DEADLINE_S, until

CONFIG = """
version: 1
site: {name: works, zone: Asia/Kolkata, region: CN-GD}
data: {commit_ms: 10, ballast_mb: 1}
connections:
  floor: {protocol: modbus}
areas:
  hall:
    assets:
      press:
        type: other
        devices:
          meter:
            connection: floor
            address: 127.0.0.1:9/1
            points:
              power: {quantity: power, unit: kW, modbus: {address: 0, type: float32}}
              energy_import: {quantity: energy_index, unit: kWh, modbus: {address: 2, type: float32}}
  yard:
    assets:
      pump:
        type: pump
        devices:
          meter:
            connection: floor
            address: 127.0.0.1:9/2
            points:
              power: {quantity: power, unit: kW, modbus: {address: 0, type: float32}}
"""
POWER, ENERGY, PUMP = "press.power.power", "press.energy_import.energy", "pump.power.power"
START_NS = 1_772_352_000 * SECOND_NS  # 2026-03-01T08:00:00Z


PASSWORD = "correct horse battery"


@dataclass(slots=True)
class Site:
    """An open gateway and a client of its API."""

    gateway: Gateway
    client: httpx.AsyncClient
    port: int
    stop: Callable[[], object]  # serving, as the gateway does when it ends
    trusted: ssl.SSLContext | bool = True  # what its clients trust

    @property
    def origin(self) -> str:
        """What the gateway's own page sends as its origin."""
        return str(self.client.base_url).rstrip("/")

    def add_user(self, name: str, role: Role, password: str = PASSWORD) -> None:
        """Add a user, or give one another password, as the command line does."""
        with changing(self.gateway.directory.path) as users:
            users[name] = User.of(role, password)

    def remove_user(self, name: str) -> None:
        with changing(self.gateway.directory.path) as users:
            del users[name]

    @asynccontextmanager
    async def page(self) -> AsyncIterator[httpx.AsyncClient]:
        """Open a browser's client: it keeps cookies and says which page it is."""
        async with httpx.AsyncClient(
            base_url=self.origin, headers={"origin": self.origin}, verify=self.trusted, timeout=DEADLINE_S
        ) as client:
            yield client

    @asynccontextmanager
    async def signed_in(self, name: str, role: Role) -> AsyncIterator[httpx.AsyncClient]:
        """Add a user and open a client that has signed in."""
        self.add_user(name, role)
        async with self.page() as client:
            answer = await client.post("/api/login", json={"user": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            yield client

    async def append(self, key: str, offsets_s: Sequence[float], values: Sequence[float], span_s: float = 0.0) -> None:
        """Commit rows of one series, `offsets_s` after START_NS, and wait until the page would show them."""
        gateway = self.gateway
        times = [START_NS + int(offset * SECOND_NS) for offset in offsets_s]
        series = gateway.table.ids[key]
        header = Header("floor", gateway.table.revision, gateway.clock.boot, times[-1], 0)
        await gateway.log.append(
            Entry([make(header, times, [series] * len(times), values, span_ns=int(span_s * SECOND_NS))])
        )
        await until(lambda: gateway.latest.time_ns[series] == times[-1], what="the newest rows")


@asynccontextmanager
async def open_site(
    directory: Path,
    api: Api | None = None,
    token: str = "",
    *,
    more: str = "",
    now_s: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Site]:
    """Open a gateway whose clock stands an hour after START_NS, and serve its API; its stages and its desk follow.

    `more` stands below CONFIG; `now_s` is what sessions and limits go by.
    """
    path = directory / "gateway.yaml"
    path.write_text(CONFIG + more)
    loaded = load(path)
    api = api or Api(port=free_port())
    config = loaded.gateway.model_copy(update={"api": api})
    clock = Clock(anchor_ns=START_NS + 3_600 * SECOND_NS)
    async with open_gateway(config, loaded.templates, base=directory, clock=clock) as gateway:
        for name in gateway.config.connections:
            gateway.board.component(f"collector.{name}").state = "running"
        follow = [gateway.latest.run(gateway.log), gateway.desk.run(), *(c.run() for c in gateway.consumers)]
        tasks = [asyncio.create_task(work) for work in (serve(gateway, api, now_s), *follow)]
        try:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            url = f"{'https' if api.tls else 'http'}://127.0.0.1:{api.port}"
            trusted = ssl.create_default_context(cafile=api.tls.certificate) if api.tls else True
            async with httpx.AsyncClient(base_url=url, headers=headers, verify=trusted, timeout=DEADLINE_S) as client:
                site = Site(gateway, client, api.port, tasks[0].cancel, trusted)
                await _answering(site)
                yield site
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def _answering(site: Site) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with contextlib.suppress(httpx.ConnectError):
                await site.client.get("/")
                return
            await asyncio.sleep(0.01)
