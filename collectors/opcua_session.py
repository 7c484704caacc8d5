"""An OPC UA server's URL → an open session and the few services read from it; never Write, never Call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from asyncua import Client, ua

from collectors.opcua_security import SecuredClient, refusal, secured
from config.errors import Unavailable
from config.protocols.opcua import OpcuaConnection

# The library tells every lost connection with several tracebacks; what ends a session reaches us as an exception.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)

_T = TypeVar("_T")

HEARTBEAT: Final = 0  # client handle of the server's own clock, which moves even where no process value does
_CURRENT_TIME: Final = ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)
_LIMITS: Final = (
    ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
)
_AT_ONCE: Final = 1_000  # nodes in one request to a server that states no limit
_NO_FILTER: Final = frozenset(
    (ua.StatusCodes.BadFilterNotAllowed, ua.StatusCodes.BadMonitoredItemFilterUnsupported,
     ua.StatusCodes.BadDeadbandFilterInvalid)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Session:
    """An open session with what the server can take in one request."""

    client: Client
    connection: OpcuaConnection
    nodes_per_read: int
    items_per_call: int

    async def read(self, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        """Return the values of `nodes` with both timestamps, in as few requests as the server allows."""
        values: list[ua.DataValue] = []
        for part in _parts(nodes, self.nodes_per_read):
            request = ua.ReadParameters(
                MaxAge=0,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                NodesToRead=[ua.ReadValueId(node, ua.AttributeIds.Value) for node in part],
            )
            values += await self.client.uaclient.session.read(request)
        return values

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

    async def monitor(self, subscription: int, nodes: dict[int, ua.NodeId], sampling_s: float) -> dict[int, int]:
        """Monitor `nodes` (client handle → node); return the status of each handle.

        A node whose type takes no deadband (a Boolean) is monitored without.
        """
        statuses = await self._create(subscription, nodes, sampling_s, _filter(self.connection.deadband))
        plain = {handle: nodes[handle] for handle, status in statuses.items() if status in _NO_FILTER}
        return statuses | await self._create(subscription, plain, sampling_s, None)

    async def monitor_heartbeat(self, subscription: int, sampling_s: float) -> None:
        """Monitor the server's clock in the same subscription, so that its silence means something."""
        await self._create(subscription, {HEARTBEAT: _CURRENT_TIME}, sampling_s, None)

    async def _create(
        self, subscription: int, nodes: dict[int, ua.NodeId], sampling_s: float, chosen: ua.DataChangeFilter | None
    ) -> dict[int, int]:
        statuses: dict[int, int] = {}
        for part in _parts(list(nodes.items()), self.items_per_call):
            items = []
            for handle, node in part:
                wanted = ua.MonitoringParameters(handle, sampling_s * 1000, chosen, self.connection.queue)
                items.append(
                    ua.MonitoredItemCreateRequest(
                        ua.ReadValueId(node, ua.AttributeIds.Value), ua.MonitoringMode.Reporting, wanted
                    )
                )
            request = ua.CreateMonitoredItemsParameters(subscription, ua.TimestampsToReturn.Both, items)
            results = await self.client.uaclient.session.create_monitored_items(request)
            statuses |= {handle: r.StatusCode.value for (handle, _), r in zip(part, results, strict=True)}
        return statuses

    async def close(self, within_s: float) -> None:
        """End the session; where the server does not answer `within_s`, cut the connection."""
        try:
            async with asyncio.timeout(within_s):
                await self.client.close_session()
                await self.client.close_secure_channel()
        except (TimeoutError, OSError, ua.UaError):
            pass  # the server forgets an unanswered session by itself; nothing of ours hangs on it
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
        # Small servers hold few sessions: one left behind must not occupy its place for the library's hour.
        client.session_timeout = int(max(60.0, 3 * connection.every_s) * 1000)
        client.connection_lost_callback = lost
        await client.connect()
        return Session(client, connection, *await _limits(client))
    except (TimeoutError, OSError, ua.UaError) as error:
        words = (refusal(error, client) if client is not None else "") or explain(error)
        _cut(client)
        raise Unavailable(f"{connection.url} cannot be opened: {words}") from error
    except BaseException:
        _cut(client)
        raise


def _cut(client: Client | None) -> None:
    if client is not None:
        client.disconnect_socket()


def explain(error: BaseException) -> str:
    """Return what went wrong in words; a bare timeout has none of its own."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


async def _limits(client: Client) -> tuple[int, int]:
    request = ua.ReadParameters(
        TimestampsToReturn=ua.TimestampsToReturn.Neither,
        NodesToRead=[ua.ReadValueId(ua.NodeId(i), ua.AttributeIds.Value) for i in _LIMITS],
    )
    values = [v.Value.Value if v.Value else None for v in await client.uaclient.session.read(request)]
    per_read, per_call = (min(v, _AT_ONCE) if isinstance(v, int) and v > 0 else _AT_ONCE for v in values)
    return per_read, per_call


def _filter(deadband: float) -> ua.DataChangeFilter:
    # Without a deadband every sample of the source counts, also one that confirms the value: a constant power
    # is a reading each time. With one, only changes are asked for.
    if deadband == 0:
        return ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
    return ua.DataChangeFilter(ua.DataChangeTrigger.StatusValue, ua.DeadbandType.Absolute, deadband)


def _parts(whole: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]
