"""Requests that other web sites, rebound names and proxies bring about: only those of our own page are taken."""

from __future__ import annotations

from pathlib import Path

import httpx

from config.model import Api
from tanflow.web.access.sessions import COOKIE
from tests.services.ports import free_port
from tests.tanflow.web import PASSWORD, open_site
from tests.waiting import DEADLINE_S


async def test_only_json_of_our_own_page_is_taken(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, site.signed_in("Ann", "operator") as client:
        key = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
        async with httpx.AsyncClient(base_url=site.origin, timeout=DEADLINE_S) as bare:
            without = await bare.post("/api/logout", json={}, headers=key)
            assert (without.status_code, "Origin" in without.json()["error"]) == (403, True)
            for origin in ("https://evil.example", "null", f"http://localhost:{site.port}", f"{site.origin}.evil"):
                other = await bare.post("/api/logout", json={}, headers=key | {"origin": origin})
                assert other.status_code == 403, origin
            both = [*key.items(), ("origin", site.origin), ("origin", "https://evil.example")]
            assert (await bare.post("/api/logout", json={}, headers=both)).status_code == 403
            assert (
                await bare.post("/api/login", json={}, headers={"origin": "https://evil.example"})
            ).status_code == 403
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            sent = await client.post("/api/logout", content=b"{}", headers={"content-type": kind})
            assert (sent.status_code, "content-type" in sent.json()["error"]) == (400, True), kind
        for site_says in ("cross-site", "same-site"):
            asked = await client.get("/api/health", headers={"sec-fetch-site": site_says})
            assert asked.status_code == 403
        assert (await client.get("/api/health", headers={"sec-fetch-site": "same-origin"})).status_code == 200
        assert (await client.get("/", headers={"sec-fetch-site": "cross-site"})).status_code == 200  # a link


async def test_rebound_names_stay_refused_whoever_asks(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, site.signed_in("Ann", "viewer") as client:
        for host in ("rebound.example", f"rebound.example:{site.port}", ""):
            assert (await client.get("/api/me", headers={"host": host})).status_code == 421
            assert (await client.get("/", headers={"host": host})).status_code == 421
            found = await client.post("/api/login", json={}, headers={"host": host, "origin": f"http://{host}"})
            assert found.status_code == 421


async def test_behind_a_proxy_its_name_is_answered_and_the_cookie_is_for_tls(tmp_path: Path) -> None:
    api = Api(port=free_port(), names=("gateway.plant",))
    async with open_site(tmp_path, api) as site, site.page() as client:
        site.add_user("Ann", "viewer")
        body = {"user": "Ann", "password": PASSWORD}
        proxied = {"host": "gateway.plant", "origin": "https://gateway.plant"}
        answer = await client.post("/api/login", json=body, headers=proxied)
        assert (answer.status_code, "Secure" in answer.headers["set-cookie"]) == (200, True)
        clear = await client.post("/api/login", json=body, headers=proxied | {"origin": "http://gateway.plant"})
        assert (clear.status_code, "https" in clear.json()["error"]) == (400, True)
        other = await client.post("/api/login", json=body, headers=proxied | {"host": "other.plant"})
        assert other.status_code == 421
