"""A data directory → what a gateway on it stands on: its lock, clock, log, history and ledger, open once a process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from carbon.ledger import Ledger
from config.errors import Unavailable
from config.model import Data
from pipeline.archive import REACHED
from pipeline.clock import Clock
from pipeline.counters import Board
from pipeline.log.directory import DataDirectory
from pipeline.log.log import Log
from pipeline.log.writer import Cursor
from pipeline.trust import boot_clock
from sinks.history import History
from tanflow.belonging import belong_together, nothing_is_gone
from tanflow.missing import goes_on, missing

logger = logging.getLogger("tanflow")


@dataclass(frozen=True, slots=True)
class Ground:
    """What outlives a change of the configuration."""

    directory: DataDirectory
    clock: Clock
    log: Log
    history: History
    ledger: Ledger  # the accountant's, open for writing
    booked: Ledger  # the publisher's
    board: Board = field(default_factory=Board)


@asynccontextmanager
async def open_ground(data: Data, base: Path = Path(), clock: Clock | None = None) -> AsyncIterator[Ground]:
    """Open a data directory; raises GatewayError when it belongs to another gateway or has a foreign format.

    What log and history should hold and do not is told; readings go on, and no file will claim it.
    """
    path = base / data.dir
    with ExitStack() as held:
        directory = held.enter_context(DataDirectory(path, data.ballast_mb))
        nothing_is_gone(path)
        clock = clock or boot_clock(path)
        ledger = held.enter_context(Ledger.open(path, write=True, now_ns=clock.now_ns))
        booked = held.enter_context(Ledger.open(path))
        log = Log(path, clock, data.commit_ms / 1000)
        history = History(path / "history", data.history)
        try:
            await log.open_boot()
            await history.open()
            belong_together(path, log.reader, history.cursor, ledger)
            for words in missing(path, log.reader):
                logger.error("%s", words)
            await _go_on(history, log)
            yield Ground(directory, clock, log, history, ledger, booked)
        finally:
            await history.close()
            await log.close()


async def _go_on(history: History, log: Log) -> None:
    """Let the history go on where its files end; where some are missing at the end, behind what those held."""
    reached = log.reader.cursor(REACHED).position
    if not reached:
        try:
            await history.own()
        except Unavailable as error:  # its disk is full: readings go on
            logger.warning("%s", error)
    history.skip(goes_on(history.cursor, log.reader.first_position(), reached))
    if history.cursor > reached:
        log.ride(Cursor(REACHED, history.cursor))
