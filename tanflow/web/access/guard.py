"""Every request passes here first: method, host, origin, who asks and whether they may; safe headers on each answer."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.model import Api
from config.model import Gateway as Config
from tanflow.web.access import roles
from tanflow.web.access.acts import Acts
from tanflow.web.access.pace import Pace, address_of
from tanflow.web.access.roles import Asks, Methods
from tanflow.web.access.sessions import COOKIE, Sessions, Who
from tanflow.web.access.users import Users
from tanflow.web.encode import answered

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_LOCAL: Final = Who("local", "local")
_TOKEN: Final = Who("token", "engineer")
UNKNOWN: Final = Who("unknown", "none")
_READ: Final[Methods] = {"GET": "read"}
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_HSTS: Final = {"strict-transport-security": "max-age=31536000"}  # RFC 6797

_NONE: Final[Mapping[str, str]] = {}


class _Refused(Exception):
    """This request goes no further; the answer says why, and to whom it is said where somebody is known."""

    def __init__(
        self,
        status: int,
        sentence: str,
        who: Who | None = None,
        headers: Mapping[str, str] = _NONE,
        about: Mapping[str, object] = _NONE,
    ) -> None:
        self.answer = answered({"error": sentence, **about}, status)
        self.answer.headers.update(headers)
        self.who = who


@dataclass(frozen=True, slots=True)
class Entrance:
    """What decides who one is, and what someone unknown is told; `token` "": programs need none."""

    config: Config
    users: Users
    sessions: Sessions
    acts: Acts
    api: Api
    token: str = ""
    pace: Pace = field(default_factory=Pace)

    def names(self) -> Collection[str] | None:
        """Return the host names that are answered; None: any."""
        return (*LOOPBACK_NAMES, *self.api.names) if self.api.loopback else None

    def unknown(self, sentence: str, who: Who | None = None) -> _Refused:
        """Return the refusal of someone who must say first who he is, with what a page needs to ask for that."""
        about = {
            "site": self.config.site.name,
            "users": bool(self.users.current()),
            "language_default": self.config.notify.language,
        }
        return _Refused(401, sentence, who, {"www-authenticate": "Bearer"}, about)


@dataclass(frozen=True, slots=True)
class Guard:
    """ASGI middleware; on loopback it answers only to known names, which defeats DNS rebinding.

    `public` are the paths of the page's files: no secret is in them, so everyone may have them.
    """

    app: ASGIApp
    entrance: Entrance
    public: Collection[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"cannot serve {scope['type']}")
        path, method = scope["path"], scope["method"]
        given = Headers(scope=scope)
        headers = _HEADERS | {"cache-control": "no-cache" if path in self.public else "no-store"}
        if scope["scheme"] == "https" and name_of(given.get("host", "")) not in LOOPBACK_NAMES:
            headers |= _HSTS  # but not for localhost, which is a name of everything else on the machine too

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        app = self.app
        try:
            scope["who"] = self._passes(scope, self._asks(method, path), given)
        except _Refused as refused:
            app = refused.answer
            if refused.who:
                about = {"method": method, "path": path[:200]}
                await self.entrance.acts.refused(refused.who, f"{refused.who.user} {about}", **about)
        await app(scope, receive, send_safely)

    def _asks(self, method: str, path: str) -> Asks:
        """Return what an address asks for; raises _Refused where nothing is, or not by this method."""
        methods: Methods = {"GET": "public"} if path in self.public else roles.asked(path)
        allowed = [name for name in ("GET", "HEAD", "POST") if _as_get(name) in (methods or _READ)]
        if method not in allowed:
            names = " or ".join(filter(None, (", ".join(allowed[:-1]), allowed[-1])))
            raise _Refused(405, f"{path[:200]} only answers {names}", headers={"allow": ", ".join(allowed)})
        return (methods or _READ)[_as_get(method)]  # what is not there is told only to those who may read

    def _passes(self, scope: Scope, asks: Asks, headers: Headers) -> Who:
        """Return who asks; raises _Refused where they may not, or not so often."""
        path, address = scope["path"], address_of(scope)
        self._from_where(scope, asks, headers)
        if asks == "public":
            return UNKNOWN
        who = self._who(headers, address)
        if asks not in who.permissions:
            raise _Refused(403, f"the role {who.role} may not {asks} here", who)
        if not roles.asked(path):
            raise _Refused(404, f"nothing is at {path[:200]}; see /api/health, /api/series, /metrics")
        if wait_s := self.entrance.pace.ask(address, path):
            raise _later("questions that cost", wait_s)
        return who

    def _from_where(self, scope: Scope, asks: Asks, headers: Headers) -> None:
        """Raise _Refused for what comes from another web site, or for another host."""
        host, posted = headers.get("host", ""), scope["method"] == "POST"
        names = self.entrance.names()
        if names is not None and name_of(host) not in names:
            raise _Refused(
                421, f"this gateway listens on loopback and answers to localhost only, not to {host[:200]!r}"
            )
        elsewhere = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if (posted or asks != "public") and (elsewhere or not _from_here(headers, host, scope["scheme"])):
            raise _Refused(403, "another web site may not ask or enter anything here")
        if posted and "origin" not in headers and _cookie(headers):
            raise _Refused(403, "what a cookie comes with must say from which page: Origin", UNKNOWN)

    def _who(self, headers: Headers, address: str) -> Who:
        """Return who asks: a program with the token, a person with a session, or whoever sits at the machine."""
        given, users = headers.getlist("authorization"), self.entrance.users.current()
        if given and self.entrance.token:
            failures = self.entrance.pace.failures(address)
            if wait_s := failures.wait_s():  # also for the right one: the answer would tell which it is
                raise _later("wrong tokens", wait_s)
            if not self._knows(given):
                failures.take()
                raise self.entrance.unknown("this is not the gateway's token: Authorization: Bearer …", UNKNOWN)
            return _TOKEN if users else _LOCAL
        if not users:
            if self.entrance.token:
                raise self.entrance.unknown("send the gateway's token: Authorization: Bearer …")
            return _LOCAL
        session = self.entrance.sessions.find(_cookie(headers))
        if session is None:
            raise self.entrance.unknown("sign in first: POST /api/login")
        return Who(session.user, users[session.user].role, session)

    def _knows(self, authorizations: list[str]) -> bool:
        scheme, _, given = authorizations[0].partition(" ") if len(authorizations) == 1 else ("", "", "")
        # Header text is latin-1; its bytes are what was sent.
        sent = given.strip().encode("latin-1")
        return scheme.lower() == "bearer" and hmac.compare_digest(sent, self.entrance.token.encode())


def _as_get(method: str) -> str:
    return "GET" if method == "HEAD" else method


def _cookie(headers: Headers) -> str:
    """Return the key of a session; of several cookies of that name none is believed."""
    found = [cookie_parser(line).get(COOKIE) for line in headers.getlist("cookie")]
    keys = [key for key in found if key]
    return keys[0] if len(keys) == 1 else ""


def name_of(host: str) -> str:
    """Return the name of a Host header without its port; any port will do, as a tunnel may end elsewhere."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def _from_here(headers: Headers, host: str, scheme: str) -> bool:
    """Return whether a request comes from no web site, or from this gateway's own page; a proxy may add TLS to it."""
    own = {f"{how}://{host}".lower() for how in (scheme, "https")}
    return all(origin.lower() in own for origin in headers.getlist("origin"))


def _later(what: str, wait_s: float) -> _Refused:
    after_s = max(1, round(wait_s))
    return _Refused(429, f"too many {what}; try again in {after_s} s", headers={"retry-after": str(after_s)})
