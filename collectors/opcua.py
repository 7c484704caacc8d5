"""Variables of one OPC UA server → batches, by subscription or by polling, stamped with the source's time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from asyncua import ua

from collectors.opcua_session import HEARTBEAT, Session, connect, explain
from collectors.opcua_values import NO_SUCH_NODE, Heard, heard, number_of, overflowed, quality_of, time_of
from collectors.rows import Rows
from config.bindings import BoundDevice, series_key
from config.errors import GatewayError, Rejected, Unavailable
from config.protocols.opcua import OpcuaConnection
from pipeline.batch import Batch, Reject, Times
from pipeline.clock import SECOND_NS
from pipeline.counters import Counters
from pipeline.gaps import Gap
from pipeline.ports import Origin
from pipeline.quality import CLOCK, UNCERTAIN

logger = logging.getLogger("tanflow.opcua")

_MAX_ROWS: Final = 100_000  # that may wait for one commit; what comes on top is counted and recorded as lost
_RETRY_MISSING_S: Final = 60.0  # a server may load parts of its address space late


@dataclass(slots=True)
class _Item:
    """One point on its node, with what was last seen of it."""

    node: ua.NodeId
    point: str
    name: str  # device, point and node, for a person
    series: int
    device: int
    last_ns: int = 0
    status: int = -1
    fresh: bool = True  # nothing heard since it is monitored: the next value may be one already seen
    trouble: str = ""
    heard: ua.DataValue | None = None  # the last value as it came, for whoever commissions
    heard_ns: int = 0


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
        self._items = list(_items(devices, ids))
        self._missing: set[int] = set()  # items whose node the server does not have
        self._incomplete: set[int] = set()  # devices of those
        self._overflow: set[int] = set()  # devices with rows lost since the last batch
        self._session: Session | None = None
        self._poller: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._failure: Exception | None = None

    async def __aenter__(self) -> Self:
        self._failure = None
        self._missing.clear()
        self._incomplete.clear()
        self._subscription = 0
        self._sequence = 0
        self._beats = 0
        self._stale_s = self._connection.stale_s
        self._published_at = self._data_at = self._tried_at = asyncio.get_running_loop().time()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait([self._poller])
            self._poller = None
        if self._session is not None:
            await self._session.close(within_s=2.0 if self._failure is None else 0.5)
            self._session = None

    def resume(self, tokens: Sequence[bytes], newest_ns: Times) -> None:
        """Take nothing back: what a server sends is not acknowledged by commit."""

    def heard(self, device: str) -> list[Heard]:
        """Return the last value of each node of a device as it came."""
        mine = self._rows.index(device)
        return [heard(item.point, item.node, item.heard, item.heard_ns) for item in self._items if item.device == mine]

    async def batches(self) -> AsyncGenerator[Batch]:
        """Yield what has arrived since the last commit; raises Unavailable when the server must be opened again."""
        await self._open()
        while True:
            if self._failure is None:
                await self._news()
                await self._watch()
            self._record_overflow()
            if len(self._rows):
                yield self._rows.take()
            if self._failure is not None:
                raise self._failure

    # ── opening ───────────────────────────────────────────────────────────────────────────────────

    async def _open(self) -> None:
        try:
            self._session = await connect(self._connection, self._lost, self._origin.directory / "certs")
            if self._connection.mode == "poll":
                self._poller = asyncio.create_task(self._poll(self._session), name=f"opcua {self._origin.connection}")
                self._poller.add_done_callback(self._poll_ended)
            else:
                await self._subscribe(self._session)
        except Unavailable as error:
            self._fail(Gap.REFUSED, error)
        except (TimeoutError, OSError, ua.UaError) as error:
            self._fail(Gap.REFUSED, Unavailable(f"{self._connection.url} cannot be subscribed: {explain(error)}"))

    async def _subscribe(self, session: Session) -> None:
        seconds = self._origin.clock.wall_seconds
        every_s = seconds(self._connection.every_s)
        for item in self._items:
            item.fresh = True
        self._subscription, granted_s = await session.subscribe(every_s, self._published)
        self._stale_s = max(self._connection.stale_s, 3 * granted_s)
        await session.monitor_heartbeat(self._subscription, max(granted_s, self._stale_s / 4))
        await self._monitor(session, range(len(self._items)))

    async def _monitor(self, session: Session, chosen: Sequence[int]) -> None:
        self._tried_at = asyncio.get_running_loop().time()
        sampling_s = self._connection.sampling_s
        sampling_s = self._origin.clock.wall_seconds(self._connection.every_s if sampling_s is None else sampling_s)
        nodes = {i + 1: self._items[i].node for i in chosen}  # handle 0 is the heartbeat
        statuses = await session.monitor(self._subscription, nodes, sampling_s)
        for handle, status in statuses.items():
            self._exists(handle - 1, status if status >> 30 else 0)

    # ── what arrives ──────────────────────────────────────────────────────────────────────────────

    def _published(self, result: ua.PublishResult) -> None:
        try:
            self._take_notifications(result)
        except Exception as error:  # noqa: BLE001  the library would only log it; `batches` raises it
            self._failure = error
        if len(self._rows) or self._failure is not None:
            self._wake.set()

    def _take_notifications(self, result: ua.PublishResult) -> None:
        now_ns = self._origin.clock.now_ns()
        self._published_at = asyncio.get_running_loop().time()
        message = result.NotificationMessage
        if not message.NotificationData:
            return
        if self._sequence and message.SequenceNumber not in (self._sequence + 1, 1, 0):
            self._rows.all_missed(Gap.OVERFLOW, now_ns, "notifications of the server were lost")
        self._sequence = message.SequenceNumber
        for part in message.NotificationData:
            if isinstance(part, ua.DataChangeNotification):
                self._data_at = self._published_at
                for change in part.MonitoredItems:
                    if change.ClientHandle == HEARTBEAT:
                        self._beats += 1
                        self._counters.came((time.time_ns() - time_of(change.Value)) / SECOND_NS)  # the server's clock
                    else:
                        self._accept(self._items[change.ClientHandle - 1], change.Value, now_ns)
            elif isinstance(part, ua.StatusChangeNotification):
                self._lost(ua.UaStatusCodeError(part.Status.value))

    async def _poll(self, session: Session) -> None:
        clock, every_ns = self._origin.clock, int(self._connection.every_s * SECOND_NS)
        nodes = [item.node for item in self._items]
        due_ns = clock.now_ns()
        while True:
            asked_s = time.monotonic()
            values = await session.read(nodes)
            self._counters.took(time.monotonic() - asked_s)
            now_ns = clock.now_ns()
            skipped = max(0, now_ns - due_ns) // every_ns
            if skipped:
                self._rows.all_missed(Gap.MISSED, now_ns, "reading takes longer than the period")
            for index, (item, data) in enumerate(zip(self._items, values, strict=True)):
                status = data.StatusCode.value if data.StatusCode else 0
                if self._exists(index, status if status in NO_SUCH_NODE else 0):
                    item.fresh = True  # a poll may read again what it has read before
                    self._accept(item, data, now_ns)
            self._wake.set()
            due_ns += (skipped + 1) * every_ns
            await clock.sleep((due_ns - clock.now_ns()) / SECOND_NS)

    def _accept(self, item: _Item, data: ua.DataValue, now_ns: int) -> None:
        """Turn one value into a row; one already seen (same source time and status) is passed over."""
        item.heard, item.heard_ns = data, now_ns
        status = data.StatusCode.value if data.StatusCode else 0
        time_ns = time_of(data)
        if item.device in self._incomplete:
            self._rows.heard(item.device, now_ns)
        else:
            self._rows.answered(item.device, now_ns)
        # Only the very same instant: a source whose clock is set back must not fall silent.
        seen = item.fresh and 0 < time_ns == item.last_ns and status == item.status
        item.fresh = False
        if seen:
            return
        if len(self._rows) >= _MAX_ROWS:
            self._counters.rejected += 1
            self._overflow.add(item.device)
            return
        quality = quality_of(status)
        if not time_ns:
            time_ns = now_ns
            quality |= 0 if self._origin.clock.trusted else UNCERTAIN | CLOCK
        item.last_ns, item.status = time_ns, status
        if overflowed(status):
            self._overflow.add(item.device)
        try:
            self._rows.add(time_ns, item.series, number_of(data, quality), quality)
            item.trouble = ""
        except Rejected as error:
            self._reject(item, str(error), data)

    def _reject(self, item: _Item, reason: str, data: ua.DataValue) -> None:
        raw = repr(data.Value.Value if data.Value is not None else None).encode()[:1024]
        self._rows.reject(Reject(item.name, reason, raw))
        self._tell(item, reason)

    # ── what goes wrong ───────────────────────────────────────────────────────────────────────────

    def _exists(self, index: int, status: int) -> bool:
        """Note whether an item's node can be had (status 0) or not; return which."""
        if (status != 0) == (index in self._missing):
            return status == 0
        item = self._items[index]
        self._missing ^= {index}
        self._incomplete = {self._items[i].device for i in self._missing}
        if status:
            reason = f"{ua.StatusCode(status).name}; correct the node id, or the rights of the user"
            self._rows.missed(item.device, Gap.EXCEPTION, self._origin.clock.now_ns(), f"{item.name}: {reason}")
            self._tell(item, reason)
            self._wake.set()
        return status == 0

    def _tell(self, item: _Item, trouble: str) -> None:
        if item.trouble != trouble:
            item.trouble = trouble
            logger.warning("%s: %s", item.name, trouble)

    def _lost(self, error: Exception) -> None:
        self._fail(Gap.DISCONNECTED, Unavailable(f"{self._connection.url} is lost: {explain(error)}"))

    def _poll_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, (TimeoutError, OSError, ua.UaError)):
            self._fail(Gap.TIMEOUT, Unavailable(f"{self._connection.url} does not answer: {explain(error)}"))
        elif isinstance(error, Exception):
            self._failure = error
            self._wake.set()

    def _fail(self, cause: Gap, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
            self._rows.all_missed(cause, self._origin.clock.now_ns(), str(error))
            self._wake.set()

    def _record_overflow(self) -> None:
        for device in self._overflow:
            reason = "values were lost: raise 'queue', or lower 'every_s' or the sampling rate"
            if self._rows.missed(device, Gap.OVERFLOW, self._origin.clock.now_ns(), reason):
                logger.warning("%s: %s", self._rows.name(device), reason)
        self._overflow.clear()

    # ── waiting and watching ──────────────────────────────────────────────────────────────────────

    async def _news(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._stale_s / 4):
                await self._wake.wait()
        self._wake.clear()

    async def _watch(self) -> None:
        """Take a silent subscription for dead; look again for nodes that were missing."""
        if self._session is None or self._poller is not None:
            return
        now = asyncio.get_running_loop().time()
        # Where the server publishes its own clock, data must come; else at least its keep-alive messages must.
        silent_s = now - (self._data_at if self._beats > 1 else self._published_at)
        if silent_s > self._stale_s:
            message = f"{self._connection.url}: the subscription is silent for {silent_s:.0f} s and is built anew"
            self._fail(Gap.STALE, Unavailable(message, after_s=0.1))
        elif self._missing and now - self._tried_at > _RETRY_MISSING_S:
            try:
                await self._monitor(self._session, sorted(self._missing))
            except (TimeoutError, OSError, ua.UaError) as error:
                self._lost(error)


def _items(devices: Sequence[BoundDevice], ids: Mapping[str, int]) -> list[_Item]:
    items = []
    for index, device in enumerate(devices):
        for name, point in device.points.items():
            if point.opcua is None:
                continue
            where = f"{device.key}.{name} ({point.opcua.node})"
            try:
                node = ua.NodeId.from_string(point.opcua.node)
            except (ValueError, ua.UaError) as error:
                raise GatewayError(f"{where}: not a node id; write e.g. ns=2;s=Furnace.Power or i=2258") from error
            items.append(_Item(node, name, where, ids[series_key(device.asset_name, name, point.quantity)], index))
    return items
