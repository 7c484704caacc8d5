"""Certificates the configuration names or the gateway keeps that have ended or end soon; secrets all may read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config.secret_checks import doubt_secrets
from tanflow.doctor.visit import Finding, Visit


def secrets(visit: Visit) -> Iterator[Finding]:
    """Yield files of secrets and private keys that every user may read."""
    for loc, words in doubt_secrets(visit.config):
        yield Finding(".".join(map(str, loc)), words, "whoever has read it may use it: it is not secret any more")


def certificates(visit: Visit) -> Iterator[Finding]:
    """Yield certificates near or past their end; those that cannot be read."""
    named = dict(_named(visit.config.api, "page"))
    for name, connection in visit.config.connections.items():
        named |= dict(_named(connection, f"connection {name}"))
    kept = {
        path: "certificates"
        for folder in ("own", "trusted", "issuers")
        for path in sorted((visit.folder / "certs" / folder).glob("*"))
        if path.suffix in (".der", ".pem", ".crt") and "key" not in path.name
    }
    if not named and not kept:
        return
    from collectors.opcua_certificates import read
    from collectors.opcua_trust import ends_soon
    from config.errors import GatewayError

    now = datetime.fromtimestamp(visit.now_ns / 1e9, UTC)
    for path, about in (named | kept).items():
        try:
            one = read(path)
        except (GatewayError, OSError) as error:
            yield Finding(
                about, f"certificate {path} cannot be read: {error}", "put it there, readable for the gateway"
            )
            continue
        if one.not_valid_after_utc < now:
            words = f"certificate {path} has ended on {one.not_valid_after_utc:%Y-%m-%d}"
            since_ns = int(one.not_valid_after_utc.timestamp()) * 1_000_000_000
            yield Finding(about, words, _renew(path), since_ns)
        elif words := ends_soon(one, now):
            yield Finding(about, f"certificate {path} {words}", _renew(path))


def _named(block: Any, about: str) -> Iterator[tuple[Path, str]]:
    """Yield the certificate files of a block of the configuration, however deep."""
    if block is None:
        return
    for name in type(block).model_fields:
        value = getattr(block, name)
        if isinstance(value, Path) and name in ("certificate", "ca", "server_certificate"):
            yield value, about
        elif hasattr(type(value), "model_fields"):
            yield from _named(value, about)


def _renew(path: Path) -> str:
    return "tanflow certs renew" if path.parent.name == "own" else "have it renewed by whoever issued it"
