"""Signing in over real HTTP: sessions, their end, floods of passwords, and in whose name one acts."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.model import Api
from config.strict import Secret
from tanflow.web.access.limits import Limit
from tanflow.web.access.sessions import COOKIE, IDLE_S
from tanflow.web.access.users import (
    NOBODY,
    changing,
)
from tests.services.ports import free_port
from tests.tanflow.signing_in import Hand, acts, login
from tests.tanflow.web import PASSWORD, open_site
from tests.waiting import until


async def test_without_users_one_is_local_and_may_do_everything(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        me = (await site.client.get("/api/me")).json()
        assert (me["user"], me["role"], me["users"], me["language_default"]) == ("local", "local", False, "en")
        assert len(me["permissions"]) == 8


async def test_one_signs_in_works_and_signs_out(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        site.add_user("Ann", "operator")
        async with site.page() as client:
            refused = await client.get("/api/me")
            assert (refused.status_code, refused.json()["site"], refused.json()["users"]) == (401, "works", True)
            answer = await login(client)
            assert (answer.status_code, answer.json()["user"], answer.json()["role"]) == (200, "Ann", "operator")
            cookie = answer.headers["set-cookie"]
            assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
            assert not re.search(
                "secure|domain|max-age|expires", cookie, re.IGNORECASE
            )  # on loopback; a browser's session
            assert (await client.get("/api/me")).json()["permissions"] == ["acknowledge", "read", "silence"]
            assert (await client.get("/api/health")).status_code == 200
            assert (await client.post("/api/logout", json={})).status_code == 200
            assert (await client.get("/api/health")).status_code == 401
        assert await acts(site) == [("Ann", "operator", "login"), ("Ann", "operator", "logout")]


async def test_the_key_is_random_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, site.signed_in("Ann", "viewer") as client:
        first = client.cookies[COOKIE]
        assert len(first) >= 43  # 256 bit
        await login(client)
        assert client.cookies[COOKIE] != first
        old = {"cookie": f"{COOKIE}={first}"}
        async with site.page() as other:  # signing in again has ended the session it replaced
            assert (await other.get("/api/me", headers=old)).status_code == 401


async def test_a_key_from_outside_never_becomes_a_session(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        site.add_user("Ann", "viewer")
        planted = "planted-by-somebody-else-000000000000000000"
        async with site.page() as client:
            client.cookies.set(COOKIE, planted, domain="127.0.0.1")
            answer = await login(client)
            assert planted not in answer.headers["set-cookie"]
            async with site.page() as other:
                found = await other.get("/api/me", headers={"cookie": f"{COOKIE}={planted}"})
                assert found.status_code == 401


async def test_two_keys_at_once_are_none(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, site.signed_in("Ann", "viewer") as client:
        key = client.cookies[COOKIE]
        async with site.page() as other:
            lines = [("cookie", f"{COOKIE}={key}"), ("cookie", f"{COOKIE}=other")]
            assert (await other.get("/api/me", headers=lines)).status_code == 401


async def test_a_session_ends_after_hours_of_silence(tmp_path: Path) -> None:
    hand = Hand()
    async with open_site(tmp_path, now_s=hand) as site, site.signed_in("Ann", "viewer") as client:
        for _ in range(3):
            hand.now += IDLE_S - 1
            assert (await client.get("/api/me")).status_code == 200  # each use begins anew
        hand.now += IDLE_S
        assert (await client.get("/api/me")).status_code == 401
        hand.now -= IDLE_S
        assert (await client.get("/api/me")).status_code == 401  # and it stays over


async def test_removing_a_user_or_changing_a_password_ends_sessions_at_once(tmp_path: Path) -> None:
    async with (
        open_site(tmp_path) as site,
        site.signed_in("Ann", "viewer") as ann,
        site.signed_in("Bo", "viewer") as bo,
    ):
        site.add_user("Ann", "viewer", "another good password")
        assert (await ann.get("/api/me")).status_code == 401
        assert (await bo.get("/api/me")).status_code == 200
        assert (await login(ann)).status_code == 401
        assert (await login(ann, password="another good password")).status_code == 200
        site.remove_user("Bo")
        assert (await bo.get("/api/me")).status_code == 401
        assert (await login(bo, "Bo")).status_code == 401


async def test_another_role_counts_from_the_next_request(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, site.signed_in("Ann", "viewer") as client:
        assert (await client.get("/api/acts")).status_code == 403
        with changing(site.gateway.directory.path) as users:
            users["Ann"] = users["Ann"].model_copy(update={"role": "auditor"})
        assert (await client.get("/api/acts")).status_code == 200


async def test_changed_users_are_an_act_also_over_a_restart(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        site.add_user("Ann", "viewer")
        await until(lambda: site.gateway.log.reader.query("SELECT 1 FROM acts WHERE what = 'users'"), what="the act")
    async with open_site(tmp_path) as site:
        assert len(site.gateway.log.reader.query("SELECT 1 FROM acts")) == 1  # nothing new to tell
        data = site.gateway.directory.path
    with changing(data) as users:
        users["Ann"] = users["Ann"].model_copy(update={"role": "engineer"})
    async with open_site(tmp_path) as site:
        await until(lambda: len(site.gateway.log.reader.query("SELECT 1 FROM acts")) == 2, what="the second act")
        about = [orjson.loads(row[0]) for row in site.gateway.log.reader.query("SELECT about FROM acts ORDER BY id")]
        assert about[0]["changes"] == [{"user": "Ann", "change": "added", "role": "viewer"}]
        assert about[1]["found"] == [{"user": "Ann", "role": "engineer"}]


async def test_a_wrong_password_and_an_unknown_user_are_answered_alike(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, site.page() as client:
        site.add_user("Ann", "viewer")
        wrong = await login(client, "Ann", "wrong password 1")
        unknown = await login(client, "Eve", "wrong password 1")
        assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)
        assert "set-cookie" not in (*wrong.headers, *unknown.headers)
        assert not NOBODY.knows(PASSWORD)
        said = [row for row in await acts(site) if row[2] == "refused"]
        assert said == [("Ann", "viewer", "refused"), ("unknown", "none", "refused")]
        stored = str(site.gateway.log.reader.query("SELECT about FROM acts"))
        assert "Eve" not in stored
        assert "wrong password" not in stored


async def test_guessing_is_slowed_down_for_one_name_and_for_all(tmp_path: Path) -> None:
    hand = Hand()
    async with open_site(tmp_path, now_s=hand) as site, site.page() as client:
        site.add_user("Ann", "viewer")
        for _ in range(5):
            assert (await login(client, password="wrong password")).status_code == 401
        late = await login(client)  # the right one, too late
        assert (late.status_code, int(late.headers["retry-after"])) == (429, 60)
        hand.now += 60
        assert (await login(client)).status_code == 200
        for number in range(30):
            assert (await login(client, f"made-up-{number}", "wrong password")).status_code == 401
        late = await login(client, "one-more", "wrong password")
        assert (late.status_code, "try again in" in late.json()["error"]) == (429, True)


async def test_a_flood_of_passwords_leaves_the_loop_alone(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, site.page() as client:
        site.add_user("Ann", "viewer")
        flood = [asyncio.create_task(login(client, f"made-up-{n}", "wrong password")) for n in range(40)]
        answers = await asyncio.gather(*flood)
        codes = [answer.status_code for answer in answers]
        assert set(codes) == {401, 429}
        assert codes.count(401) <= 30
        assert (await login(client)).status_code in (200, 429)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"user": "Ann"}, "password: needs 'password:'"),
        ({"user": "Ann", "password": PASSWORD, "admin": True}, "admin: unknown key"),
        ({"user": 5, "password": PASSWORD}, "user: must be text"),
        ({"user": "Ann", "password": "x" * 1_001}, "password"),
        ([], "must be"),
        ({"user": "Ann", "password": "x" * 70_000}, "larger than 64 KiB"),
    ],
)
async def test_what_cannot_be_meant_is_a_sentence(tmp_path: Path, body: object, sentence: str) -> None:
    async with open_site(tmp_path) as site, site.page() as client:
        site.add_user("Ann", "viewer")
        answer = await client.post("/api/login", json=body)
        assert answer.status_code == 400
        assert sentence in answer.json()["error"]
        assert "xxxx" not in answer.text
        assert PASSWORD not in answer.text


async def test_with_users_the_token_is_an_engineer_and_a_wrong_one_nobody(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-token")
    api = Api(port=free_port(), token=Secret(file=tmp_path / "token"))
    async with open_site(tmp_path, api) as site:
        right, wrong = {"authorization": "Bearer secret-token"}, {"authorization": "Bearer secret-tokem"}
        assert (await site.client.get("/api/me", headers=right)).json()["role"] == "local"
        assert (await site.client.get("/api/me")).json()["users"] is False
        site.add_user("Ann", "viewer")
        me = (await site.client.get("/api/me", headers=right)).json()
        assert (me["user"], me["role"], me["users"]) == ("token", "engineer", True)
        assert (await site.client.get("/api/me")).status_code == 401
        async with site.signed_in("Bo", "auditor") as bo:
            assert (await bo.get("/api/me")).json()["user"] == "Bo"
            assert (await bo.get("/api/me", headers=wrong)).status_code == 401  # a wrong word is not overheard
        assert ("unknown", "none", "refused") in await acts(site)


async def test_documents_are_entered_and_approved_in_ones_own_name_only(tmp_path: Path) -> None:
    row = {"kind": "delivery", "asset": "pump", "carrier": "diesel", "from": "2025-03-01", "to": "2025-03-31",
           "quantity": 3.1, "unit": "t"}  # fmt: skip
    async with (
        open_site(tmp_path) as site,
        site.signed_in("Ann", "engineer") as ann,
        site.signed_in("Bo", "approver") as bo,
    ):
        for body in ({"by": "Bo"}, {"by": "Ann", "approved_by": "Bo"}, {"approved_by": "Ann"}):
            assert (await ann.post("/api/documents", json={"rows": [row]} | body)).status_code == 400, body
        entered = await ann.post("/api/documents", json={"rows": [row]})
        assert (entered.status_code, entered.json()["state"]) == (201, "pending")
        number = entered.json()["documents"]
        other = await bo.post("/api/documents/approve", json={"documents": number, "by": "Cy"})
        assert (other.status_code, "signed in as Bo" in other.json()["error"]) == (400, True)
        assert (await ann.post("/api/documents/approve", json={"documents": number})).status_code == 403
        assert (await bo.post("/api/documents/approve", json={"documents": number})).status_code == 201
        (shown,) = (await bo.get("/api/documents")).json()["documents"]
        assert (shown["by"], shown["approved_by"]) == ("Ann", "Bo")
        done = [row for row in await acts(site) if row[2] in ("enter", "approve")]
        assert done == [("Ann", "engineer", "enter"), ("Bo", "approver", "approve")]


@given(st.lists(st.floats(0, 100), max_size=60), st.integers(1, 6), st.floats(0.5, 50))
def test_a_limit_never_lets_more_through_than_it_says(pauses: list[float], burst: int, each_s: float) -> None:
    hand, passed = Hand(0.0), list[float]()
    limit = Limit(burst, each_s, hand)
    for pause in pauses:
        hand.now += pause
        if limit.wait_s() == 0:
            limit.take()
            passed.append(hand.now)
        else:
            hand.now += limit.wait_s()  # as long as it says, then one more is free
            assert limit.wait_s() == pytest.approx(0, abs=1e-6)
    for i, begin in enumerate(passed):
        for j in range(i, len(passed)):
            assert j - i + 1 <= burst + (passed[j] - begin) / each_s + 1e-6
