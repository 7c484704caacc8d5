"""/api/alerts and /api/silences: what fires and why; acknowledging and silencing are acts the desk folds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.errors import Rejected
from config.explain import nearest
from config.notify import Match
from config.strict import Strict
from pipeline.clock import SECOND_NS
from tanflow.web.access.acts import Acts
from tanflow.web.access.sessions import Who, who
from tanflow.web.alerts.alert_list import AlertList, described
from tanflow.web.body import said
from tanflow.web.encode import answered
from tanflow.web.parameters import choice, only, time_ns, whole

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_MOST: Final = 1_000
_FOLD_S: Final = 5.0  # how long an answer waits for the desk to have seen the act
_LONGEST_S: Final = 90 * 86_400.0  # a silence nobody remembers hides what matters
_STATES: Final = ("open", "pending", "ended", "all")
Words = Annotated[str, StringConstraints(max_length=400)]


class Acknowledge(Strict):
    """What /api/alerts/acknowledge takes."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    note: Words = ""


class Silence(Strict):
    """What /api/silences takes: an end, as a time or from now."""

    match: Match
    until: Annotated[str, StringConstraints(max_length=40)] | None = None
    for_s: Annotated[float, Field(ge=1, le=_LONGEST_S)] | None = None
    why: Annotated[Words, StringConstraints(min_length=1)]


class End(Strict):
    """What /api/silences/end takes."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=40)]


@dataclass(slots=True)
class Alerts:
    """Answers what fires, and lets those who may take it on or keep it quiet for a while."""

    gateway: Gateway
    acts: Acts
    known: AlertList

    def routes(self) -> list[Route]:
        """Return the routes of alerts and silences."""
        return [
            Route("/api/alerts", self._listed),
            Route("/api/alerts/acknowledge", self._acknowledge, methods=["POST"]),
            Route("/api/silences", self._silences, methods=["GET"]),
            Route("/api/silences", self._silence, methods=["POST"]),
            Route("/api/silences/end", self._unsilence, methods=["POST"]),
        ]

    async def _listed(self, request: Request) -> Response:
        asked = request.query_params
        only(asked, "state", "from", "to", "limit")
        state = choice(asked, "state", _STATES, "open")
        most = whole(asked, "limit", 100)
        if most > _MOST:
            raise Rejected(f"limit={most} is more than {_MOST}")
        now_ns, zone = self.gateway.clock.now_ns(), ZoneInfo(self.gateway.config.site.zone)
        from_ns = time_ns(asked.get("from", "-7d"), "from", now_ns, zone)
        to_ns = time_ns(asked.get("to", "now"), "to", now_ns, zone)
        found: list[dict[str, Any]] = []
        if state in ("open", "all"):
            found += self.known.open()
        if state in ("pending", "all"):
            found += self.known.pending()
        if state in ("ended", "all") and len(found) < most:
            found += self.known.ended(from_ns, to_ns, most - len(found))
        return answered({"now_ns": now_ns, "alerts": found[:most], "counts": self.known.counts()})

    async def _acknowledge(self, request: Request) -> Response:
        only(request.query_params)
        given = await said(request, Acknowledge)
        episode = self.gateway.desk.open.get(given.id)
        if episode is None:
            raise Rejected(f"no alert that fires has the id {given.id[:80]!r}; it may be over")
        if episode.acknowledged:
            raise Rejected(f"{episode.acknowledged.by} has acknowledged this already")
        await self._done(await self.acts.record(who(request), "acknowledge", id=given.id, note=given.note))
        return answered({"id": given.id})

    async def _silences(self, request: Request) -> Response:
        only(request.query_params)
        return answered({"silences": [described(silence) for silence in self.gateway.desk.silences.values()]})

    async def _silence(self, request: Request) -> Response:
        only(request.query_params)
        given = await said(request, Silence)
        until_ns = self._until_ns(given)
        self._check(given.match)
        match = given.match.model_dump(mode="json", exclude_defaults=True)
        asks = who(request)
        position = await self.acts.record(asks, "silence", match=match, until_ns=until_ns, why=given.why)
        await self._done(position)
        return answered({"id": self._made(position, asks, until_ns)}, 201)

    async def _unsilence(self, request: Request) -> Response:
        only(request.query_params)
        given = await said(request, End)
        silence = self.gateway.desk.silences.get(given.id)
        if silence is None:
            raise Rejected(f"there is no silence {given.id!r}; it may be over")
        if silence.id.startswith("m"):
            raise Rejected("this is a maintenance window of the configuration; it ends as written there")
        await self._done(await self.acts.record(who(request), "unsilence", id=given.id))
        return answered({"id": given.id})

    async def _done(self, position: int) -> None:
        """Wait until the desk has folded an act; one that takes long has its effect later."""
        try:
            async with asyncio.timeout(_FOLD_S):
                await self.gateway.desk.reached(position)
        except TimeoutError:
            return

    def _made(self, position: int, asks: Who, until_ns: int) -> str:
        """Return the id of the silence an act has made: that of its position, of several there his own."""
        silences = self.gateway.desk.silences.values()
        here = (s for s in silences if s.id.partition(".")[0] == f"s{position}")
        return next((s.id for s in here if s.by == asks.user and s.until_ns == until_ns), f"s{position}")

    def _until_ns(self, given: Silence) -> int:
        now_ns = self.gateway.clock.now_ns()
        if (given.until is None) == (given.for_s is None):
            raise Rejected("say when it ends: either 'until' or 'for_s'")
        if given.for_s is not None:
            return now_ns + int(given.for_s * SECOND_NS)
        until_ns = time_ns(given.until or "", "until", now_ns, ZoneInfo(self.gateway.config.site.zone))
        if not 0 < until_ns - now_ns <= _LONGEST_S * SECOND_NS:
            raise Rejected(f"until: a silence ends within the next {_LONGEST_S / 86_400:.0f} days")
        return until_ns

    def _check(self, match: Match) -> None:
        """Raise Rejected for a name that nothing has: such a silence would keep nothing quiet."""
        watched = self.gateway.desk.fold.watched.values()
        known = {
            "assets": {one.asset for one in watched},
            "areas": {one.area for one in watched},
            "alerts": {one.name for one in watched},
        }
        for kind, names in known.items():
            for name in getattr(match, kind):
                if name not in names:
                    raise Rejected(f"match.{kind}: no alert has '{name}'{nearest(name, names)}")
