"""How often an address of the network may fail and may ask what costs; beyond that it is told when to come back."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Scope

from tanflow.web.access.limits import Limit, Limits

_FAILS: Final = 10  # wrong tokens of one address, then one each six seconds: 14,400 guesses a day
_FAILS_EACH_S: Final = 6.0
_SHARE: Final = 1_000  # of what costs, then 50 a second
_SHARE_EACH_S: Final = 0.02
# What an answer costs, in questions of history; what is not in here is answered from memory.
COSTS: Final[Mapping[str, int]] = {
    "/api/query": 1,
    "/api/emissions": 1,
    "/api/cost": 1,
    "/api/carbon": 1,
    "/api/flow": 1,
    "/api/overview": 1,
    "/api/deadletters": 1,
    "/api/acts": 1,
    "/api/documents": 1,
    "/api/documents/file": 10,
    "/api/report": 50,
}


@dataclass(slots=True)
class Pace:
    """The limits of each address; all of an IPv6 network of /64 are one, whose addresses anyone there may choose."""

    now_s: Callable[[], float] = time.monotonic
    _failed: Limits = field(init=False)
    _costly: Limits = field(init=False)

    def __post_init__(self) -> None:
        self._failed = Limits(_FAILS, _FAILS_EACH_S, self.now_s)
        self._costly = Limits(_SHARE, _SHARE_EACH_S, self.now_s)

    def failures(self, address: str) -> Limit:
        """Return the limit of an address's wrong tokens."""
        return self._failed.of(address)

    def ask(self, address: str, path: str) -> float:
        """Count a question; returns how long to wait with it [s], 0 for one that is answered now."""
        cost = COSTS.get(path)
        if cost is None:
            return 0.0
        limit = self._costly.of(address)
        wait_s = limit.wait_s(cost)
        if not wait_s:
            limit.take(cost)
        return wait_s


def address_of(scope: Scope) -> str:
    """Return by what a client is counted."""
    client = scope.get("client")
    if not client:
        return ""
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return str(client[0])[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
