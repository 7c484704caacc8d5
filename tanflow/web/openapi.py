"""The table of addresses and what each takes → /api/openapi.json (OpenAPI 3.1), for programs that read such a thing.

Addresses, methods and permissions are those of the one table of roles, bodies those of the models that check them; only
what a URL takes is written here, and a test holds it against what each address says it knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.strict import Strict
from tanflow.commissioning.records import Comparison
from tanflow.web.access.login import Nothing, SignIn
from tanflow.web.access.roles import TABLE, Asks
from tanflow.web.alerts.routes import Acknowledge, End, Silence
from tanflow.web.body import JSON
from tanflow.web.encode import answered
from tanflow.web.parameters import only

Schema = Mapping[str, Any]

_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_TEXT: Final[Schema] = {"type": "string", "maxLength": 200}
_KEYS: Final[Schema] = {"type": "string", "description": "keys, with commas"}
_YEAR: Final = {"type": "string", "pattern": "^[0-9]{4}$"}
_DAY: Final = {"type": "string", "format": "date"}
_TIME: Final[Schema] = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "string", "pattern": "^(now|today|-[1-9][0-9]{0,8}(s|min|h|d|w))$"},
        {"type": "integer", "minimum": 0, "description": "nanoseconds since 1970"},
    ]
}
_STEP: Final[Schema] = {"type": "string", "pattern": "^(none|[1-9][0-9]{0,8}(s|min|h|d|w))$"}
_BYTES: Final = {"type": "string", "format": "binary"}


def _one_of(*choices: str) -> Schema:
    return {"type": "string", "enum": list(choices)}


def _up_to(most: int) -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": most}


_FILTER: Final[Mapping[str, Schema]] = {"asset": _TEXT, "match": _TEXT, "quantity": _KEYS}
_PARAMETERS: Final[Mapping[tuple[str, str], Mapping[str, Schema]]] = {
    ("GET", "/api/series"): _FILTER,
    ("GET", "/api/latest"): _FILTER,
    ("GET", "/api/stream"): {"series": _KEYS, "quantity": _KEYS},
    ("GET", "/api/query"): {
        "series": _KEYS, "from": _TIME, "to": _TIME, "step": _STEP,
        "aggregate": _one_of("mean", "min", "max", "sum", "first", "last", "count", "integral"),
        "format": _one_of("json", "csv"),
    },
    ("GET", "/api/emissions"): {
        "from": _DAY, "to": _DAY, "by": _one_of("month", "day", "hour", "year"), "as_of": _TEXT,
    },
    ("GET", "/api/cost"): {"month": {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"}},
    ("GET", "/api/flow"): {"span": _one_of("15min", "today")},
    ("GET", "/api/carbon"): {"year": _YEAR},
    ("GET", "/api/report"): {
        "year": _YEAR, "month": {"type": "integer", "minimum": 1, "maximum": 12},
        "format": _one_of("html", "xlsx", "json", "csv"), "lang": _one_of("en", "zh-CN"),
    },
    ("GET", "/api/deadletters"): {"limit": _up_to(1_000)},
    ("GET", "/api/commissioning"): {"device": _TEXT},
    ("GET", "/api/commissioning/records"): {"device": _TEXT},
    ("GET", "/api/documents"): {
        "state": _one_of("any", "pending", "in force", "replaced"), "after": _up_to(10**12 - 1),
    },
    ("POST", "/api/documents"): {"name": _TEXT, "sheet": _TEXT, "by": _TEXT, "approved_by": _TEXT},
    ("GET", "/api/alerts"): {
        "state": _one_of("open", "pending", "ended", "all"), "from": _TIME, "to": _TIME, "limit": _up_to(1_000),
    },
    ("GET", "/api/acts"): {"before": _up_to(2**63 - 1), "limit": _up_to(500)},
}  # fmt: skip
_REQUIRED: Final = {("/api/query", "series"), ("/api/report", "year"), ("/api/commissioning", "device")}

_ROWS: Final = {
    "type": "object",
    "properties": {
        "rows": {
            "type": "array",
            "maxItems": 10_000,
            "items": {"type": "object", "additionalProperties": {"type": ["string", "number", "null"]}},
        },
        "by": {"type": "string"},
        "approved_by": {"type": "string"},
    },
    "required": ["rows"],
    "additionalProperties": False,
}
_APPROVED: Final = {
    "type": "object",
    "properties": {"documents": {"type": "array", "items": {"type": "integer"}}, "by": {"type": "string"}},
    "required": ["documents"],
    "additionalProperties": False,
}
_BODIES: Final[Mapping[str, type[Strict] | Mapping[str, Schema]]] = {
    "/api/login": SignIn,
    "/api/logout": Nothing,
    "/api/alerts/acknowledge": Acknowledge,
    "/api/silences": Silence,
    "/api/silences/end": End,
    "/api/commissioning/records": Comparison,
    "/api/documents": {JSON: _ROWS, "text/csv": {"type": "string"}, _XLSX: _BYTES},
    "/api/documents/approve": {JSON: _APPROVED},
    "/api/documents/file": dict.fromkeys(
        ("application/pdf", "image/jpeg", "image/png", "application/octet-stream"), _BYTES
    ),
}
_ANSWERS: Final[Mapping[str, tuple[str, ...]]] = {
    "/metrics": ("text/plain",),
    "/api/stream": ("text/event-stream",),
    "/api/query": (JSON, "text/csv"),
    "/api/report": ("text/html", _XLSX, JSON, "text/csv"),
}
_ERROR: Final = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}


def routes() -> list[Route]:
    """Return the route of the description."""

    async def answer(request: Request) -> Response:
        only(request.query_params)
        return await asyncio.to_thread(lambda: answered(document()))

    return [Route("/api/openapi.json", answer)]


def document() -> dict[str, Any]:
    """Return the description of every address."""
    paths = {
        path: {method.lower(): _operation(method, path, asks) for method, asks in methods.items()}
        for path, methods in TABLE.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "tanflow", "version": "1", "description": "docs/api.md says what the answers hold."},
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "tanflow"},
            },
        },
    }


def _operation(method: str, path: str, asks: Asks) -> dict[str, Any]:
    error = {
        "description": "a sentence says why",
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    good = {"description": "", "content": {kind: {} for kind in _ANSWERS.get(path, (JSON,))}}
    found: dict[str, Any] = {
        "summary": f"asks for the permission to {asks}" if asks != "public" else "open to all",
        "parameters": _parameters(method, path),
        "responses": {"2XX": good, "4XX": error, "503": {"description": "not now, or down", "content": {JSON: {}}}},
        "security": [] if asks == "public" else [{}, {"token": []}, {"session": []}],
    }
    if method == "POST":
        found["requestBody"] = {"required": True, "content": _body(_BODIES[path])}
    return found


def _parameters(method: str, path: str) -> list[dict[str, Any]]:
    asked = _PARAMETERS.get((method, path), {})
    named = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": _TEXT} for part in path.split("/") if "{" in part
    ]
    return named + [
        {"name": name, "in": "query", "required": (path, name) in _REQUIRED, "schema": schema}
        for name, schema in asked.items()
    ]


def _body(taken: type[Strict] | Mapping[str, Schema]) -> dict[str, Any]:
    if isinstance(taken, type):
        return {JSON: {"schema": _plain(taken.model_json_schema())}}
    return {kind: {"schema": schema} for kind, schema in taken.items()}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a model's schema with what it refers to in it: its definitions stand nowhere else."""
    known = schema.pop("$defs", {})

    def resolved(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return resolved(known[part["$ref"].rpartition("/")[2]])
            return {key: resolved(value) for key, value in part.items()}
        return [resolved(one) for one in part] if isinstance(part, list) else part

    found: dict[str, Any] = resolved(schema)
    return found
