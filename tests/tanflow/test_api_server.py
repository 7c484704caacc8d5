"""The API's address, its token, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from config.errors import Rejected, Unavailable
from config.model import Api
from config.strict import Secret
from tanflow.web import body, server
from tanflow.web.account import documents
from tanflow.web.server import serve
from tanflow.web.static_files import static_files
from tests.services.ports import free_port
from tests.tanflow.web import open_site
from tests.waiting import DEADLINE_S, until

TOKEN = "a b-secret/+=ü"


def secret(directory: Path, text: str = TOKEN) -> Secret:
    path = directory / "token"
    path.write_text(text + "\n")
    return Secret(file=path)


async def test_with_a_token_everything_but_the_page_needs_it(tmp_path: Path) -> None:
    api = Api(port=free_port(), token=secret(tmp_path))
    async with open_site(tmp_path, api) as site:
        for path in static_files():
            assert (await site.client.get(path)).status_code == 200
        right = f"Bearer {TOKEN}".encode()
        for path in ("/api/health", "/api/series", "/api/latest", "/api/query?series=x", "/metrics", "/nothing"):
            answer = await site.client.get(path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert "Bearer" in answer.json()["error"]
            assert (await site.client.get(path, headers={b"authorization": right})).status_code in (200, 400, 404)


@pytest.mark.parametrize(
    "wrong", ["", "Bearer", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ÿ"]
)
async def test_a_wrong_token_is_refused(tmp_path: Path, wrong: str) -> None:
    api = Api(port=free_port(), token=secret(tmp_path))
    async with open_site(tmp_path, api) as site:
        answer = await site.client.get("/api/health", headers={b"authorization": wrong.encode()})
        assert answer.status_code == 401
        assert TOKEN not in answer.text
        twice = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"authorization", b"Bearer x")]
        assert (await site.client.get("/api/health", headers=twice)).status_code == 401


async def test_a_token_that_cannot_be_read_keeps_the_api_closed(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        with pytest.raises(Unavailable, match=r"stays closed: secret file .* cannot be read"):
            await serve(site.gateway, Api(port=0, token=Secret(file=tmp_path / "missing")))


async def test_a_taken_port_is_told_with_the_way_out(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        with pytest.raises(Unavailable, match=f"port {site.port} is taken by another program; choose another"):
            await serve(site.gateway, Api(port=site.port))


async def test_port_0_takes_a_free_one_and_says_it_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tanflow.api")
    async with open_site(tmp_path) as site:
        caplog.clear()
        serving = asyncio.create_task(serve(site.gateway, Api(port=0)))
        await until(lambda: caplog.messages)
        (told,) = caplog.messages
        async with httpx.AsyncClient(timeout=DEADLINE_S) as client:
            assert (await client.get(told.split()[-1] + "api/health")).status_code == 200
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving


@pytest.mark.parametrize("sent", [b"", b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /api/hea"])
async def test_it_stops_at_once_whatever_its_connections_do(tmp_path: Path, sent: bytes) -> None:
    async with open_site(tmp_path) as site:
        port = free_port()
        serving = asyncio.create_task(serve(site.gateway, Api(port=port)))
        await until(lambda: not _closed(port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        if sent.endswith(b"\r\n\r\n"):
            assert b"200 OK" in await reader.readuntil(b"\r\n")  # answered, and kept open
        serving.cancel()
        async with asyncio.timeout(DEADLINE_S):
            with contextlib.suppress(asyncio.CancelledError):
                await serving
            with contextlib.suppress(ConnectionResetError):
                await reader.read()  # the end of the stream: the gateway has closed it
        writer.close()
        assert serving.cancelled()
        assert _closed(port)


def _closed(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("sent", [b"", b"GET /api/health HTTP/1.1\r\nHost: "])
async def test_who_only_holds_a_connection_loses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Nothing, or half a head: the place is free again; a stream that is being answered keeps its own."""
    monkeypatch.setattr(server, "_HEAD_S", 1.0)
    port = free_port()
    async with open_site(tmp_path, Api(port=port)):
        streaming, stream = await asyncio.open_connection("127.0.0.1", port)
        stream.write(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        held, holder = await asyncio.open_connection("127.0.0.1", port)
        holder.write(sent)
        async with asyncio.timeout(DEADLINE_S):
            assert await held.read() == b""
            await asyncio.sleep(0.5)
            assert b"200 OK" in await streaming.read(100)
        assert not streaming.at_eof()
        for writer in (stream, holder):
            writer.close()


async def test_connections_are_bounded_by_address_and_in_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opens more than 64 loses those beyond, others are heard; beyond 256 nobody is, until some are closed."""
    monkeypatch.setattr(server, "_HEAD_S", 3_600.0)
    port, places = free_port(), [f"127.0.0.{n}" for n in range(2, 7)]
    held: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def hold(place: str, count: int) -> None:
        held.extend([await asyncio.open_connection("127.0.0.1", port, local_addr=(place, 0)) for _ in range(count)])

    def lost() -> int:
        return sum(reader.at_eof() or reader.exception() is not None for reader, _ in held)

    async def heard(place: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(place, 0))
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            writer.write(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return await reader.read(12)
        return b""

    async with open_site(tmp_path, Api(port=port)):
        await hold(places[0], 70)
        await until(lambda: lost() == 6, what="those beyond 64 of one address are closed")
        assert await heard(places[0]) == b""
        assert await heard(places[1]) == b"HTTP/1.1 200"
        for place, count in zip(places[1:], (64, 64, 64, 20), strict=True):
            await hold(place, count)
        await until(lambda: lost() >= 26, what="those beyond 256 are closed")
        assert lost() <= 27  # the test's own client may hold one of them
        assert await heard("127.0.0.1") == b""
        for _, writer in held:
            writer.close()
        async with asyncio.timeout(DEADLINE_S):
            while await heard(places[0]) != b"HTTP/1.1 200":
                pass  # the gateway has not seen them go yet


@pytest.mark.parametrize("path", ["/api/login", "/api/documents"])
async def test_a_body_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(body, "_SAID_S", 0.2)
    port = free_port()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    async with open_site(tmp_path, Api(port=port)):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode())
        async with asyncio.timeout(DEADLINE_S):
            assert b"400 Bad Request" in await reader.read(100)
        writer.close()


async def test_a_body_that_is_broken_off_is_no_defect(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A browser that is closed during an upload put forty lines into the log."""
    port = free_port()
    head = "POST /api/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 9\r\n\r\nab"
    ended: list[BaseException | None] = []
    read = body.content

    async def watched(request: Request, most: int) -> bytes:
        try:
            return await read(request, most)
        except BaseException as error:
            ended.append(error)
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "content", watched)
        async with open_site(tmp_path, Api(port=port)):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode())
            writer.close()
            await until(lambda: ended)
    assert isinstance(ended[0], Rejected)
    assert "Exception" not in caplog.text


async def test_signals_stay_the_gateways(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with open_site(tmp_path) as site:
        await site.client.get("/api/health")
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
