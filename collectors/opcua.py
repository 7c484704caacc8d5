"""Variables of one OPC UA server → batches, by subscription or by polling, stamped with the source's time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Final, Self

from asyncua import ua

from collectors.opcua_history import History
from collectors.opcua_intake import Intake, items_of
from collectors.opcua_poll import poll
from collectors.opcua_recover import conclude, missed_of, told
from collectors.opcua_session import Session, connect
from collectors.opcua_subscription import Subscription
from collectors.opcua_values import Heard
from collectors.reaching import why_not
from collectors.rows import Rows
from config.bindings import BoundDevice
from config.errors import Unavailable
from config.protocols.opcua import OpcuaConnection
from pipeline.batch import Batch, Times
from pipeline.counters import Counters
from pipeline.gaps import Gap
from pipeline.ports import Origin

logger = logging.getLogger("tanflow.opcua")

_BATCH_ROWS: Final = 50_000  # of what is read back, in one commit
_FIRST_S: Final = 5.0  # how long the first values of a server are waited for before its history is asked
_RETRY_S: Final = 1.0  # after an attempt that met silence, which took its time already


class OpcuaCollector:
    """One OPC UA server; a missing node is its device's problem, a lost or silent server is Unavailable."""

    def __init__(
        self,
        origin: Origin,
        connection: OpcuaConnection,
        devices: Sequence[BoundDevice],
        ids: Mapping[str, int],
        counters: Counters,
    ) -> None:
        self._origin = origin
        self._connection = connection
        self._counters = counters
        self._rows = Rows(origin, devices, ids, counters)
        self._intake = Intake(origin, items_of(devices, ids), len(devices), self._rows, counters)
        self._session: Session | None = None
        self._subscription: Subscription | None = None
        self._poller: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._failure: Exception | None = None
        self._told = ""  # what was last said of the server's history

    async def __aenter__(self) -> Self:
        self._failure = None
        self._intake.missing.clear()
        self._intake.hold()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait([self._poller])
            self._poller = None
        self._subscription = None
        if self._session is not None:
            await self._session.close(within_s=2.0 if self._failure is None else 0.5)
            self._session = None

    def resume(self, tokens: Sequence[bytes], newest_ns: Times) -> None:
        """Take back up to when each node's values are accepted: what came since is asked of the server's history."""
        self._intake.resume(newest_ns)

    def heard(self, device: str) -> list[Heard]:
        """Return the last value of each node of a device as it came."""
        return self._intake.heard(self._rows.index(device))

    async def batches(self) -> AsyncGenerator[Batch]:
        """Yield what was missed, then what has arrived since the last commit.

        Raises Unavailable when the server must be opened again.
        """
        await self._open()
        while True:
            if self._intake.holds:  # after opening, and after a server stood still
                async with aclosing(self._read_back()) as missed:
                    async for batch in missed:
                        yield batch
            if self._failure is None:
                await self._news()
                await self._watch()
            self._intake.record_overflow()
            if len(self._rows):
                yield self._rows.take()
            if self._failure is not None:
                raise self._failure

    # ── opening ───────────────────────────────────────────────────────────────────────────────────

    async def _open(self) -> None:
        try:
            session = await connect(self._connection, self._lost, self._origin.directory / "certs")
            self._session = session
            self._intake.element = session.elements.of
            clock, counters = self._origin.clock, self._counters
            if self._connection.mode == "poll":
                work = poll(session, self._intake, clock, counters, self._wake.set, self._missed)
                self._poller = asyncio.create_task(work, name=f"opcua {self._origin.connection}")
                self._poller.add_done_callback(self._poll_ended)
            else:
                news, gap, error = self._wake.set, self._lacks, self._ended
                self._subscription = Subscription(session, self._intake, clock, counters, news, gap, error)
                await self._subscription.open()
        except Unavailable as error:
            if isinstance(error.__cause__, TimeoutError):  # a frozen server; it is met soon after it thaws
                error.after_s = _RETRY_S
            self._fail(Gap.REFUSED, error)
        except (TimeoutError, OSError, ua.UaError) as error:
            after_s = _RETRY_S if isinstance(error, TimeoutError) else None
            words = f"{self._connection.url} cannot be subscribed: {why_not(error)}"
            self._fail(Gap.REFUSED, Unavailable(words, after_s))

    # ── what was missed ───────────────────────────────────────────────────────────────────────────

    async def _read_back(self) -> AsyncGenerator[Batch]:
        """Yield what the server's history holds of the time nobody listened, then what waited meanwhile."""
        self._intake.record_overflow()  # the gap row stands before the one that says it is whole again
        try:
            if self._failure is None and self._connection.backfill_h:
                async with aclosing(self._history()) as history:
                    async for batch in history:
                        yield batch
        except (TimeoutError, OSError, ua.UaError) as error:
            self._lost(error)
        while self._intake.release():
            if len(self._rows) >= _BATCH_ROWS:
                yield self._rows.take()

    async def _history(self) -> AsyncGenerator[Batch]:
        known_ns = self._intake.accepted_ns()
        await self._first_values(known_ns)
        now_ns = self._origin.clock.now_ns()
        connection = self._connection
        missed = missed_of(self._intake, known_ns, now_ns, connection.backfill_h)
        if not missed or self._session is None or self._failure is not None:
            return
        history = History(self._session, missed, connection.backfill_max_s)
        async with aclosing(history.read()) as found:
            async for columns in found:
                self._intake.take_back(columns)
                if len(self._rows) >= _BATCH_ROWS:
                    yield self._rows.take()
        conclude(self._intake, self._rows, missed, known_ns, self._origin.clock.now_ns())
        words = told(history, self._intake.items)
        if words != self._told:
            self._told = words
            logger.log(logging.WARNING if words else logging.INFO, "%s: %s", self._connection.url, words)

    # ── what goes wrong ───────────────────────────────────────────────────────────────────────────

    def _lacks(self, reason: str) -> None:
        self._rows.all_missed(Gap.OVERFLOW, self._origin.clock.now_ns(), reason)

    def _missed(self, reason: str) -> None:
        self._rows.all_missed(Gap.MISSED, self._origin.clock.now_ns(), reason)

    def _ended(self, error: Exception) -> None:
        """Take what ended the subscription: the server's word, or a defect of ours."""
        if isinstance(error, ua.UaError):
            self._lost(error)
        elif self._failure is None:
            self._failure = error
            self._wake.set()

    def _lost(self, error: Exception) -> None:
        self._fail(Gap.DISCONNECTED, Unavailable(f"{self._connection.url} is lost: {why_not(error)}"))

    def _poll_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, (TimeoutError, OSError, ua.UaError)):
            after_s = _RETRY_S if isinstance(error, TimeoutError) else None
            words = f"{self._connection.url} does not answer: {why_not(error)}"
            self._fail(Gap.TIMEOUT, Unavailable(words, after_s))
        elif isinstance(error, Exception):
            self._failure = error
            self._wake.set()

    def _fail(self, cause: Gap, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
            self._rows.all_missed(cause, self._origin.clock.now_ns(), str(error))
            self._wake.set()

    # ── waiting and watching ──────────────────────────────────────────────────────────────────────

    async def _news(self, within_s: float | None = None) -> None:
        patience_s = self._subscription.patience_s if self._subscription else self._connection.stale_s / 4
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s if within_s is None else within_s):
                await self._wake.wait()
        self._wake.clear()

    async def _first_values(self, known_ns: Times) -> None:
        """Wait until each node that had values has one again; a server sends the present one of each at once."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _FIRST_S
        while self._failure is None and self._intake.awaited(known_ns) and (left := until - loop.time()) > 0:
            await self._news(left)

    async def _watch(self) -> None:
        """Take a silent subscription for dead."""
        if self._subscription is None:
            return
        try:
            silence = await self._subscription.watch()
        except (TimeoutError, OSError, ua.UaError) as error:
            self._lost(error)
            return
        if silence:
            self._fail(Gap.STALE, Unavailable(f"{self._connection.url}: {silence}", after_s=0.1))
