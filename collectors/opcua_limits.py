"""A server's capabilities → how much it takes in one request; a long list → parts it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from asyncua import ua

_T = TypeVar("_T")
_AT_ONCE: Final = 1_000  # in one request to a server that states no limit
_PREFIX: Final = "Server_ServerCapabilities_OperationLimits_Max"
_NAMES: Final = (
    "NodesPerRead", "MonitoredItemsPerCall", "NodesPerTranslateBrowsePathsToNodeIds", "NodesPerBrowse",
    "NodesPerHistoryReadData",
)  # fmt: skip
LIMITS: Final = [ua.NodeId(getattr(ua.ObjectIds, _PREFIX + name)) for name in _NAMES]


class Limits(NamedTuple):
    """The most of each that one request may hold, never more than a thousand."""

    read: int = _AT_ONCE
    monitor: int = _AT_ONCE
    translate: int = _AT_ONCE
    browse: int = _AT_ONCE
    history: int = _AT_ONCE


def limits_of(values: Sequence[object]) -> Limits:
    """Return the limits from the values of the nodes `LIMITS`; 0 and nothing mean none is stated."""
    return Limits(*(min(v, _AT_ONCE) if isinstance(v, int) and v > 0 else _AT_ONCE for v in values))


def parts(whole: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Yield consecutive parts of at most `size`."""
    for start in range(0, len(whole), size):
        yield whole[start : start + size]
