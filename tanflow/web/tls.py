"""A certificate and its key → what the gateway's HTTPS is spoken with; a renewed pair is taken over while it runs."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from config.errors import GatewayError
from config.model import ServerTls

logger = logging.getLogger("tanflow.api")

_LOOK_S: Final = 30.0
# For TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325 §4.2); TLS 1.3 has nothing else.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


def context(tls: ServerTls) -> ssl.SSLContext:
    """Return TLS 1.2 or newer with this certificate; raises GatewayError with the file and what is wrong with it."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(_CIPHERS)
    made.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    _load(made, tls)
    return made


def _load(into: ssl.SSLContext, tls: ServerTls) -> None:
    for file in (tls.certificate, tls.key):
        try:
            file.open("rb").close()
        except OSError as error:
            raise GatewayError(f"{file} cannot be read: {error.strerror or error}") from None
    try:
        # Never ask at a terminal: nobody sits there.
        into.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            words = f"{tls.key} is not the key of {tls.certificate}"
        else:
            words = f"{tls.certificate} and {tls.key} are no PEM certificate with its PEM key without a password"
        raise GatewayError(f"{words}; tanflow certs server makes a pair") from None


async def renew(into: ssl.SSLContext, tls: ServerTls, look_s: float = _LOOK_S) -> None:
    """Take over a changed pair for the connections that come, for ever; one that does not fit changes nothing."""
    seen = _look(tls)
    while True:
        await asyncio.sleep(look_s)
        now = _look(tls)
        if now == seen:
            continue
        seen = now
        try:
            context(tls)  # a pair half written must not spoil the one in use
            _load(into, tls)
            logger.info("the renewed certificate %s is in use", tls.certificate)
        except GatewayError as error:
            logger.error("certificate as before: %s", error)


def _look(tls: ServerTls) -> list[tuple[int, int, int]]:
    return [_stamp(file) for file in (tls.certificate, tls.key)]


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size
