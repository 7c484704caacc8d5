"""The page's folder and the catalogues of words → one table of path → file, read, hashed and packed once at start."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.words import LANGUAGES

_TEXT: Final = "text/plain; charset=utf-8"
TYPES: Final = {
    "": _TEXT,  # LICENSE, NOTICE
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": _TEXT,
    "woff2": "font/woff2",
}
_INDEX: Final = "index.html"
_PACKED_ALREADY: Final = ("png", "woff2")


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is sent: gzip where that is smaller, else as it is; the tag is of its content."""

    kind: str
    packed: bytes
    alone: bytes  # its content where there is no `packed`
    tag: str

    @classmethod
    def of(cls, name: str, content: bytes) -> StaticFile:
        """Return the file of this name; raises KeyError for a type the page does not use."""
        suffix = _suffix(name)
        packed = b"" if suffix in _PACKED_ALREADY else gzip.compress(content, mtime=0)
        tag = hashlib.sha256(content).hexdigest()[:32]
        if not 0 < len(packed) < len(content):
            return cls(TYPES[suffix], b"", content, tag)
        return cls(TYPES[suffix], packed, b"", tag)

    @property
    def plain(self) -> bytes:
        """Return its content; hardly a browser asks for that."""
        return gzip.decompress(self.packed) if self.packed else self.alone

    async def answer(self, request: Request) -> Response:
        """Return the file, or 304 to someone who has it."""
        packed = self.packed if _takes_gzip(request.headers.get("accept-encoding", "")) else b""
        tag = f'"{self.tag}-gzip"' if packed else f'"{self.tag}"'
        headers = {"etag": tag, "vary": "accept-encoding"}
        if self._known(request.headers.getlist("if-none-match")):
            return Response(status_code=304, headers=headers)
        if packed:
            headers["content-encoding"] = "gzip"
        return Response(packed or self.plain, headers=headers | {"content-type": self.kind})

    def _known(self, given: list[str]) -> bool:
        """Compare weakly, as RFC 9110 §13.1.2 says; a client may have either form."""
        tags = {tag.strip().removeprefix("W/") for line in given for tag in line.split(",")}
        return not tags.isdisjoint({"*", f'"{self.tag}"', f'"{self.tag}-gzip"'})


def static_files(folder: Traversable | None = None) -> dict[str, StaticFile]:
    """Return every file the page is made of by its path; what is not in here is not there, whatever a path says."""
    table = {f"/words/{language}.json": _read(resources.files("config.words") / f"{language}.json")
             for language in LANGUAGES}  # fmt: skip
    for path, file in _in(folder or resources.files("tanflow.web") / "static", ""):
        table["/" if path == f"/{_INDEX}" else path] = _read(file)
    return table


def routes(files: dict[str, StaticFile]) -> list[Route]:
    """Return one route for each file."""
    return [Route(path, file.answer) for path, file in files.items()]


def _in(folder: Traversable, above: str) -> Iterator[tuple[str, Traversable]]:
    """Yield the files of a folder and all below it; hidden ones and those of unknown type are no part of the page."""
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        path = f"{above}/{entry.name}"
        if entry.name.startswith((".", "__")):
            continue
        if entry.is_dir():
            yield from _in(entry, path)
        elif _suffix(entry.name) in TYPES:
            yield path, entry


def _read(file: Traversable) -> StaticFile:
    return StaticFile.of(file.name, file.read_bytes())


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def _takes_gzip(accepted: str) -> bool:
    """Return whether Accept-Encoding allows gzip: named, or `*`, and not with q=0 (RFC 9110 §12.5.3)."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        try:
            weights[name.strip()] = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            weights[name.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0
