"""A name and a password → a session in a cookie; who one is; and the end of a session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import orjson
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.errors import Rejected
from config.strict import Strict
from tanflow.web.access.acts import Acts
from tanflow.web.access.guard import LOOPBACK_NAMES, UNKNOWN, name_of
from tanflow.web.access.limits import Limit, Limits
from tanflow.web.access.sessions import COOKIE, Sessions, Who, who
from tanflow.web.access.users import NOBODY, User, Users, changes, digest
from tanflow.web.body import said
from tanflow.web.encode import answered
from tanflow.web.parameters import only

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_AT_ONCE: Final = 2  # hashing: 16 MiB and a whole core each
_WAITING: Final = 8  # more than this are told to come back
_LOOK_S: Final = 1.0
MACHINE: Final = Who("local", "local")  # the command line of the gateway's machine
_FAILS_OF_ONE: Final = 5  # then one a minute: 1,440 guesses a day
_FAILS_OF_ONE_S: Final = 60.0
_FAILS_OF_ALL: Final = 30  # then one each two seconds: 5 % of a core
_FAILS_OF_ALL_S: Final = 2.0


class SignIn(Strict):
    """What /api/login takes; spaces are part of a password."""

    model_config = Strict.model_config | {"str_strip_whitespace": False}

    user: Annotated[str, Field(min_length=1, max_length=200)]
    password: Annotated[str, Field(min_length=1, max_length=1_000)]


class Nothing(Strict):
    """What /api/logout takes."""


@dataclass(slots=True)
class Login:
    """The door: checks a password at a bounded rate and cost, and answers all who may not in one way."""

    gateway: Gateway
    users: Users
    sessions: Sessions
    acts: Acts
    now_s: Callable[[], float] = time.monotonic
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _waiting: int = 0
    _of_all: Limit = field(init=False)
    _of_one: Limits = field(init=False)

    def __post_init__(self) -> None:
        self._of_all = Limit(_FAILS_OF_ALL, _FAILS_OF_ALL_S, self.now_s)
        self._of_one = Limits(_FAILS_OF_ONE, _FAILS_OF_ONE_S, self.now_s)

    def routes(self) -> list[Route]:
        """Return the routes of signing in and out."""
        return [
            Route("/api/login", self._login, methods=["POST"]),
            Route("/api/logout", self._logout, methods=["POST"]),
            Route("/api/me", self._me),
        ]

    async def _me(self, request: Request) -> Response:
        only(request.query_params)
        return answered(self._described(who(request)))

    async def _login(self, request: Request) -> Response:
        only(request.query_params)
        secure = _travels_safely(request)
        given = await said(request, SignIn)
        limits = (self._of_all, self._of_one.of(given.user))
        wait_s = max(limit.wait_s() for limit in limits)
        if wait_s or self._waiting >= _WAITING:
            return _later(max(1, round(wait_s)))
        for limit in limits:
            limit.take()
        user = self.users.current().get(given.user, NOBODY)
        client = request.client.host if request.client else ""
        if not await self._knows(user, given.password) or user is NOBODY:
            # An unknown name is not kept: it may be a password typed into the wrong field.
            person = Who(given.user, user.role) if user is not NOBODY else UNKNOWN
            # Counted together: a row more or less takes time, which must not tell that there is such a user.
            await self.acts.refused(person, "sign-in", path="/api/login", client=client)
            return answered({"error": "this name and password do not belong together"}, 401)
        for limit in limits:
            limit.give_back()
        person = Who(given.user, user.role)
        self.sessions.end(request.cookies.get(COOKIE, ""))  # a key that came along is never the new one
        await self.acts.record(person, "login", client=client)
        answer = answered(self._described(person))
        key = self.sessions.open(given.user, user)
        answer.set_cookie(COOKIE, key, path="/", secure=secure, httponly=True, samesite="strict")
        return answer

    async def _knows(self, user: User, password: str) -> bool:
        """Return whether this is a user's password, hashing a few at a time and beside the event loop."""
        self._waiting += 1
        try:
            async with self._places:
                return await asyncio.to_thread(user.knows, password)
        finally:
            self._waiting -= 1

    async def _logout(self, request: Request) -> Response:
        only(request.query_params)
        await said(request, Nothing)
        person = who(request)
        self.sessions.end(request.cookies.get(COOKIE, ""))
        if person.session:
            await self.acts.record(person, "logout")
        answer = answered({})
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    def _described(self, person: Who) -> dict[str, Any]:
        return {
            "user": person.user,
            "role": person.role,
            "permissions": sorted(person.permissions),
            "users": bool(self.users.current()),
            "language_default": self.gateway.config.notify.language,
        }


async def watch(users: Users, acts: Acts) -> None:
    """Record for ever what changes in the users, also what changed while no gateway ran."""
    reader = acts.gateway.log.reader
    query = "SELECT about FROM acts WHERE what = 'users' ORDER BY id DESC LIMIT 1"
    known = [orjson.loads(row[0])["digest"] for row in reader.query(query)]
    before = users.current()
    if digest(before) != (known[0] if known else digest({})):
        roles = [{"user": name, "role": user.role} for name, user in sorted(before.items())]
        await acts.record(MACHINE, "users", digest=digest(before), found=roles)
    while True:
        await asyncio.sleep(_LOOK_S)
        now = users.current()
        if digest(now) != digest(before):
            await acts.record(MACHINE, "users", digest=digest(now), changes=changes(before, now))
        before = now


def _travels_safely(request: Request) -> bool:
    """Return whether the cookie is for TLS only; on the machine itself it need not be.

    Raises Rejected where a browser would send the password in the clear: it would not keep the cookie either.
    """
    origin = urlsplit(request.headers.get("origin", ""))
    if request.url.scheme == "https":
        return True
    if name_of(request.headers.get("host", "")) in LOOPBACK_NAMES:
        return origin.scheme == "https"
    if origin.scheme == "http":
        raise Rejected("a password is not sent in the clear: reach this page by https (api.tls, or a TLS proxy)")
    return True


def _later(after_s: int) -> Response:
    answer = answered({"error": f"too many sign-ins; try again in {after_s} s"}, 429)
    answer.headers["retry-after"] = str(after_s)
    return answer
