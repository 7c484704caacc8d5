"""The file of users: for nobody else to read, read anew when it is another; names and passwords that will do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.errors import GatewayError, Unavailable
from config.model import Api
from tanflow.web.access.users import (
    FILE,
    NOBODY,
    User,
    Users,
    changes,
    changing,
    check_name,
    check_password,
    digest,
    read,
)
from tanflow.web.server import serve
from tests.tanflow.web import PASSWORD, open_site


async def test_users_that_cannot_be_read_keep_the_api_closed(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        path = site.gateway.directory.path / FILE
        path.write_text("{}")
        path.chmod(0o644)
        with pytest.raises(Unavailable, match=r"stays closed: .*users\.json may be read by others; chmod 600"):
            await serve(site.gateway, Api(port=0))
        path.chmod(0o600)
        for broken in ("{", '{"version": 2}', '{"users": {"Ann": {"role": "king", "salt": "", "hash": ""}}}'):
            path.write_text(broken)
            with pytest.raises(Unavailable, match="cannot be understood; put a sound copy back"):
                await serve(site.gateway, Api(port=0))


async def test_a_file_that_is_lost_or_broken_opens_nothing(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, site.signed_in("Ann", "viewer") as client:
        path = site.gateway.directory.path / FILE
        content = path.read_bytes()
        path.write_bytes(b"{")
        assert (await client.get("/api/me")).status_code == 200
        path.unlink()
        assert (await client.get("/api/me")).status_code == 200
        assert (await site.client.get("/api/me")).status_code == 401
        path.write_bytes(content)
        path.chmod(0o600)
        assert (await client.get("/api/me")).status_code == 200


def test_the_file_is_private_and_written_whole(tmp_path: Path) -> None:
    with changing(tmp_path) as users:
        users["Ann"] = User.of("viewer", PASSWORD)
    before = (tmp_path / FILE).stat()
    assert before.st_mode & 0o777 == 0o600
    assert PASSWORD not in (tmp_path / FILE).read_text()
    with pytest.raises(ZeroDivisionError), changing(tmp_path) as users:
        users["Ann"] = users.pop("Ann") if 1 / 0 else NOBODY
    assert list(read(tmp_path / FILE)) == ["Ann"]
    with changing(tmp_path) as users:
        users["Bo"] = User.of("viewer", PASSWORD)
    assert (tmp_path / FILE).stat().st_ino != before.st_ino  # another file in its place, never a half one
    assert sorted(os.listdir(tmp_path)) == [FILE]
    assert users["Ann"].hash != users["Bo"].hash  # a salt each


def test_passwords_are_known_however_they_were_typed() -> None:
    user = User.of("viewer", "Ärger im Büro ｘ")
    assert user.knows("Ärger im Büro x")  # decomposed, and narrow
    assert not user.knows("ärger im büro x")


def test_what_differs_between_two_states_is_told() -> None:
    ann, bo = User.of("viewer", PASSWORD), User.of("viewer", PASSWORD)
    after = {"Ann": ann.model_copy(update={"role": "auditor"}), "Cy": bo}
    assert changes({"Ann": ann, "Bo": bo}, after) == [
        {"user": "Bo", "change": "removed"},
        {"user": "Ann", "change": "role", "role": "auditor"},
        {"user": "Cy", "change": "added", "role": "viewer"},
    ]
    assert changes({"Ann": ann}, {"Ann": bo}) == [{"user": "Ann", "change": "password"}]
    assert digest({"Ann": ann}) != digest({"Ann": bo}) != digest({})


@pytest.mark.parametrize("name", ["", " Ann", "x" * 65, "a\nb", "local", "TOKEN", "ＡＮＮ", "an n"])
def test_names_that_would_be_mistaken_are_refused(name: str) -> None:
    with pytest.raises(GatewayError):
        check_name(name, {"Ann": NOBODY})


def test_names_of_any_script_will_do() -> None:
    for name in ("王伟", "Zoë", "ann.lee@plant", "Li Wei"):
        check_name(name, {"Ann": NOBODY})


@pytest.mark.parametrize("password", ["", "short", "x" * 257, "aaaaaaaaaaaa", "ababababababab", "Ann Lee Longname"])
def test_passwords_easy_to_guess_are_refused(password: str) -> None:
    with pytest.raises(GatewayError) as told:
        check_password("ann lee longname", password)
    assert not password or password not in str(told.value)


def test_users_are_read_anew_only_when_the_file_is_another(tmp_path: Path) -> None:
    users = Users.open(tmp_path)
    assert users.current() == {}
    with changing(tmp_path) as known:
        known["Ann"] = NOBODY
    first = users.current()
    assert list(first) == ["Ann"]
    assert users.current() is first
