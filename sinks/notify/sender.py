"""The outbox → one channel: joined, not too many a minute, at least once, retried for a day, then a dead letter."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from config.errors import Rejected, Unavailable
from pipeline.clock import SECOND_NS, Clock
from pipeline.counters import Counters
from pipeline.desk.episode import Episode
from pipeline.log.log import Log
from sinks.notify.channel import Channel
from sinks.notify.message import Message, Telling, late
from sinks.notify.outbox import Outbox

logger = logging.getLogger("tanflow.notify")

_LINGER_S: Final = 0.5
_FIRST_BACKOFF_S: Final = 1.0
_BACKOFF_MAX_S: Final = 300.0
_MINUTE_NS: Final = 60 * SECOND_NS
_GIVE_UP_NS: Final = 24 * 3_600 * SECOND_NS
_MOST: Final = 50  # alerts in one message
_AT_ONCE: Final = 500  # alerts in one request to a program
_LINE: Final = 160  # bytes one more alert takes


@dataclass(slots=True)
class Sender:
    """One channel's way through the outbox; `firing` returns what it must keep telling (see Channel.refresh_s)."""

    name: str
    site: str
    log: Log
    channel: Channel
    clock: Clock
    counters: Counters
    wait_s: float
    per_minute: int
    firing: Callable[[], Sequence[Episode]]
    outbox: Outbox = field(init=False)
    _sent: deque[int] = field(init=False)  # when the latest messages left [ns]
    _refreshed_ns: int = 0
    _backoff_s: float = _FIRST_BACKOFF_S

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.log, self.name, self.clock)
        self._sent = deque(self.outbox.sent_since(self.clock.now_ns() - _MINUTE_NS), self.per_minute)

    async def run(self) -> None:
        """Send for ever; raises only what is a defect."""
        async with self.channel:
            while True:
                if not await self.step():
                    await self.log.changed()
                    await asyncio.sleep(_LINGER_S)

    async def step(self) -> bool:
        """Send the next message; False when nothing is due. Waits its backoff when the channel cannot be reached."""
        tellings = self.outbox.begun()
        if not tellings and self._may():
            tellings = await self.outbox.join(self._most())
        try:
            if tellings:
                await self._send(tellings)
            elif not await self._refresh():
                return False
        except Unavailable as error:
            await self._wait(error, tellings)
        return True

    def _may(self) -> bool:
        """Return whether a new message is due: programs get everything at once, people neither haste nor floods."""
        oldest = self.outbox.oldest_ns()
        if oldest is None or not self.channel.joins:
            return oldest is not None
        now = self.clock.now_ns()
        full = len(self._sent) == self.per_minute and 0 <= now - self._sent[0] < _MINUTE_NS
        return not full and not 0 <= now - oldest < self.wait_s * SECOND_NS  # below 0: the clock was ahead

    def _most(self) -> int:
        return max(1, min(_MOST, self.channel.room // _LINE - 2)) if self.channel.joins else _AT_ONCE

    async def _send(self, tellings: Sequence[Telling]) -> None:
        now = self.clock.now_ns()
        first = tellings[0]  # its second is in the id, because a new data directory counts its rows anew
        number = f"{self.site}-{self.name}-{first.at_ns // SECOND_NS}-{first.message}"
        message = Message(number, tellings, late(tellings, now))
        try:
            await self.channel.send(message)
        except Rejected as error:
            await self._give_up(tellings, str(error))
            return
        self._sent.append(now)
        await self.outbox.sent(tellings)
        self._up()
        self.counters.received += len(tellings)
        self.counters.delivered += len(tellings)
        self.counters.lag_s = (self.clock.now_ns() - tellings[0].at_ns) / SECOND_NS
        self.counters.backlog = self.outbox.waiting()

    async def _refresh(self) -> bool:
        """Tell anew what fires, where the other side would take it for over; False when it is not time for it."""
        now, every = self.clock.now_ns(), self.channel.refresh_s
        if not every or now - self._refreshed_ns < every * SECOND_NS or not (firing := self.firing()):
            return False
        tellings = [Telling(0, now, "again", episode, "") for episode in firing]
        try:
            await self.channel.send(Message(f"{self.site}-{self.name}-refresh", tellings))
        except Rejected as error:
            self.counters.last_error = str(error)
        else:
            self._up()
        self._refreshed_ns = now
        return True

    async def _wait(self, error: Unavailable, tellings: Sequence[Telling]) -> None:
        if self.counters.state != "down":
            logger.warning("channel %s cannot be reached, its messages are kept: %s", self.name, error)
        self.counters.state = "down"
        self.counters.last_error = str(error)
        self.counters.retried += 1
        self.counters.backlog = self.outbox.waiting()
        if tellings and self.clock.now_ns() - tellings[0].at_ns > _GIVE_UP_NS:
            await self._give_up(tellings, f"not taken within a day: {error}")
        pause = error.after_s if error.after_s is not None else self._backoff_s * random.uniform(0.5, 1.0)
        self._backoff_s = min(self._backoff_s * 2, _BACKOFF_MAX_S)
        await asyncio.sleep(min(pause, _BACKOFF_MAX_S))

    async def _give_up(self, tellings: Sequence[Telling], why: str) -> None:
        logger.error("channel %s: %d messages about alerts are given up: %s", self.name, len(tellings), why)
        await self.outbox.give_up(tellings, why)
        self.counters.received += len(tellings)
        self.counters.rejected += len(tellings)
        self.counters.last_error = why
        self.counters.backlog = self.outbox.waiting()

    def _up(self) -> None:
        if self.counters.state == "down":
            logger.info("channel %s takes messages again", self.name)
        self.counters.state = "running"
        self._backoff_s = _FIRST_BACKOFF_S
