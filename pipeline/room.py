"""Keeps the log bounded and the disk from filling: what nobody needs goes, and without room nothing is accepted."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from config.model import Keep
from pipeline.clock import Clock, to_beat_s
from pipeline.counters import Counters
from pipeline.deliver import Delivery
from pipeline.log.directory import DataDirectory
from pipeline.log.log import Log
from pipeline.log.writer import LogFailed

logger = logging.getLogger("tanflow.room")

_EVERY_S: Final = 2.0
_MEGABYTE: Final = 1_000_000


@dataclass(slots=True)
class Room:
    """Moves the log's floor up to what every local reader has passed, and closes the gate when space runs out.

    `local` are positions nothing may be removed above: history, stages, snapshots. Remote sinks hold the log too,
    within their declared policy.
    """

    log: Log
    directory: DataDirectory
    local: Sequence[Callable[[], int]]
    remote: Sequence[tuple[Delivery, Keep]]
    accepting: asyncio.Event
    min_free_mb: int
    clock: Clock
    counters: Counters

    async def run(self) -> None:
        """Look every two seconds, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(to_beat_s(_EVERY_S))

    async def look(self) -> None:
        """Do it once; the disk first, for a policy may have to wait for a request under way.

        Raises LogFailed where the directory is no longer where it was: files would be written into another one.
        """
        if not self.directory.is_in_place():
            raise LogFailed(
                f"{self.directory.path} was moved, deleted or mounted over while the gateway ran on it: nothing more "
                "is accepted; put it back, or a backup of it, and start the gateway again"
            )
        self._weigh()
        for delivery, keep in self.remote:
            await self._enforce(delivery, keep)
        positions = [p() for p in self.local] + [d.position for d, _ in self.remote]
        self.log.writer.floor = min(positions, default=0)
        self.counters.backlog = self.log.reader.rows_after(self.log.writer.floor)

    def _weigh(self) -> None:
        free_mb = self.directory.free_bytes() / _MEGABYTE
        if free_mb < self.min_free_mb and self.accepting.is_set():
            self._close(free_mb)
        elif free_mb >= self.min_free_mb and not self.accepting.is_set():
            self._open(free_mb)
        if self.directory.is_full and self.directory.ballast.exists():
            self.directory.drop_ballast()
            logger.error("the disk of %s is full: its ballast is freed to record that", self.directory.path)

    async def _enforce(self, delivery: Delivery, keep: Keep) -> None:
        reader = self.log.reader
        if keep.max_mb is not None and reader.bytes_after(delivery.position) > keep.max_mb * _MEGABYTE:
            limit = keep.max_mb * _MEGABYTE
            position = self._first(delivery.position, lambda p: reader.bytes_after(p) <= limit)
            await delivery.give_up(position, f"more than {keep.max_mb:g} MB waited")
        if keep.max_age_h is not None:
            oldest_ns = self.clock.now_ns() - int(keep.max_age_h * 3.6e12)
            position = self._first(delivery.position, lambda p: (reader.received_ns(p) or oldest_ns) >= oldest_ns)
            await delivery.give_up(position, f"older than {keep.max_age_h:g} h")

    def _first(self, low: int, enough: Callable[[int], bool]) -> int:
        """Return the least position from `low` on after which what is left satisfies `enough`."""
        return low + bisect_left(range(low, self.log.position + 1), True, key=enough)

    def _close(self, free_mb: float) -> None:
        self.accepting.clear()
        self.counters.state = "down"
        self.counters.last_error = (
            f"{free_mb:.0f} MB free on the disk of {self.directory.path}, {self.min_free_mb} MB are kept: "
            "nothing is accepted until there is room"
        )
        logger.error(self.counters.last_error)

    def _open(self, free_mb: float) -> None:
        self.accepting.set()
        self.counters.state = "running"
        self.counters.last_error = ""
        self.directory.load_ballast()
        logger.warning("%.0f MB free again: readings are accepted", free_mb)
