"""A gateway → an ASGI application: the routes, and how an answer or an error is written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.errors import Rejected, Unavailable
from config.model import Api
from pipeline.clock import SECOND_NS
from tanflow.web import openapi, static_files
from tanflow.web.access.acts import Acts
from tanflow.web.access.guard import Entrance, Guard
from tanflow.web.access.login import Login, watch
from tanflow.web.access.pace import Pace
from tanflow.web.access.sessions import SignIns
from tanflow.web.account import carbon, cost, documents, emissions, report
from tanflow.web.alerts.alert_list import AlertList
from tanflow.web.alerts.routes import Alerts
from tanflow.web.encode import answered, as_csv, as_json
from tanflow.web.history import query
from tanflow.web.history.series import SeriesList
from tanflow.web.inside import commissioning, comparisons, deadletters
from tanflow.web.inside.health import health
from tanflow.web.inside.metrics import CONTENT_TYPE, metrics
from tanflow.web.parameters import only, series_filter
from tanflow.web.site import assets as plant
from tanflow.web.site import flow, overview
from tanflow.web.stream import Streams

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Web:
    """The whole API and page behind its guard, and what runs beside it as long as it is served."""

    app: Guard
    beside: tuple[Callable[[], Coroutine[Any, Any, None]], ...]


def application(
    gateway: Gateway,
    api: Api,
    token: str,
    now_s: Callable[[], float] = time.monotonic,
    sign_ins: SignIns | None = None,
) -> Web:
    """Return API and page; `token` "" asks programs for none. Raises GatewayError for users that cannot be read."""
    sessions, acts = (sign_ins or SignIns()).of(gateway.directory.path, now_s), Acts(gateway, now_s)
    users = sessions.users
    alerts, files = AlertList(gateway), static_files.static_files()
    streams = Streams(gateway, SeriesList(gateway.config, gateway.table), alerts, sessions, now_s)
    parts = (Login(gateway, users, sessions, acts, now_s), Alerts(gateway, acts, alerts), streams, acts)
    of_parts = (route for part in parts for route in part.routes())
    routes = [*_routes(gateway, acts, alerts), *of_parts, *static_files.routes(files)]
    app = Starlette(routes=routes, exception_handlers=_HANDLERS)
    app.router.redirect_slashes = False
    entrance = Entrance(gateway.config, users, sessions, acts, api, token, Pace(now_s))
    return Web(Guard(app, entrance, files), (partial(watch, users, acts), streams.run))


def _routes(gateway: Gateway, acts: Acts, alerts: AlertList) -> list[Route]:
    """Return the routes of all that is asked about the plant, its account and its alerts."""
    api = _Api(gateway)
    return [
        Route("/api/health", api.health),
        Route("/api/series", api.series),
        Route("/api/latest", api.latest),
        Route("/api/query", api.query),
        Route("/api/emissions", api.emissions),
        Route("/api/cost", api.cost),
        Route("/metrics", api.metrics),
        *documents.routes(gateway, acts),
        *overview.routes(gateway, alerts),
        *flow.routes(gateway),
        *plant.routes(gateway, alerts),
        *carbon.routes(gateway),
        *report.routes(gateway, acts),
        *deadletters.routes(gateway),
        *commissioning.routes(gateway),
        *comparisons.routes(gateway, acts),
        *openapi.routes(),
    ]


class _Api:
    """The answers; each reads the gateway's state as it is at that moment."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._list = SeriesList(gateway.config, gateway.table)
        self._places = gateway.asking

    async def health(self, request: Request) -> Response:
        only(request.query_params)
        found = health(self._gateway)
        return answered(found, 503 if found["state"] == "down" else 200)

    async def series(self, request: Request) -> Response:
        only(request.query_params, "asset", "match", "quantity")
        wanted = series_filter(request.query_params)
        revision = self._gateway.table.revision
        return await asyncio.to_thread(lambda: answered({"revision": revision, "series": self._list.describe(wanted)}))

    async def latest(self, request: Request) -> Response:
        only(request.query_params, "asset", "match", "quantity")
        rows = self._list.latest(self._gateway.latest, series_filter(request.query_params))
        return await asyncio.to_thread(lambda: answered(rows.describe(self._gateway.clock.now_ns())))

    async def query(self, request: Request) -> Response:
        asked = query.parse(request.query_params, self._gateway)
        async with self._places:
            answer = await query.ask(self._gateway, asked)
            if asked.csv:
                return await asyncio.to_thread(lambda: _text(as_csv(asked, answer), "text/csv; charset=utf-8"))
            return await asyncio.to_thread(lambda: answered(as_json(asked, answer)))

    async def emissions(self, request: Request) -> Response:
        gateway = self._gateway
        zone = gateway.books.zone
        today = datetime.fromtimestamp(gateway.clock.now_ns() / SECOND_NS, zone).date()
        asked = emissions.parse(request.query_params, zone, today)
        async with self._places:
            return await asyncio.to_thread(lambda: answered(emissions.answer(gateway.directory.path, asked)))

    async def cost(self, request: Request) -> Response:
        gateway = self._gateway
        today = datetime.fromtimestamp(gateway.clock.now_ns() / SECOND_NS, gateway.books.zone).date()
        month = cost.parse(request.query_params, today)
        async with self._places:
            return await asyncio.to_thread(lambda: answered(cost.answer(gateway.directory.path, gateway.books, month)))

    async def metrics(self, request: Request) -> Response:
        only(request.query_params)
        return _text(metrics(self._gateway), CONTENT_TYPE)


def _text(content: str, kind: str) -> Response:
    return Response(content, headers={"content-type": kind})


async def _sentence(status: int, request: Request, error: Exception) -> Response:
    response = answered({"error": str(error)}, status)
    if isinstance(error, Unavailable):
        response.headers["retry-after"] = str(max(1, round(error.after_s or 1)))
    return response


async def _http_error(request: Request, error: HTTPException) -> Response:
    if error.status_code == 404:
        return answered(
            {"error": f"nothing is at {request.url.path[:200]}; see /api/health, /api/series, /metrics"}, 404
        )
    return answered({"error": error.detail}, error.status_code)


async def _defect(request: Request, error: Exception) -> Response:
    return answered({"error": "the gateway failed at this request; its log says why"}, 500)


_HANDLERS: Final[dict[Any, Any]] = {
    HTTPException: _http_error,
    Rejected: partial(_sentence, 400),
    Unavailable: partial(_sentence, 503),
    Exception: _defect,
}
