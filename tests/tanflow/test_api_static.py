"""The page's files over real HTTP: every one of its folder, in both forms, and nothing else."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import pytest

from config.words import LANGUAGES, words
from tanflow.web.static_files import TYPES, StaticFile, static_files
from tests.tanflow.web import Site, open_site

FOLDER = Path(str(resources.files("tanflow.web"))) / "static"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as opened:
        yield opened


async def test_every_file_is_served_as_it_is_plain_and_packed(site: Site) -> None:
    for path, file in static_files().items():
        plain = await site.client.get(path, headers={"accept-encoding": "identity"})
        packed = await site.client.get(path, headers={"accept-encoding": "gzip, br"})
        assert (plain.status_code, plain.headers["content-type"]) == (200, file.kind), path
        assert plain.content == packed.content == file.plain
        assert "content-encoding" not in plain.headers
        assert packed.headers.get("content-encoding", "") == ("gzip" if file.packed else "")
        assert int(packed.headers["content-length"]) == len(file.packed or file.plain)
        assert plain.headers["vary"] == packed.headers["vary"] == "accept-encoding"
        assert plain.headers["cache-control"] == "no-cache"  # kept, and asked about each time
        if file.packed:
            assert plain.headers["etag"] != packed.headers["etag"]  # two forms, RFC 9110 §8.8.3.3


async def test_who_has_a_file_is_not_sent_it_again(site: Site) -> None:
    tag = (await site.client.get("/")).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await site.client.get("/", headers={"if-none-match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag), known
    for other in ('"other"', "", tag.strip('"')):
        assert (await site.client.get("/", headers={"if-none-match": other})).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("*", True), ("br, gzip;q=0.5", True), ("GZIP", True), ("", False), ("br", False),
     ("gzip;q=0", False), ("*;q=0", False), ("gzip;q=no", False), ("identity, *;q=0.0", False)],
)  # fmt: skip
async def test_gzip_is_sent_to_who_takes_it(site: Site, accepted: str, packed: bool) -> None:
    answer = await site.client.get("/words/en.json", headers={"accept-encoding": accepted})
    assert ("content-encoding" in answer.headers) == packed


@pytest.mark.parametrize(
    "path",
    ["/../server.py", "/..%2fserver.py", "/%2e%2e/server.py", "/words/../server.py", "/words/..%2f..%2fmodel.py",
     "/words/", "/words", "/words/de.json", "/words/en.json/", "/words/EN.json", "//", "/index.html", "/static/",
     "/words/en.json%00", "/words\\en.json", "/.", "/words/__init__.py", "/app.py"],
)  # fmt: skip
async def test_a_path_that_is_no_name_of_a_file_finds_nothing(site: Site, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)  # a client would tidy the path up
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert (await reader.read()).startswith(b"HTTP/1.1 404 ")
    writer.close()


async def test_the_catalogues_are_served(site: Site) -> None:
    for language in LANGUAGES:
        assert (await site.client.get(f"/words/{language}.json")).json() == words(language)


def test_the_table_is_made_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "js" / "deep").mkdir(parents=True)
    (tmp_path / "__pycache__").mkdir()
    wanted = {"index.html": "/", "js/app.js": "/js/app.js", "js/deep/x.css": "/js/deep/x.css", "LICENSE": "/LICENSE"}
    for name in (*wanted, ".hidden.js", "app.py", "page.html~", "__pycache__/x.js"):
        (tmp_path / name).write_text(name * 50)
    table = static_files(tmp_path)
    assert {path: table[path].plain for path in wanted.values()} == {
        path: (name * 50).encode() for name, path in wanted.items()
    }
    assert not [path for path in table if "hidden" in path or path.endswith((".py", "~", "/x.js"))]
    file = table["/js/app.js"]
    assert file.kind == "text/javascript; charset=utf-8"
    assert gzip.decompress(file.packed) == file.plain


def test_a_file_that_gets_no_smaller_is_kept_plain() -> None:
    assert StaticFile.of("a.txt", b"abc").packed == b""
    assert StaticFile.of("a.png", b"a" * 1_000).packed == b""


def test_every_file_of_the_folder_has_a_type() -> None:
    files = [f for f in FOLDER.rglob("*") if f.is_file()]
    assert [f for f in files if f.suffix[1:] not in TYPES] == []
