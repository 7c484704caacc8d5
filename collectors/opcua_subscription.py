"""One subscription on an open session: notifications → intake; says when it has gone silent."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from asyncua import ua

from collectors.opcua_columns import Columns
from collectors.opcua_intake import Intake
from collectors.opcua_session import HEARTBEAT, Session
from config.protocols.opcua import OpcuaConnection
from pipeline.clock import SECOND_NS, Clock
from pipeline.counters import Counters
from pipeline.meter import NEVER

logger = logging.getLogger("tanflow.opcua")

_RETRY_MISSING_S: Final = 60.0  # a server may load parts of its address space late
_READ_BACK_S: Final = 60.0  # at least between two readings back of what a running server lost


class Subscription:
    """All items of a connection in one subscription, with the server's own clock beside them.

    `on_news` is called when something has arrived, `on_gap` when notifications are missing, `on_error` with what ends
    the subscription.
    """

    def __init__(
        self,
        session: Session,
        intake: Intake,
        clock: Clock,
        counters: Counters,
        on_news: Callable[[], None],
        on_gap: Callable[[str], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._session = session
        self._intake = intake
        self._clock = clock
        self._counters = counters
        self._on_news, self._on_gap, self._on_error = on_news, on_gap, on_error
        self._id = 0
        self._sequence = 0
        self._beats = 0
        self._lost_at = -math.inf  # when what was lost was last read back
        self._told = False  # that it is lost too often to be read back each time
        self._stale_s = session.connection.stale_s
        self._published_at = self._data_at = self._tried_at = asyncio.get_running_loop().time()

    @property
    def patience_s(self) -> float:
        """How long to wait at most before `watch` is worth a look [s]."""
        return self._stale_s / 4

    async def open(self) -> None:
        """Subscribe and monitor everything."""
        every_s = self._clock.wall_seconds(self._session.connection.every_s)
        self._intake.renew()
        self._id, granted_s = await self._session.subscribe(every_s, self._published)
        self._stale_s = max(self._session.connection.stale_s, 3 * granted_s)
        await self._session.monitor_heartbeat(self._id, max(granted_s, self._stale_s / 4))
        await self._monitor(range(len(self._intake.items)))

    async def watch(self) -> str:
        """Look again for nodes that were missing; return why the subscription is dead, or nothing."""
        now = asyncio.get_running_loop().time()
        # Where the server publishes its own clock, data must come; else at least its keep-alive messages must.
        silent_s = now - (self._data_at if self._beats > 1 else self._published_at)
        if silent_s > self._stale_s:
            return f"the subscription is silent for {silent_s:.0f} s and is built anew"
        if self._intake.missing and now - self._tried_at > _RETRY_MISSING_S:
            await self._monitor(sorted(self._intake.missing))
        return ""

    async def _monitor(self, chosen: Sequence[int]) -> None:
        self._tried_at = asyncio.get_running_loop().time()
        sampling_s = _sampling_s(self._session.connection, self._clock)
        points = {i + 1: self._intake.items[i].node for i in chosen}  # handle 0 is the heartbeat
        for handle, status in (await self._session.monitor(self._id, points, sampling_s)).items():
            words = self._session.places[points[handle]].words
            self._intake.exists(handle - 1, status if status >> 30 else 0, words)
        self._on_news()

    def _published(self, result: ua.PublishResult) -> None:
        try:
            self._take(result.NotificationMessage)
        except Exception as error:  # noqa: BLE001  the library would only log it
            self._on_error(error)
        self._on_news()

    def _take(self, message: ua.NotificationMessage) -> None:
        now_ns = self._clock.now_ns()
        silent_s = asyncio.get_running_loop().time() - self._published_at
        self._published_at += silent_s
        # Keep-alive messages come at least three times as often: it stood still, and its queues may not hold it all.
        if self._id and silent_s > self._stale_s / 2 and self._session.connection.backfill_h:
            self._intake.hold()
        if not message.NotificationData:
            return
        lost = self._sequence > 0 and message.SequenceNumber not in (self._sequence + 1, 1, 0)
        if lost:
            self._on_gap("notifications of the server were lost")
        self._sequence = message.SequenceNumber
        for part in message.NotificationData:
            if isinstance(part, Columns):
                self._data_at = self._published_at
                values = self._without_beats(part)
                if self._intake.overflow(values) or lost:
                    self._read_back()
                    lost = False
                self._intake.take(values, now_ns)
            elif isinstance(part, ua.StatusChangeNotification):
                self._on_error(ua.UaStatusCodeError(part.Status.value))

    def _read_back(self) -> None:
        """Let what a running server lost be read back, before the values that tell of it.

        Not again within `_READ_BACK_S`: one that always loses some must not have its live values wait for ever.
        """
        now = asyncio.get_running_loop().time()
        unknown = self._intake.accepted_ns() == NEVER
        if not self._session.connection.backfill_h or self._intake.holds or unknown.all():
            return
        if now - self._lost_at >= _READ_BACK_S:
            self._lost_at = now
            self._intake.hold()
        elif not self._told:
            self._told = True
            words = f"again, within {_READ_BACK_S:.0f} s: what is lost in between stays missing, as the gap rows say"
            logger.warning("%s: values were lost %s", self._session.connection.url, words)

    def _without_beats(self, columns: Columns) -> Columns:
        """Return the values of items, by their number; take the server's clock apart, whose source is the server."""
        beat = columns.index == HEARTBEAT
        if beat.any():
            self._beats += int(beat.sum())
            self._counters.came((time.time_ns() - int(columns.time_ns[beat][-1])) / SECOND_NS)
            columns = columns.take(~beat)
        return Columns(
            np.subtract(columns.index, 1), columns.time_ns, columns.value, columns.status, columns.kind, columns.odd
        )


def _sampling_s(connection: OpcuaConnection, clock: Clock) -> float:
    return clock.wall_seconds(connection.every_s if connection.sampling_s is None else connection.sampling_s)
