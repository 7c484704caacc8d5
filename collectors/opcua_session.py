"""An OPC UA server's URL → an open session and the few services read from it; never Write, never Call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncua import Client, ua

from collectors.opcua_elements import Elements
from collectors.opcua_limits import LIMITS, Limits, in_parts, limits_of
from collectors.opcua_nodes import Places
from collectors.opcua_publish import use_columns
from collectors.opcua_security import SecuredClient, refusal, secured
from collectors.reaching import why_not
from config.errors import Unavailable
from config.protocols.opcua import OpcuaConnection, OpcuaPoint

# The library tells every lost connection with several tracebacks; what ends a session reaches us as an exception.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)

HEARTBEAT: Final = 0  # client handle of the server's own clock, which moves even where no process value does
_CURRENT_TIME: Final = ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)
_NO_FILTER: Final = frozenset(
    (ua.StatusCodes.BadFilterNotAllowed, ua.StatusCodes.BadMonitoredItemFilterUnsupported,
     ua.StatusCodes.BadDeadbandFilterInvalid)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Session:
    """An open session with what the server can take in one request, and where its points stand."""

    client: Client
    connection: OpcuaConnection
    limits: Limits
    places: Places
    elements: Elements

    async def locate(self, points: Sequence[OpcuaPoint], again_s: float = 0.0) -> None:
        """Find the nodes of points that have none and were not looked for within `again_s` [s].

        `places` says afterwards which node each has, or why it has none.
        """
        if lost := self.places.lost(points, again_s):
            await self.places.locate(lost)
            await self.elements.prepare([(p, node) for p in lost if (node := self.places[p].node) is not None])

    async def access_levels(self, nodes: Sequence[ua.NodeId]) -> list[int]:
        """Return the AccessLevel of each node (OPC UA Part 3, 8.57); 0 where it is not told."""
        wanted = [ua.ReadValueId(node, ua.AttributeIds.AccessLevel) for node in nodes]
        levels = await self.attributes(wanted)
        return [v.Value.Value if v.Value and isinstance(v.Value.Value, int) else 0 for v in levels]

    async def read(self, points: Sequence[OpcuaPoint]) -> list[ua.DataValue]:
        """Return the values of points with both timestamps, in as few requests as the server allows.

        A point without a node has a value with the status that says so; what is missing is not looked for here.
        """
        values = [ua.DataValue(StatusCode=ua.StatusCode(self.places[p].status)) for p in points]
        there = [(i, self._asked(p, node)) for i, p in enumerate(points) if (node := self.places[p].node) is not None]
        found = await self.attributes([asked for _, asked in there])
        for (i, _), value in zip(there, found, strict=True):
            values[i] = value
        return values

    async def attributes(self, wanted: Sequence[ua.ReadValueId]) -> list[ua.DataValue]:
        """Return what is asked for, with both timestamps, in as few requests as the server allows."""
        return await in_parts(wanted, self.limits, "read", self._read)

    async def _read(self, nodes: Sequence[ua.ReadValueId]) -> list[ua.DataValue]:
        request = ua.ReadParameters(0, ua.TimestampsToReturn.Both, list(nodes))
        found: list[ua.DataValue] = await self.client.uaclient.session.read(request)
        return found

    def _asked(self, point: OpcuaPoint, node: ua.NodeId) -> ua.ReadValueId:
        return ua.ReadValueId(node, ua.AttributeIds.Value, self.elements.range(point))

    async def subscribe(self, interval_s: float, notify: Callable[[ua.PublishResult], None]) -> tuple[int, float]:
        """Open a subscription publishing every `interval_s`; return its id and the interval the server grants [s]."""
        alive = max(1, int(self.connection.stale_s / 3 / interval_s))
        request = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=interval_s * 1000,
            RequestedMaxKeepAliveCount=alive,
            RequestedLifetimeCount=max(3 * alive, int(30 / interval_s)),
        )
        granted = await self.client.uaclient.session.create_subscription(request, notify)
        return granted.SubscriptionId, granted.RevisedPublishingInterval / 1000

    async def monitor(self, subscription: int, points: dict[int, OpcuaPoint], sampling_s: float) -> dict[int, int]:
        """Monitor points (client handle → point); return the status of each handle.

        A point without a node is looked for first. One whose type takes no deadband (a Boolean) is monitored without.
        """
        await self.locate(list(points.values()))
        found = {handle: (point, self.places[point]) for handle, point in points.items()}
        asked = {h: self._asked(point, place.node) for h, (point, place) in found.items() if place.node is not None}
        statuses = {handle: place.status for handle, (_, place) in found.items()}
        statuses |= await self._create(subscription, asked, sampling_s, _filter(self.connection.deadband))
        plain = {handle: asked[handle] for handle, status in statuses.items() if status in _NO_FILTER}
        return statuses | await self._create(subscription, plain, sampling_s, None)

    async def monitor_heartbeat(self, subscription: int, sampling_s: float) -> None:
        """Monitor the server's clock in the same subscription, so that its silence means something."""
        clock = ua.ReadValueId(_CURRENT_TIME, ua.AttributeIds.Value)
        await self._create(subscription, {HEARTBEAT: clock}, sampling_s, None)

    async def _create(
        self, subscription: int, asked: dict[int, ua.ReadValueId], sampling_s: float, chosen: ua.DataChangeFilter | None
    ) -> dict[int, int]:
        async def ask(part: Sequence[tuple[int, ua.ReadValueId]]) -> list[int]:
            items = []
            for handle, what in part:
                wanted = ua.MonitoringParameters(handle, sampling_s * 1000, chosen, self.connection.queue)
                items.append(ua.MonitoredItemCreateRequest(what, ua.MonitoringMode.Reporting, wanted))
            request = ua.CreateMonitoredItemsParameters(subscription, ua.TimestampsToReturn.Both, items)
            return [r.StatusCode.value for r in await self.client.uaclient.session.create_monitored_items(request)]

        return dict(zip(asked, await in_parts(list(asked.items()), self.limits, "monitor", ask), strict=True))

    async def close(self, within_s: float) -> None:
        """End the session; where the server does not answer `within_s`, cut the connection."""
        try:
            async with asyncio.timeout(within_s):
                await self.client.close_session()
                await self.client.close_secure_channel()
        except (TimeoutError, OSError, ua.UaError):
            pass  # the server forgets an unanswered session by itself; nothing of ours hangs on it
        except asyncio.CancelledError:
            # Where an answer comes with the end of the time the library raises a kind of its own instead of a timeout.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
        finally:
            self.client.disconnect_socket()


async def connect(connection: OpcuaConnection, on_lost: Callable[[Exception], None], certs: Path) -> Session:
    """Open a session; `on_lost` is called once when the connection ends. Raises Unavailable, GatewayError.

    `certs` holds the gateway's certificate and those it trusts; it is looked at where the connection is secured.
    """

    async def lost(error: Exception) -> None:
        on_lost(error)

    client: SecuredClient | None = None
    try:
        client = await secured(connection, certs)
        use_columns(client, on_lost)
        # Small servers hold few sessions: one left behind must not occupy its place for the library's hour.
        client.session_timeout = int(max(60.0, 3 * connection.every_s) * 1000)
        client.connection_lost_callback = lost
        await client.connect()
        return await _session(client, connection)
    except (TimeoutError, OSError, ua.UaError) as error:
        words = (refusal(error, client) if client is not None else "") or why_not(error)
        _cut(client)
        raise Unavailable(f"{connection.url} cannot be opened: {words}") from error
    except BaseException:
        _cut(client)
        raise


def _cut(client: Client | None) -> None:
    if client is not None:
        client.disconnect_socket()


async def _session(client: Client, connection: OpcuaConnection) -> Session:
    """Ask what the server takes in one request."""
    request = ua.ReadParameters(
        TimestampsToReturn=ua.TimestampsToReturn.Neither,
        NodesToRead=[ua.ReadValueId(node, ua.AttributeIds.Value) for node in LIMITS],
    )
    asked = client.uaclient.session
    limits = limits_of([v.Value.Value if v.Value else None for v in await asked.read(request)])
    return Session(client, connection, limits, Places(asked, limits), Elements(asked, limits))


def _filter(deadband: float) -> ua.DataChangeFilter:
    # Without a deadband every sample of the source counts, also one that confirms the value: a constant power
    # is a reading each time. With one, only changes are asked for.
    if deadband == 0:
        return ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
    return ua.DataChangeFilter(ua.DataChangeTrigger.StatusValue, ua.DeadbandType.Absolute, deadband)
