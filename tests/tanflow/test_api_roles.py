"""Every address × every role × nobody: the one table decides, and what is not in it is not answered."""

from __future__ import annotations

import itertools
from contextlib import AsyncExitStack
from pathlib import Path
from typing import get_args

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tanflow.web.access.roles import EVERYTHING, PERMISSIONS, TABLE, Asks, Role, asked
from tanflow.web.app import application
from tanflow.web.static_files import static_files
from tests.tanflow.web import Site, open_site

ROLES: tuple[Role, ...] = get_args(Role)
# What makes an address answer at once, where it would be long otherwise.
_SHORT = {"/api/report": "?year=x", "/api/stream": "?series=nothing"}


def addresses() -> list[tuple[str, str, Asks]]:
    return [(method, path, asks) for path, methods in TABLE.items() for method, asks in methods.items()]


async def status(client: httpx.AsyncClient, method: str, path: str) -> int:
    place = path.replace("{name}", "press") + _SHORT.get(path, "")
    if method == "POST":
        return (await client.post(place, json={})).status_code
    return (await client.get(place)).status_code


async def test_the_table_decides_for_everyone(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, AsyncExitStack() as held:
        clients = {role: await held.enter_async_context(site.signed_in(f"a {role}", role)) for role in ROLES}
        nobody = await held.enter_async_context(site.page())
        for method, path, asks in addresses():
            if path in ("/api/login", "/api/logout"):
                continue
            assert await status(nobody, method, path) == 401, path
            for role, client in clients.items():
                found = await status(client, method, path)
                if asks in PERMISSIONS[role]:
                    assert found not in (401, 403, 404, 405, 500), (role, method, path, found)
                else:
                    assert found == 403, (role, method, path, found)
        refused = site.gateway.log.reader.query("SELECT count(DISTINCT about) FROM acts WHERE what = 'refused'")
        expected = [p for (_, _, p), role in itertools.product(addresses(), ROLES) if p not in PERMISSIONS[role]]
        assert 0 < refused[0][0] <= len(expected)


def test_roles_have_what_they_need_and_no_more() -> None:
    assert set(PERMISSIONS) == {*ROLES, "local"}
    assert PERMISSIONS["local"] == EVERYTHING
    assert not PERMISSIONS["engineer"] & {"approve", "audit"}
    assert not PERMISSIONS["approver"] & {"enter", "acknowledge", "silence"}
    assert not PERMISSIONS["auditor"] & {"enter", "approve", "acknowledge", "silence", "commission"}
    assert {asks for _, _, asks in addresses()} - {"public"} == EVERYTHING


def routes(app: object) -> list[Route]:
    assert isinstance(app, Starlette)
    assert all(isinstance(route, Route) for route in app.routes)
    return [route for route in app.routes if isinstance(route, Route)]


@pytest.fixture
def files() -> set[str]:
    return set(static_files())


async def test_every_route_stands_in_the_table_and_the_other_way_round(tmp_path: Path, files: set[str]) -> None:
    async with open_site(tmp_path) as site:
        found: set[tuple[str, str]] = set()
        for route in routes(application(site.gateway, site.gateway.config.api or _none(), "").app.app):
            if route.path not in files:
                found |= {(method, route.path) for method in (route.methods or set()) - {"HEAD"}}
        assert found == {(method, path) for method, path, _ in addresses()}
        assert not files & set(TABLE)


def _none() -> None:
    raise AssertionError


async def test_a_route_that_was_forgotten_in_the_table_is_refused(tmp_path: Path) -> None:
    async def open_to_all(request: Request) -> Response:
        return Response("secret")

    async with open_site(tmp_path) as site:
        assert site.gateway.config.api
        web = application(site.gateway, site.gateway.config.api, "")
        app = web.app.app
        assert isinstance(app, Starlette)
        app.router.routes.append(Route("/api/forgotten", open_to_all, methods=["GET", "POST"]))
        transport = httpx.ASGITransport(web.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.get("/api/forgotten")).status_code == 404
            assert (await client.post("/api/forgotten", json={})).status_code == 405


async def test_refusals_are_recorded_but_a_flood_of_them_is_not(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, site.signed_in("Ann", "viewer") as client:
        for _ in range(10):
            assert (await client.get("/api/acts")).status_code == 403
        assert (await _refused(site)) == [("Ann", "viewer")] * 3
        assert (await client.get("/api/report")).status_code == 403
        about = site.gateway.log.reader.query("SELECT about FROM acts ORDER BY id DESC LIMIT 1")[0][0]
        assert '"left_out_before":7' in about


async def _refused(site: Site) -> list[tuple[str, str]]:
    return [(u, r) for u, r in site.gateway.log.reader.query("SELECT user, role FROM acts WHERE what = 'refused'")]


async def test_acts_are_listed_newest_first_in_parts(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, site.signed_in("Ann", "auditor") as client:
        await client.post("/api/acts", json={})
        await client.get("/api/commissioning")
        found = (await client.get("/api/acts")).json()["acts"]
        assert [(act["user"], act["what"]) for act in found][:2] == [("Ann", "refused"), ("Ann", "login")]
        assert found[0]["about"] == {"method": "GET", "path": "/api/commissioning"}
        assert found[0]["at"].startswith("2026-03-01T09:00")
        older = (await client.get(f"/api/acts?before={found[0]['id']}&limit=1")).json()["acts"]
        assert older == [found[1]]
        for wrong in ("limit=501", "limit=x", "before=-1", "before=9999999999999999999", "colour=red"):
            assert (await client.get(f"/api/acts?{wrong}")).status_code == 400


def test_one_part_of_a_path_is_one_part() -> None:
    assert asked("/api/assets/press") == {"GET": "read"}
    for path in ("/api/assets/", "/api/assets/a/b", "/api/assets/../acts", "/api", "/api/health/", "/API/HEALTH"):
        assert asked(path) == {}, path
