"""A loaded configuration → a process that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Final

from config.load import Loaded
from pipeline.clock import Clock
from pipeline.log.writer import LogFailed
from tanflow.checking import check_more
from tanflow.gateway import Gateway
from tanflow.memory import leave, settle, tame_malloc
from tanflow.opening import open_gateway
from tanflow.web.server import serve

logger = logging.getLogger("tanflow")

DEMO_SCENARIO: Final = Path(__file__).parent.parent / "simulators" / "demo.yaml"


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        if stop.is_set():
            os._exit(130)  # asked twice: what is accepted is on disk already
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told)
    return stop


async def run_gateway(loaded: Loaded) -> int:
    """Run a gateway until a signal; returns 0, or 1 when its log could not be written any more."""
    tame_malloc()
    check_more(loaded)
    stop = stop_on_signals()
    try:
        async with open_gateway(loaded.gateway, loaded.templates) as gateway:
            add_page(gateway)
            settle()
            notify("READY=1")
            watchdog = asyncio.create_task(_watchdog(), name="watchdog")
            try:
                await gateway.run(stop)
            finally:
                leave()
                watchdog.cancel()
                notify("STOPPING=1")
    except LogFailed as error:
        logger.critical("%s", error)
        return 1
    return 0


def add_page(gateway: Gateway) -> None:
    """Let a gateway serve its API and page, if its configuration wants that."""
    api = gateway.config.api
    if api:
        gateway.beside["api"] = lambda: serve(gateway, api)


async def run_simulators(path: Path | None, seconds: float | None) -> int:
    """Serve a scenario's devices until a signal or for a time."""
    from simulators.scenario import Scenario  # servers of all protocols, 29 MB a gateway need not carry

    scenario = Scenario.load(path or DEMO_SCENARIO)
    stop = stop_on_signals()
    async with scenario.open(Clock()) as served:
        logger.info("%d devices are served", len(served.placed))
        await wait(stop, seconds)
    return 0


async def wait(stop: asyncio.Event, seconds: float | None) -> None:
    """Return when told to stop or, where given, when the time is over."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def _watchdog() -> None:
    """Tell systemd that the event loop lives, at half the interval it asks for."""
    interval_us = int(os.environ.get("WATCHDOG_USEC", "0"))
    while interval_us:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_us / 2e6)


def notify(state: str) -> None:
    """Tell systemd, where it started us and listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
