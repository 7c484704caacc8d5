"""Who signs in over HTTP and what the log says of it; a clock for what ends or is slowed down."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from tests.tanflow.web import PASSWORD, Site


@dataclass
class Hand:
    """A clock that stands until it is moved."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


async def acts(site: Site) -> list[tuple[str, str, str]]:
    """Return who did what, oldest first, as the log has it; changed users are noticed in their own time."""
    query = "SELECT user, role, what FROM acts WHERE what <> 'users' ORDER BY id"
    return [(user, role, what) for user, role, what in site.gateway.log.reader.query(query)]


async def login(client: httpx.AsyncClient, user: str = "Ann", password: str = PASSWORD) -> httpx.Response:
    return await client.post("/api/login", json={"user": user, "password": password})
