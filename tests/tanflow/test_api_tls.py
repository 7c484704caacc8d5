"""HTTPS over real sockets: what is let in, by which versions, and a certificate that is renewed or wrong."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import uvloop
from pydantic import ValidationError
from typer.testing import CliRunner

from config.errors import GatewayError, Unavailable
from config.model import Api, ServerTls
from config.strict import Secret
from tanflow.cli import app
from tanflow.web import server, tls
from tanflow.web.access.sessions import COOKIE
from tanflow.web.self_signed import CERTIFICATE, KEY, make
from tests.services.ports import free_port
from tests.tanflow.web import open_site
from tests.waiting import DEADLINE_S, until

TOKEN = "a-token-of-this-test-alone"


def pair(folder: Path, *names: str) -> ServerTls:
    make(folder, names or ("gateway.plant",))
    return ServerTls(certificate=folder / CERTIFICATE, key=folder / KEY)


def open_to_all(folder: Path) -> Api:
    """Return an API on every address of the machine, with all it asks for."""
    token = folder / "token"
    token.write_text(TOKEN)
    return Api(host="0.0.0.0", port=free_port(), token=Secret(file=token), tls=pair(folder / "tls"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gateway.example", "127.0.0.2"])
def test_elsewhere_than_loopback_a_token_and_tls_are_asked_for(host: str, tmp_path: Path) -> None:
    token, both = Secret(env="T"), ServerTls(certificate=tmp_path, key=tmp_path)
    for given, missing in (({}, "token: .*and tls:"), ({"token": token}, "add tls:"), ({"tls": both}, "add token:")):
        with pytest.raises(ValidationError, match=missing):
            Api.model_validate({"host": host, **given})
    assert not Api(host=host, token=token, tls=both).loopback


async def test_elsewhere_it_speaks_https_to_any_host_name_and_asks_for_the_token(tmp_path: Path) -> None:
    async with open_site(tmp_path, open_to_all(tmp_path), token=TOKEN) as site:
        for host, strict in (("gateway.plant", True), ("127.0.0.1", False), ("localhost:8800", False)):
            answer = await site.client.get("/api/health", headers={"host": host})
            assert answer.status_code == 200
            assert ("strict-transport-security" in answer.headers) is strict, host
        assert (await site.client.get("/api/health", headers={"authorization": "Bearer x"})).status_code == 401


async def test_plain_http_gets_no_answer_there(tmp_path: Path) -> None:
    async with (
        open_site(tmp_path, open_to_all(tmp_path), token=TOKEN) as site,
        httpx.AsyncClient(timeout=DEADLINE_S) as plain,
    ):
        with pytest.raises(httpx.TransportError):
            await plain.get(f"http://127.0.0.1:{site.port}/api/health", headers={"authorization": f"Bearer {TOKEN}"})


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_who_never_begins_to_speak_tls_is_counted_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """300 sockets of five addresses that send nothing: 256 are held, and their places given back when they go."""
    monkeypatch.setattr(server, "_HEAD_S", 3_600.0)
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(held_in_silence(tmp_path))
        monkeypatch.setattr(server, "_HEAD_S", 0.2)
        again = tmp_path / "again"
        again.mkdir()
        runner.run(let_go_of_the_silent(again))


async def held_in_silence(folder: Path) -> None:
    api = open_to_all(folder)
    async with open_site(folder, api, token=TOKEN) as site:
        await site.client.aclose()
        silent = [
            await asyncio.open_connection("127.0.0.1", api.port, local_addr=(f"127.0.0.{2 + n % 5}", 0))
            for n in range(300)
        ]

        def lost() -> int:
            return sum(reader.at_eof() or reader.exception() is not None for reader, _ in silent)

        await until(lambda: lost() >= 44, what="those beyond 256 are closed")
        assert lost() == 44
        trusted = ssl.create_default_context(cafile=api.tls.certificate if api.tls else None)
        with pytest.raises(OSError):
            await handshake(api.port, trusted)
        for _, writer in silent:
            writer.close()
        async with asyncio.timeout(300):
            while True:
                with contextlib.suppress(OSError):  # the gateway has not seen them go yet
                    assert (await handshake(api.port, trusted))[0] == "TLSv1.3"
                    break
            last, writer = await asyncio.open_connection("127.0.0.1", api.port)
    async with asyncio.timeout(300):
        with contextlib.suppress(ConnectionResetError):
            assert await last.read() == b""  # the gateway ends at once
    writer.close()


async def let_go_of_the_silent(folder: Path) -> None:
    api = open_to_all(folder)
    async with open_site(folder, api, token=TOKEN), asyncio.timeout(300):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


async def handshake(port: int, trusted: ssl.SSLContext) -> tuple[str | None, str]:
    """Return version and cipher a client agrees on."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted)
    spoken: ssl.SSLObject = writer.get_extra_info("ssl_object")
    version, cipher = spoken.version(), spoken.cipher()
    writer.close()
    assert cipher is not None
    return version, cipher[0]


async def test_only_versions_and_ciphers_of_today_are_spoken(tmp_path: Path) -> None:
    api = open_to_all(tmp_path)
    async with open_site(tmp_path, api, token=TOKEN):
        assert api.tls is not None
        newest = ssl.create_default_context(cafile=api.tls.certificate)
        assert (await handshake(api.port, newest))[0] == "TLSv1.3"
        older = ssl.create_default_context(cafile=api.tls.certificate)
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        version, cipher = await handshake(api.port, older)
        assert version == "TLSv1.2"
        assert cipher.startswith("ECDHE")
        for ciphers in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"):  # no forward secrecy; no AEAD
            older.set_ciphers(ciphers)
            with pytest.raises((ssl.SSLError, OSError)):
                await handshake(api.port, older)
        oldest = ssl.create_default_context(cafile=api.tls.certificate)
        oldest.set_ciphers("ALL:@SECLEVEL=0")
        oldest.minimum_version = ssl.TLSVersion.TLSv1
        oldest.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, OSError)):
            await handshake(api.port, oldest)


async def test_a_session_is_kept_for_tls_only_and_another_origin_is_refused(tmp_path: Path) -> None:
    async with (
        open_site(tmp_path, open_to_all(tmp_path), token=TOKEN) as site,
        site.signed_in("Ann", "operator") as client,
    ):
        (cookie,) = [one for one in client.cookies.jar if one.name == COOKIE]
        assert cookie.secure
        assert (await client.get("/api/me")).json()["user"] == "Ann"
        plain = site.origin.replace("https", "http")
        answer = await client.post("/api/logout", json={}, headers={"origin": plain})
        assert answer.status_code == 403


async def test_a_renewed_certificate_is_taken_over_and_a_broken_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls.renew, "__defaults__", (0.02,))
    caplog.set_level(logging.INFO, "tanflow.api")
    api = open_to_all(tmp_path)
    used = ServerTls.model_validate(api.tls.model_dump() if api.tls else {})
    async with open_site(tmp_path, api, token=TOKEN) as site:
        first = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", site.port))
        make(tmp_path / "new", ("gateway.plant",))
        os.replace(tmp_path / "new" / CERTIFICATE, used.certificate)
        await until(lambda: f"{used.key} is not the key of" in caplog.text, what="a pair that does not fit")
        assert await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", site.port)) == first
        os.replace(tmp_path / "new" / KEY, used.key)
        await until(lambda: "is in use" in caplog.text, what="the renewed pair")
        now = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", site.port))
        assert now.strip() == used.certificate.read_text().strip()


async def test_who_never_ends_a_handshake_loses_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HEAD_S", 0.3)
    api = open_to_all(tmp_path)
    async with open_site(tmp_path, api, token=TOKEN):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        async with asyncio.timeout(300):
            assert await reader.read() == b""
        writer.close()


async def test_a_pair_that_cannot_be_used_keeps_the_api_closed_and_says_why(tmp_path: Path) -> None:
    good, other = pair(tmp_path / "good"), pair(tmp_path / "other")
    cases = {
        "is not the key of": ServerTls(certificate=good.certificate, key=other.key),
        "no PEM certificate with its PEM key": ServerTls(certificate=good.key, key=good.key),
        "cannot be read: No such file": ServerTls(certificate=good.certificate, key=tmp_path / "missing"),
    }
    async with open_site(tmp_path) as site:
        for words, wrong in cases.items():
            with pytest.raises(Unavailable, match=f"stays closed: .*{words}"):
                await server.serve(site.gateway, Api(port=0, tls=wrong))


def test_a_key_behind_a_password_is_not_asked_for_at_a_terminal(tmp_path: Path) -> None:
    good = pair(tmp_path)
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(good.key.read_bytes(), None)
    form = serialization.BestAvailableEncryption(b"password")
    good.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form))
    with pytest.raises(GatewayError, match="without a password"):
        tls.context(good)


def test_the_command_makes_a_pair_once_and_keeps_its_key_closed(tmp_path: Path) -> None:
    command = ["certs", "server", "gateway.plant.example", "10.0.0.5", "--out", str(tmp_path / "tls")]
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.output
    assert "api: {…, tls: {certificate: " in made.output
    assert (tmp_path / "tls" / KEY).stat().st_mode & 0o777 == 0o600
    tls.context(ServerTls(certificate=tmp_path / "tls" / CERTIFICATE, key=tmp_path / "tls" / KEY))
    again = CliRunner().invoke(app, command)
    assert isinstance(again.exception, GatewayError)
    assert "is there already" in str(again.exception)
    shutil.rmtree(tmp_path / "tls")
    wrong = CliRunner().invoke(app, ["certs", "server", "no name", "--out", str(tmp_path / "tls")])
    assert "is no host name and no IP address" in str(wrong.exception)
