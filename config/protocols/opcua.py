"""What the user writes of OPC UA: connections to servers, nodes of points."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from config.strict import Period, Seconds, Secret, Strict


class OpcuaPoint(Strict):
    """A variable of an OPC UA server by its NodeId or by its browse path from the Objects folder.

    NodeId: `ns=2;s=Furnace.T1`, better `nsu=urn:maker:plc;s=Furnace.T1`: the number may change when the server starts.
    Path: `Furnace/Power`, a name outside the parent's namespace as `nsu=urn:maker:plc;Furnace`; `\\/` is a slash.
    """

    node: Annotated[str, StringConstraints(pattern=r"^(ns=\d+;|nsu=[^;]+;)?[isgb]=.+$")] | None = None
    path: Annotated[str, StringConstraints(min_length=1, max_length=1_024)] | None = None
    index: tuple[Annotated[int, Field(ge=0)], ...] = ()  # of an element of an array, one number for each dimension
    field: str | None = None  # of a structure, dotted

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.node is None) == (self.path is None):
            raise ValueError("say which variable: exactly one of 'node:' or 'path:'")
        if self.node is not None:
            node_parts(self.node)
        else:
            path_names(self.path or "")
        return self

    def __str__(self) -> str:
        """Say where the value stands, as a person writes it."""
        index = f"[{','.join(map(str, self.index))}]" if self.index else ""
        return f"{self.node or self.path}{index}{'.' + self.field if self.field else ''}"


class NodeParts(NamedTuple):
    """A NodeId as written: its namespace by number or by URI, and what names it there."""

    namespace: int | str
    identifier: int | str | bytes | UUID


class PathName(NamedTuple):
    """One name of a browse path; the namespace is the one before where it is None."""

    namespace: int | str | None
    name: str


def node_parts(text: str) -> NodeParts:
    """Return the parts of a NodeId (OPC UA Part 6, 5.3.1.10). Raises ValueError with a sentence."""
    namespace, rest = _namespace(text)
    kind, _, identifier = rest.partition("=")
    try:
        return NodeParts(0 if namespace is None else namespace, _IDENTIFIERS[kind](identifier))
    except (KeyError, ValueError):
        form = {"i": "a whole number below 4294967296", "g": "a GUID", "b": "base64"}.get(kind, "i, s, g or b")
        raise ValueError(f"'{text}' is no NodeId: after '{kind}=' stands {form}") from None


def path_names(text: str) -> list[PathName]:
    """Return the names of a browse path from the Objects folder. Raises ValueError with a sentence."""
    names, at, whole = [], 0, text.strip("/")
    while at < len(whole):
        match = _NAME.match(whole, at)
        assert match is not None  # it matches nothing at all, too
        namespace, name = _namespace(match[1])
        if not name:
            raise ValueError(f"'{text}' has an empty name; write e.g. Furnace/Power, and \\/ for a slash in a name")
        names.append(PathName(namespace, name.replace("\\/", "/")))
        at = match.end()
    if not names:
        raise ValueError(f"'{text}' names nothing; write e.g. Furnace/Power")
    return names


def _namespace(text: str) -> tuple[int | str | None, str]:
    match = _PREFIX.fullmatch(text)
    if match is None:
        return None, text
    number, uri, rest = match.groups()
    # In a URI, ';' and '%' are written %3B and %25.
    return (int(number) if uri is None else uri.replace("%3B", ";").replace("%25", "%")), rest


def _numeric(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**32:
        raise ValueError(text)
    return int(text)


# One name up to its slash; the slashes of a namespace's URI belong to it, it ends at its semicolon.
_NAME: Final = re.compile(r"((?:nsu=[^;]+;)?(?:\\/|[^/])*+)(?:/|$)")
_PREFIX: Final = re.compile(r"(?:ns=(\d{1,5})|nsu=([^;]+));(.*)", re.DOTALL)
_IDENTIFIERS: Final[dict[str, Callable[[str], int | str | bytes | UUID]]] = {
    "i": _numeric,
    "s": str,
    "g": UUID,
    "b": partial(b64decode, validate=True),
}


class OpcuaSecurity(Strict):
    """How messages are signed and encrypted; without own files a certificate is made under the data directory.

    `accept` names faults of the server's certificate that somebody has looked at and puts up with. They are put up
    with only where this very certificate is trusted (`tanflow certs trust`), not where its issuer is.
    """

    policy: Literal["Basic256Sha256", "Aes128-Sha256-RsaOaep", "Aes256-Sha256-RsaPss"] = "Basic256Sha256"
    message: Literal["sign", "sign_and_encrypt"] = "sign_and_encrypt"
    certificate: Path | None = None
    key: Path | None = None
    accept: tuple[Literal["expired", "host", "uri"], ...] = ()

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("'certificate:' and 'key:' belong together; without both, one is made by itself")
        return self


def _reachable(url: str) -> str:
    """Return a URL that names a host and a port there can be; raises ValueError with a sentence."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must look like opc.tcp://host:4840; ports go from 1 to 65535") from None
    if "@" in parts.netloc:
        raise ValueError("no user or password in the url; use username: and password:")
    if not host:
        raise ValueError("names no host; write e.g. opc.tcp://host:4840")
    if not port:
        raise ValueError(f"names no port; the usual one is 4840, so opc.tcp://{parts.netloc.rstrip(':')}:4840")
    return url


class OpcuaConnection(Strict):
    """One OPC UA server, by subscription (default) or by polling."""

    protocol: Literal["opcua"]
    url: Annotated[str, StringConstraints(pattern=r"^opc\.tcp://[^\s]+$"), AfterValidator(_reachable)]
    mode: Literal["subscribe", "poll"] = "subscribe"
    every_s: Period = 1.0  # publishing interval, or the poll's period
    sampling_s: Annotated[float, Field(ge=0, le=86_400)] | None = None  # default: every_s
    queue: Annotated[int, Field(ge=1, le=100_000)] = 10
    deadband: Annotated[float, Field(ge=0)] = 0.0  # absolute, in the node's own unit
    stale_s: Seconds = 10.0  # silence after which the client is rebuilt
    timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 4.0
    backoff_max_s: Seconds = 60.0
    security: OpcuaSecurity | None = None  # None: neither signed nor encrypted
    username: str | None = None
    password: Secret | None = None
    user_certificate: Path | None = None  # signs in by certificate instead of by name
    user_key: Path | None = None
    backfill_h: Annotated[float, Field(ge=0, le=8_760)] = 24.0  # the longest outage read back from the server's history
    backfill_max_s: Annotated[float, Field(ge=1, le=3_600)] = 120.0  # how long that may hold back what is told live

    @model_validator(mode="after")
    def _identity(self) -> Self:
        if (self.user_certificate is None) != (self.user_key is None):
            raise ValueError("'user_certificate:' and 'user_key:' belong together")
        if self.user_certificate and self.username is not None:
            raise ValueError("a user signs in by 'username:' or by 'user_certificate:', not by both")
        if self.user_certificate and self.security is None:
            raise ValueError("a user's certificate needs 'security:', or nothing would show that it is theirs")
        if self.password is not None and self.username is None:
            raise ValueError("a password needs 'username:'")
        return self
