"""Who has signed in: a random key in the browser, its hash here; gone after a while of silence or a restart."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.requests import Request

from tanflow.web.access.roles import PERMISSIONS, Permission
from tanflow.web.access.users import User, Users

COOKIE: Final = "tanflow"
IDLE_S: Final = 12 * 3_600.0
_BYTES: Final = 32
_MOST: Final = 1_000  # of all users; the one unused longest gives way


@dataclass(slots=True, eq=False)
class Session:
    """A sign-in of a user: with the password's hash it was opened under, and when it was last used [s]."""

    user: str
    hash: str
    used_s: float
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks. A session is a person's own; without one the name stands for whoever may ask: local, token."""

    user: str
    role: str
    session: Session | None = None

    @property
    def permissions(self) -> frozenset[Permission]:
        return PERMISSIONS[self.role]


def who(request: Request) -> Who:
    """Return who asks, as the guard has found out."""
    found: Who = request.scope["who"]
    return found


@dataclass(slots=True)
class Sessions:
    """Open sessions by the hash of their key: whoever reads this memory cannot use them."""

    users: Users
    now_s: Callable[[], float] = time.monotonic
    _open: dict[bytes, Session] = field(default_factory=dict)  # the one unused longest first

    def open(self, name: str, user: User) -> str:
        """Return the key of a new session of a user as he was when his password fitted; it comes from nowhere else."""
        while len(self._open) >= _MOST:
            self._open.pop(next(iter(self._open))).ended = True
        key = secrets.token_urlsafe(_BYTES)
        self._open[_digest(key)] = Session(name, user.hash, self.now_s())
        return key

    def find(self, key: str) -> Session | None:
        """Return the session of a key and count it as used; None for one that is over or never was."""
        digest = _digest(key)
        session = self._open.pop(digest, None)
        if session is None or not self.alive(session):
            return None
        session.used_s = self.now_s()
        self._open[digest] = session
        return session

    def alive(self, session: Session) -> bool:
        """Return whether a session still counts: not ended, not idle for long, its user there with that password."""
        user = self.users.current().get(session.user)
        idle = self.now_s() - session.used_s >= IDLE_S
        return not (session.ended or idle or user is None or user.hash != session.hash)

    def stand(self, who: Who) -> bool:
        """Return whether someone let in earlier still would be; a nameless one only as long as nobody has a name."""
        if who.session:
            return self.alive(who.session)
        return who.role != "local" or not self.users.current()

    def end(self, key: str) -> None:
        """End a session, if there is one."""
        session = self._open.pop(_digest(key), None)
        if session:
            session.ended = True


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()


@dataclass(slots=True)
class SignIns:
    """The sessions of a process: opened with its first page, kept by those that follow after a reload."""

    sessions: Sessions | None = None

    def of(self, data: Path, now_s: Callable[[], float]) -> Sessions:
        """Return the sessions; raises GatewayError for users that cannot be read."""
        if self.sessions is None:
            self.sessions = Sessions(Users.open(data), now_s)
        return self.sessions
