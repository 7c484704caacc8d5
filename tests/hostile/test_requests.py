"""Requests made against the API: paths, heads and bodies that reach nothing; the API goes on answering."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import logging
from pathlib import Path

import pytest

from tanflow.log_lines import Lines, Text
from tests.hostile.cost import measured
from tests.tanflow.web import Site, open_site

MIB = 1 << 20
PATHS = (
    "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "//etc/passwd",
    "/js/../../server.py",
    "/js/%2e%2e/%2e%2e/server.py", "/%00", "/index.html%00.png", "/js/app.js/..", "/..\\..\\etc\\passwd",
    "/%c0%ae%c0%ae/etc/passwd",
    "/api/assets/..%2f..%2fgateway.yaml", "/api/assets/%2e%2e", "/api/assets/%00", "/api/assets/" + "a" * 20_000,
    "/api/documents/../../gateway.yaml", "/documents/0000", "/users.json", "/gateway.yaml", "/.git/config", "file:///etc/passwd",
    "http://elsewhere/etc/passwd", "/%1b%5b31m%0a2026%20ERROR%20forged", "/" + "%2e%2e/" * 3_000,
)  # fmt: skip
HEADS = {
    "a header without end": b"GET /api/health HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 200_000,
    "headers without end": b"GET /api/health HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 50_000,
    "two lengths": b"POST /api/logout HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 40\r\n\r\n{}",
    "length and chunks": b"POST /api/logout HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /api/acts HTTP/1.1\r\nhost: evil\r\n\r\n",
    "two hosts": b"GET /api/health HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n",
    "another host": b"GET /api/health HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    "a NUL": b"GET /api/health HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00" + bytes(range(256)),
    "a length that is none": b"POST /api/logout HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
}


async def spoken(site: Site, sent: bytes) -> bytes:
    """Return all that comes back for some bytes until the other side closes, or 64 kB of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    answer = b""
    with contextlib.suppress(ConnectionError):
        writer.write(sent)
        async with asyncio.timeout(300):
            answer = await reader.read(65_536)
    writer.close()
    return answer


async def test_no_path_leads_out_of_the_page(tmp_path: Path) -> None:
    secret = tmp_path / "users.json"
    async with open_site(tmp_path) as site:
        with contextlib.suppress(FileExistsError):
            secret.symlink_to("/etc/passwd")
        for path in PATHS:
            answer = await spoken(site, f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.split(b" ")[1][:1] == b"4", (path[:80], head[:200])
            assert len(body) < 2_000, path[:80]
            assert b"root:" not in body
            assert b"\x1b" not in answer
        assert (await site.client.get("/api/health")).status_code == 200


@pytest.mark.parametrize("name", list(HEADS))
async def test_a_head_that_means_two_things_is_refused(tmp_path: Path, name: str) -> None:
    async with open_site(tmp_path) as site:
        with measured() as cost:
            answer = await spoken(site, HEADS[name] + b"\r\n\r\n")
        assert not answer or answer.split(b" ")[1][:1] == b"4", answer[:300]
        assert answer.count(b"HTTP/1.1 2") == 0
        assert cost.peak_bytes < 8 * MIB
        assert (await site.client.get("/api/health")).status_code == 200


async def test_bodies_are_read_only_so_far(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        json_type = {"content-type": "application/json"}
        packed = json_type | {"content-encoding": "gzip"}
        bodies = [
            ("/api/silences", b"[" * 60_000, json_type, "not JSON"),
            ("/api/silences", b'{"a":' * 12_000, json_type, "not JSON"),
            ("/api/silences", b"x" * (8 * MIB), json_type, "larger than 64 KiB"),
            ("/api/silences", gzip.compress(b" " * (50 * MIB)), packed, "not JSON"),
            ("/api/silences", b'{"why": "' + b"\\u0000" * 5_000 + b'"}', json_type, "match"),
            ("/api/documents", b"[" * MIB, json_type, "not JSON"),
            ("/api/documents", json.dumps({"rows": [{}] * 10_001}).encode(), json_type, "at most 10,000"),
            ("/api/documents", gzip.compress(b"a\n" * MIB), {"content-type": "text/csv"} | packed, "none"),
            ("/api/documents/approve", b'{"documents": [' + b"1" * 60_000 + b"]}", json_type, "not JSON"),
        ]  # fmt: skip
        for path, body, headers, says in bodies:
            headers = headers | ({"content-type": "text/csv"} if says == "none" else {})
            with measured() as cost:
                answer = await site.client.post(path, content=body, headers=headers)
            assert answer.status_code == 400, (path, body[:20], answer.text)
            if says != "none":
                assert says in answer.json()["error"], (path, answer.text[:300])
            assert len(answer.content) < 100_000
            assert cost.peak_bytes < 80 * MIB


@pytest.mark.parametrize(
    "name", ["\x1b[2J\x1b[31mred", "a\n2026-01-01T00:00:00Z ERROR tanflow: forged", "a\r\x08b", "\u202egnp", "a\u2028b"]
)
def test_no_name_of_a_device_or_topic_forges_a_line(name: str) -> None:
    into = io.StringIO()
    lines = Lines(into)
    lines.setFormatter(Text())
    lines.emit(logging.LogRecord("tanflow", logging.WARNING, "", 0, "%s: %s", (name, "is down"), None))
    assert into.getvalue().count("\n") == 1
    assert into.getvalue()[:-1].isprintable()


@pytest.mark.parametrize(
    "asked",
    [
        "emissions?from=9000-01-01&to=9000-02-01",
        "emissions?from=0001-01-01",
        "cost?month=9999-12",
        "cost?month=0001-01",
        "carbon?year=99999999999",
    ],
)
async def test_days_beyond_all_clocks_are_refused(tmp_path: Path, asked: str) -> None:
    async with open_site(tmp_path) as site:
        assert (await site.client.get(f"/api/{asked}")).status_code == 400


async def test_a_sheet_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        for content in (b"", b"PK\x03\x04" + b"\0" * 40):
            answer = await site.client.post("/api/documents", content=content, headers={"content-type": "text/csv"})
            assert answer.status_code == 400
            assert answer.json()["mistakes"]
