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
from tanflow.backup.origin import Restored
from tanflow.checking import check_more
from tanflow.gateway import Gateway
from tanflow.memory import leave, let_go_of_code, settle, stay_small, tame_malloc
from tanflow.opening import open_planned
from tanflow.reload import Reload
from tanflow.tasks import cancel, start
from tanflow.web.access.sessions import SignIns
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
    """Run a gateway until a signal; returns 0, or 1 when its log could not be written any more.

    SIGHUP lets it take over what has changed in its configuration file.
    """
    tame_malloc()
    opened = open_planned(check_more(loaded))
    stop, reload = stop_on_signals(), Reload(loaded)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.wanted.set)
    try:
        async with opened as gateway:
            if (restored := Restored.of(gateway.directory.path)) is not None:
                logger.warning("%s", restored.sentence())
            let_go_of_code()  # now, and at no reload: sources and pages of one that runs may load a library at any time
            beside = [start("watchdog", _watchdog()), start("memory", stay_small())]
            try:
                await _live(gateway, reload, stop)
            finally:
                await cancel(beside)
                notify("STOPPING=1")
    except LogFailed as error:
        logger.critical("%s", error)
        return 1
    return 0


async def _live(gateway: Gateway, reload: Reload, stop: asyncio.Event) -> None:
    """Run a gateway, and those that take over from it, until `stop` is set."""
    sign_ins = SignIns()
    while True:
        add_page(gateway, sign_ins)
        settle()
        notify("READY=1")
        turn = asyncio.Event()
        watching = start("reload", reload.watch(gateway, turn))
        try:
            await gateway.run(stop, turn)
        finally:
            leave()
            await cancel([watching])
        if stop.is_set():
            return
        notify("RELOADING=1")
        gateway = await reload.follow(gateway)


def add_page(gateway: Gateway, sign_ins: SignIns | None = None) -> None:
    """Let a gateway serve its API and page, if its configuration wants that; sign-ins may be those of the last one."""
    api = gateway.config.api
    if api:
        gateway.beside["api"] = lambda: serve(gateway, api, sign_ins=sign_ins)


async def run_simulators(path: Path | None, seconds: float | None) -> int:
    """Serve a scenario's devices until a signal or for a time."""
    from simulators.scenario import Scenario  # servers of all protocols, which a gateway need not carry

    scenario = Scenario.load(path or DEMO_SCENARIO)
    stop = stop_on_signals()
    async with scenario.open(Clock()) as served:
        logger.info("devices served: %d", len(served.placed))
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
