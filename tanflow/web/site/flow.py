"""/api/flow: where energy and its emissions go, over the last quarter of an hour or today."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carbon.entries import MICRO, Activity
from carbon.local_time import midnight_ns
from carbon.report.model import fed_by
from pipeline.clock import SECOND_NS
from tanflow.account import Stretch
from tanflow.web.encode import dumps
from tanflow.web.parameters import choice, only
from tanflow.web.site.course import amounts, by_meter
from tanflow.web.site.rates import HOUR_NS, Meter, meters
from tanflow.web.site.sankey import diagram, to_json
from tanflow.web.site.shared import Shared

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_KEEP_S: Final = 3.0
_MINUTE_NS: Final = 60 * SECOND_NS
_LIVE_NS: Final = 15 * _MINUTE_NS
_SPANS: Final = ("15min", "today")


def routes(gateway: Gateway) -> list[Route]:
    """Return the route of the energy flow."""
    flow, shared = Flows(gateway), Shared[bytes](gateway.asking, _KEEP_S)

    async def answer(request: Request) -> Response:
        only(request.query_params, "span")
        span = choice(request.query_params, "span", _SPANS, "15min")
        compute = flow.today if span == "today" else flow.live
        return Response(await shared.get(span, compute), media_type="application/json")

    return [Route("/api/flow", answer)]


class Flows:
    """Computes the flows of one gateway's site."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._meters = meters(gateway)
        self._fed_by = fed_by(gateway.config)

    async def live(self) -> bytes:
        """Return the flows of the last 15 whole minutes [kW]."""
        gateway = self._gateway
        end_ns = gateway.clock.now_ns() // _MINUTE_NS * _MINUTE_NS
        start_ns = end_ns - _LIVE_NS
        series = [meter.amount for meter in self._meters]
        answer = await amounts(gateway, series, start_ns, end_ns, _MINUTE_NS)
        unbooked = gateway.accountant.unbooked()

        def of_minutes() -> Stretch:
            found = by_meter(answer, self._meters, start_ns, _MINUTE_NS, _LIVE_NS // _MINUTE_NS)
            said = np.flatnonzero(np.isfinite(found).any(axis=1))
            whole = np.rint(np.nansum(found[said], axis=1) * MICRO).astype(np.int64)
            numbers = [self._meters[row].number for row in said.tolist()]
            books = unbooked.books
            amounts_of = Activity.make(
                np.full(len(numbers), books.interval_of(start_ns)),
                books.interval_ns,
                np.array(numbers, np.int32),
                whole,
            )
            return gateway.account.of(unbooked, amounts_of)

        return await self._drawn(of_minutes, start_ns, end_ns, _LIVE_NS / HOUR_NS)

    async def today(self) -> bytes:
        """Return the flows of today [kWh]."""
        gateway = self._gateway
        now_ns, zone = gateway.clock.now_ns(), ZoneInfo(gateway.config.site.zone)
        start_ns = midnight_ns(datetime.fromtimestamp(now_ns // SECOND_NS, zone).date(), zone)
        unbooked = gateway.accountant.unbooked()
        return await self._drawn(lambda: gateway.account.stretch(unbooked, start_ns, now_ns), start_ns, now_ns, None)

    async def _drawn(self, account: Callable[[], Stretch], start_ns: int, end_ns: int, hours: float | None) -> bytes:
        def drawn() -> bytes:
            stretch = account()
            silent = _silent(self._meters, stretch)
            about: dict[str, Any] = {"from_ns": start_ns, "to_ns": end_ns, "silent": silent}
            return dumps(about | to_json(diagram(stretch.tally, self._fed_by), hours))

        return await asyncio.to_thread(drawn)


def _silent(known: list[Meter], stretch: Stretch) -> list[str]:
    """Return the energy meters that said nothing: what they show may be in a rest, or missing."""
    said = {line.stream for n, line in stretch.lines.items() if n in set(stretch.tally.used)}
    return sorted(
        m.stream.key for m in known if m.stream.role in ("boundary", "breakdown", "own") and m.stream.key not in said
    )
