"""A gateway → an ASGI application: the routes, and how an answer or an error is written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from config.errors import Rejected, Unavailable
from pipeline.clock import SECOND_NS
from tanflow.web import cost, documents, emissions, overview, plant, query, static_files
from tanflow.web.encode import as_csv, as_json, dumps
from tanflow.web.guard import Guard
from tanflow.web.health import health
from tanflow.web.metrics import CONTENT_TYPE, metrics
from tanflow.web.parameters import only, series_filter
from tanflow.web.series import SeriesList

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

Answer = Callable[[Request], Awaitable[Response]]


def application(gateway: Gateway, *, loopback: bool, token: str) -> ASGIApp:
    """Return the whole API and page behind its guard; `token` "" asks for none."""
    api, files = _Api(gateway), static_files.static_files()
    routes = [
        Route("/api/health", api.health),
        Route("/api/series", api.series),
        Route("/api/latest", api.latest),
        Route("/api/query", api.query),
        Route("/api/emissions", api.emissions),
        Route("/api/cost", api.cost),
        Route("/api/me", api.me),
        Route("/metrics", api.metrics),
        *documents.routes(gateway),
        *overview.routes(gateway),
        *plant.routes(gateway),
        *static_files.routes(files),
    ]
    handlers: dict[Any, Any] = {
        HTTPException: _http_error,
        Rejected: partial(_sentence, 400),
        Unavailable: partial(_sentence, 503),
        Exception: _defect,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Guard(app, public=files, loopback=loopback, token=token)


class _Api:
    """The answers; each reads the gateway's state as it is at that moment."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._list = SeriesList(gateway.config, gateway.table)
        self._places = gateway.asking

    async def health(self, request: Request) -> Response:
        only(request.query_params)
        found = health(self._gateway)
        return _json(found, 503 if found["state"] == "down" else 200)

    async def series(self, request: Request) -> Response:
        only(request.query_params, "asset", "match", "quantity")
        wanted = series_filter(request.query_params)
        revision = self._gateway.table.revision
        return await asyncio.to_thread(lambda: _json({"revision": revision, "series": self._list.describe(wanted)}))

    async def latest(self, request: Request) -> Response:
        only(request.query_params, "asset", "match", "quantity")
        rows = self._list.latest(self._gateway.latest, series_filter(request.query_params))
        return await asyncio.to_thread(lambda: _json(rows.describe(self._gateway.clock.now_ns())))

    async def query(self, request: Request) -> Response:
        asked = query.parse(request.query_params, self._gateway)
        async with self._places:
            answer = await query.ask(self._gateway, asked)
            if asked.csv:
                return await asyncio.to_thread(lambda: _text(as_csv(asked, answer), "text/csv; charset=utf-8"))
            return await asyncio.to_thread(lambda: _json(as_json(asked, answer)))

    async def emissions(self, request: Request) -> Response:
        gateway = self._gateway
        zone = gateway.books.zone
        today = datetime.fromtimestamp(gateway.clock.now_ns() / SECOND_NS, zone).date()
        asked = emissions.parse(request.query_params, zone, today)
        async with self._places:
            return await asyncio.to_thread(lambda: _json(emissions.answer(gateway.directory.path, asked)))

    async def cost(self, request: Request) -> Response:
        gateway = self._gateway
        today = datetime.fromtimestamp(gateway.clock.now_ns() / SECOND_NS, gateway.books.zone).date()
        month = cost.parse(request.query_params, today)
        async with self._places:
            return await asyncio.to_thread(lambda: _json(cost.answer(gateway.directory.path, gateway.books, month)))

    async def me(self, request: Request) -> Response:
        only(request.query_params)
        language = self._gateway.config.notify.language
        everything = ["read", "acknowledge", "silence", "enter", "approve", "commission", "export", "audit"]
        about = {"user": "local", "role": "local", "permissions": everything, "users": False}
        return _json(about | {"language_default": language})

    async def metrics(self, request: Request) -> Response:
        only(request.query_params)
        return _text(metrics(self._gateway), CONTENT_TYPE)


def _json(content: Any, status: int = 200) -> Response:
    return Response(dumps(content), status, media_type="application/json")


def _text(content: str, kind: str) -> Response:
    return Response(content, headers={"content-type": kind})


async def _sentence(status: int, request: Request, error: Exception) -> Response:
    response = _json({"error": str(error)}, status)
    if isinstance(error, Unavailable):
        response.headers["retry-after"] = str(max(1, round(error.after_s or 1)))
    return response


async def _http_error(request: Request, error: HTTPException) -> Response:
    if error.status_code == 404:
        return _json({"error": f"nothing is at {request.url.path[:200]}; see /api/health, /api/series, /metrics"}, 404)
    return _json({"error": error.detail}, error.status_code)


async def _defect(request: Request, error: Exception) -> Response:
    return _json({"error": "the gateway failed at this request; its log says why"}, 500)
