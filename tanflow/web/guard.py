"""Every request passes here first: method, host name and token are checked, safe headers put on every answer."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Final

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS: Final = ("GET", "HEAD")
# What takes papers takes POST too: from a program, or from this page.
POST_PATHS: Final = ("/api/documents", "/api/documents/approve", "/api/documents/file")
_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """ASGI middleware; on loopback it answers only to loopback's own names, which defeats DNS rebinding."""

    def __init__(self, app: ASGIApp, *, public: Collection[str], loopback: bool, token: str) -> None:
        self._app = app
        self._public = public  # paths of the page's files: no secret is in them, so they need no token
        self._loopback = loopback
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"cannot serve {scope['type']}")
        cache = "no-cache" if scope["path"] in self._public else "no-store"

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS | {"cache-control": cache})
            await send(message)

        app = self._refusal(scope["method"], scope["path"], Headers(scope=scope)) or self._app
        await app(scope, receive, send_safely)

    def _refusal(self, method: str, path: str, headers: Headers) -> Response | None:
        methods = (*_METHODS, "POST") if path in POST_PATHS else _METHODS
        if method not in methods:
            names = " or ".join((", ".join(methods[:-1]), methods[-1]))
            return _refuse(405, f"{path[:200]} only answers {names}", allow=", ".join(methods))
        host = headers.get("host", "")
        if self._loopback and _name(host) not in _LOOPBACK_NAMES:
            return _refuse(
                421, f"this gateway listens on loopback and answers to localhost only, not to {host[:200]!r}"
            )
        if method == "POST" and not _from_here(headers, host):
            return _refuse(403, "another web site may not enter anything here")
        if self._token and path not in self._public and not self._knows(headers.getlist("authorization")):
            return _refuse(401, "send the gateway's token: Authorization: Bearer …", **{"www-authenticate": "Bearer"})
        return None

    def _knows(self, authorizations: list[str]) -> bool:
        scheme, _, given = authorizations[0].partition(" ") if len(authorizations) == 1 else ("", "", "")
        # Header text is latin-1; its bytes are what was sent.
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), self._token)


def _from_here(headers: Headers, host: str) -> bool:
    """Return whether a request comes from no web site, or from this gateway's own page."""
    origins = headers.getlist("origin")
    return all(origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower()) for origin in origins)


def _name(host: str) -> str:
    """Return the name of a Host header without its port; any port will do, as a tunnel may end elsewhere."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def _refuse(status: int, sentence: str, **headers: str) -> Response:
    return Response(orjson.dumps({"error": sentence}), status, headers, media_type="application/json")
