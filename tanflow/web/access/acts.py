"""Who did what through the API → rows of the log before the answer leaves; and the list of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.errors import Rejected
from pipeline import acts
from pipeline.acts import ACT_KEY, Act, What
from tanflow.web.access.limits import Limit, Limits
from tanflow.web.access.sessions import Who
from tanflow.web.encode import answered, iso
from tanflow.web.parameters import only, whole

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_LISTED: Final = 500
_REFUSED_AT_ONCE: Final = 60  # rows of refusals, then one each 10 s: a flood must not fill the disk
_REFUSED_EACH_S: Final = 10.0
_SAME_AT_ONCE: Final = 3  # of one user at one address, or of sign-ins; then one a minute
_SAME_EACH_S: Final = 60.0


@dataclass(slots=True)
class Acts:
    """Records acts; refusals are bounded, and those left out are counted in the next that is recorded."""

    gateway: Gateway
    now_s: Callable[[], float] = time.monotonic
    left_out: int = 0
    _every: Limit = field(init=False)
    _same: Limits = field(init=False)

    def __post_init__(self) -> None:
        self._every = Limit(_REFUSED_AT_ONCE, _REFUSED_EACH_S, self.now_s)
        self._same = Limits(_SAME_AT_ONCE, _SAME_EACH_S, self.now_s)

    async def record(self, who: Who, what: What, **about: Any) -> int:
        """Commit what someone did and return its position in the log. Raises LogFailed."""
        gateway = self.gateway
        act = Act(who.user, who.role, what, about)
        table = gateway.table
        return await acts.record(gateway.log, gateway.clock, table.revision, table.ids[ACT_KEY], act)

    async def refused(self, who: Who, alike: str, **about: Any) -> None:
        """Commit that someone was refused, unless there are too many of these, or of those `alike`."""
        limits = (self._every, self._same.of(alike))
        if any(limit.wait_s() for limit in limits):
            self.left_out += 1
            return
        for limit in limits:
            limit.take()
        if self.left_out:
            about["left_out_before"], self.left_out = self.left_out, 0
        await self.record(who, "refused", **about)

    def routes(self) -> list[Route]:
        """Return the route of the list."""
        return [Route("/api/acts", self._listed)]

    async def _listed(self, request: Request) -> Response:
        """Answer with acts before one, newest first."""
        only(request.query_params, "before", "limit")
        most = whole(request.query_params, "limit", 100)
        if most > _LISTED:
            raise Rejected(f"limit={most} is more than {_LISTED}; ask on with before=")
        before = whole(request.query_params, "before", 0) or None
        found = acts.acts(self.gateway.log.reader, most, before)
        for act in found:
            act["at"] = iso(np.array([act["at_ns"]]))[0]
        return answered({"acts": found})
