"""Log → one remote sink: in order, at least once, at its own pace; what is refused becomes a dead letter."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from config.errors import Unavailable
from pipeline.batch import Batch, concat
from pipeline.clock import SECOND_NS, Clock
from pipeline.counters import Counters
from pipeline.log.log import Log
from pipeline.log.writer import Cursor, DeadLetter, Entry
from pipeline.ports import Refusal, Sink

logger = logging.getLogger("tanflow.deliver")

_PACE_S: Final = 0.25  # at least from one request to the next while the sink keeps up: one costs more than its rows
_FIRST_BACKOFF_S: Final = 0.5
_RAW_KEPT: Final = 16_384
_NUMBERS: Final = re.compile(r"\d+")
_KINDS: Final = 100


@dataclass(slots=True)
class Delivery:
    """One sink's way through the log."""

    name: str
    log: Log
    sink: Sink
    clock: Clock
    counters: Counters
    batch_rows: int
    backoff_max_s: float
    position: int = field(init=False)
    _is_new: bool = field(init=False)  # this sink has never been offered anything
    _rows: int | None = field(init=False)  # ever accepted up to the cursor, kept with it; None: nobody has said so
    _backoff_s: float = _FIRST_BACKOFF_S
    _told: set[str] = field(default_factory=set)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # rows that are being offered are not given up

    def __post_init__(self) -> None:
        cursor = self.log.reader.cursor(self.name)
        self.position = cursor.position
        self._is_new = not cursor.state and not self.position
        self._rows = orjson.loads(cursor.state)[0] if cursor.state else None

    async def run(self) -> None:
        """Deliver for ever, a commit as soon as it is there; raises only what is a defect."""
        loop = asyncio.get_running_loop()
        offered_s = -math.inf
        async with self.sink:
            while True:
                now = loop.time()
                if await self.step():
                    offered_s = now
                    continue
                self.counters.backlog = 0
                await self.log.changed()
                await asyncio.sleep(offered_s + _PACE_S - loop.time())

    async def step(self) -> bool:
        """Offer the next rows once; False when there are none. Waits its backoff when the sink is away."""
        try:
            async with self._lock:
                return await self._offer()
        except Unavailable as error:
            await self._wait(error)
            return True

    async def _offer(self) -> bool:
        windows = self.log.read(self.position, self.batch_rows)
        if not windows:
            return False
        await self._meet(windows[0].position - 1)
        batches = [b for w in windows for b in w.batches]
        batch = concat(batches[-1].header, batches)
        refusals = await self.sink.write(batch) if len(batch) else ()
        self._up()
        await self._settle(batch, windows[-1].position, refusals)
        return True

    async def _meet(self, before: int) -> None:
        """Account for what the log no longer holds behind the cursor; a new sink begins where the log does."""
        if self._is_new:
            self.position = before
            self.log.ride(self._cursor(before))
        elif before > self.position:
            why = (
                "the log let go of them while this sink was not configured. What the history still holds is sent by: "
                f"tanflow resend --sink {self.name} --positions {self.position + 1}-{before}"
            )
            lost = None if self._rows is None else self.log.reader.rows_upto(before) - self._rows
            await self._drop(before, lost, why)

    def _cursor(self, position: int) -> Cursor:
        self._is_new, self._rows = False, self.log.reader.rows_upto(position)
        return Cursor(self.name, position, orjson.dumps([self._rows]))

    async def _drop(self, position: int, lost: int | None, why: str) -> None:
        count = "" if lost is None else f"{lost} "
        reason = f"{count}rows at positions {self.position + 1} to {position} given up: {why}"
        letter = DeadLetter(self.clock.now_ns(), f"sink.{self.name}", "policy", reason, b"")
        await self.log.append(Entry(cursor=self._cursor(position), dead=[letter]))
        logger.error("%s: %s", self.name, reason)
        self.position = position
        self.counters.rejected += lost or 0

    async def _settle(self, batch: Batch, position: int, refusals: Sequence[Refusal]) -> None:
        cursor = self._cursor(position)
        refused = sum(len(r.rows) for r in refusals)
        if refusals:
            now = self.clock.now_ns()
            dead = [DeadLetter(now, f"sink.{self.name}", "", r.reason, r.sent[:_RAW_KEPT]) for r in refusals]
            await self.log.append(Entry(cursor=cursor, dead=dead))
            self._tell(refusals)
        else:
            self.log.ride(cursor)
        self.position = position
        self.counters.received += len(batch)
        self.counters.delivered += len(batch) - refused
        self.counters.rejected += refused
        self.counters.lag_s = (self.clock.now_ns() - batch.header.received_ns) / SECOND_NS
        self.counters.backlog = self.log.reader.rows_after(position) if self.log.position > position else 0

    def _tell(self, refusals: Sequence[Refusal]) -> None:
        """Say each kind of refusal once, however often it comes; the dead letters and the counter have them all."""
        self.counters.last_error = refusals[-1].reason
        for refusal in refusals:
            kind = _NUMBERS.sub("#", refusal.reason)
            if kind not in self._told and len(self._told) < _KINDS:
                self._told.add(kind)
                logger.warning("%s refuses rows (told once; see `tanflow deadletters`): %s", self.name, refusal.reason)

    async def _wait(self, error: Unavailable) -> None:
        if self.counters.state != "down":
            logger.warning("%s is away, its rows are kept: %s", self.name, error)
        self.counters.state = "down"
        self.counters.last_error = str(error)
        self.counters.retried += 1
        self.counters.backlog = self.log.reader.rows_after(self.position)
        pause = error.after_s if error.after_s is not None else self._backoff_s * random.uniform(0.5, 1.0)
        self._backoff_s = min(self._backoff_s * 2, self.backoff_max_s)
        await asyncio.sleep(min(pause, self.backoff_max_s))

    def _up(self) -> None:
        if self.counters.state == "down":
            logger.info("%s takes rows again, %d rows behind", self.name, self.counters.backlog)
        self.counters.state = "running"
        self._backoff_s = _FIRST_BACKOFF_S

    async def give_up(self, position: int, why: str) -> None:
        """Drop what the declared policy no longer keeps for this sink: counted, recorded, told."""
        async with self._lock:
            if position <= self.position:
                return
            lost = self.log.reader.rows_after(self.position) - self.log.reader.rows_after(position)
            await self._drop(position, lost, why)
