"""A server's capabilities → how much it takes in one request; a long list → parts it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from asyncua import ua

_T = TypeVar("_T")
_R = TypeVar("_R")
What = Literal["read", "monitor", "translate", "browse", "history"]
_AT_ONCE: Final = 1_000  # in one request to a server that states no limit
_PREFIX: Final = "Server_ServerCapabilities_OperationLimits_Max"
_NAMES: Final = (
    "NodesPerRead", "MonitoredItemsPerCall", "NodesPerTranslateBrowsePathsToNodeIds", "NodesPerBrowse",
    "NodesPerHistoryReadData",
)  # fmt: skip
LIMITS: Final = [ua.NodeId(getattr(ua.ObjectIds, _PREFIX + name)) for name in _NAMES]

# What a server says to a request that holds more than it takes.
TOO_MUCH: Final = frozenset(
    (ua.StatusCodes.BadTooManyOperations, ua.StatusCodes.BadResponseTooLarge, ua.StatusCodes.BadRequestTooLarge,
     ua.StatusCodes.BadEncodingLimitsExceeded, ua.StatusCodes.BadTcpMessageTooLarge)
)  # fmt: skip


@dataclass(slots=True)
class Limits:
    """The most of each that one request may hold, never more than a thousand; less where a server turns out to lie."""

    read: int = _AT_ONCE
    monitor: int = _AT_ONCE
    translate: int = _AT_ONCE
    browse: int = _AT_ONCE
    history: int = _AT_ONCE


def limits_of(values: Sequence[object]) -> Limits:
    """Return the limits from the values of the nodes `LIMITS`; 0 and nothing mean none is stated."""
    return Limits(*(min(v, _AT_ONCE) if isinstance(v, int) and v > 0 else _AT_ONCE for v in values))


async def in_parts(
    whole: Sequence[_T], limits: Limits, what: What, ask: Callable[[Sequence[_T]], Awaitable[Sequence[_R]]]
) -> list[_R]:
    """Return the results of all requests, in parts the server takes: one that is too much is halved, here and later.

    Raises what the library raises, also where one alone is too much.
    """
    results: list[_R] = []
    while len(results) < len(whole):
        part = whole[len(results) : len(results) + getattr(limits, what)]
        try:
            answer = await ask(part)
        except ua.UaStatusCodeError as error:
            if error.code not in TOO_MUCH or len(part) == 1:
                raise
            setattr(limits, what, len(part) // 2)
            continue
        if len(answer) != len(part):
            raise ua.UaError(f"the server answers {len(part)} operations with {len(answer)} results")
        results += answer
    return results
