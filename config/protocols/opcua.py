"""What the user writes of OPC UA: connections to servers, nodes of points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from config.strict import Seconds, Secret, Strict


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
        return self


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


class OpcuaConnection(Strict):
    """One OPC UA server, by subscription (default) or by polling."""

    protocol: Literal["opcua"]
    url: Annotated[str, StringConstraints(pattern=r"^opc\.tcp://[^\s]+$")]
    mode: Literal["subscribe", "poll"] = "subscribe"
    every_s: Seconds = 1.0  # publishing interval, or the poll's period
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
