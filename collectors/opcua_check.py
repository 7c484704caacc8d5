"""A connection → everything about its security that is wrong, in words, with what mends each; nothing is read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from asyncua import ua

from collectors.opcua_certificates import chain, thumbprint
from collectors.opcua_security import Offer, chosen, faults_of, names, offered, own_of, wanted
from collectors.opcua_session import connect
from collectors.opcua_trust import ends_soon
from collectors.reaching import why_not
from config.errors import Unavailable
from config.protocols.opcua import OpcuaConnection

_CLOCKS_S: Final = 60.0  # servers refuse messages that are minutes old, and certificates not valid yet


class Finding(NamedTuple):
    """One thing looked at: sound or not, in words, and what mends it."""

    sound: bool
    words: str
    mend: str = ""


async def examine(connection: OpcuaConnection, certs: Path) -> list[Finding]:
    """Ask a server for its endpoints, judge what it shows, and open a session where nothing stands against it.

    Raises GatewayError where the gateway's own files cannot be used.
    """
    try:
        offer = await offered(connection)
    except (TimeoutError, OSError, ua.UaError) as error:
        host = urlsplit(connection.url).netloc
        mend = f"see that the server runs and that a firewall lets {host} through"
        return [Finding(False, f"{connection.url} cannot be reached: {why_not(error)}", mend)]
    found = [_clock(offer), *_endpoint(offer, connection, certs), *_own(connection, certs)]
    if all(f.sound for f in found):
        found.append(await _session(connection, certs))
    return found


def _clock(offer: Offer) -> Finding:
    seconds = abs(offer.ahead_s)
    if seconds <= _CLOCKS_S:
        return Finding(True, f"its clock is within {_CLOCKS_S:.0f} s of the gateway's")
    span = f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
    words = f"its clock is {span} {'ahead of' if offer.ahead_s > 0 else 'behind'} the gateway's"
    return Finding(False, words, "set both by the same time server (NTP); certificates and messages are judged by it")


def _endpoint(offer: Offer, connection: OpcuaConnection, certs: Path) -> list[Finding]:
    there = names(offer.endpoints)
    security = connection.security
    if security is None:
        words = f"messages are neither signed nor encrypted; the server offers: {there}"
        return [Finding(True, words)]
    endpoint = chosen(offer.endpoints, security)
    if endpoint is None:
        words = f"it does not offer {wanted(security)}; it offers: {there}"
        return [Finding(False, words, "change security: of this connection, or switch the policy on at the server")]
    faults = [Finding(False, fault.words, fault.mend) for fault in faults_of(endpoint, connection, certs)]
    if faults:
        return faults
    certificate = chain(endpoint.ServerCertificate)[0]
    soon = ends_soon(certificate)
    words = f"its certificate {thumbprint(certificate)} is trusted"
    return [Finding(True, f"{words} and valid until {certificate.not_valid_after_utc:%Y-%m-%d}")] + (
        [Finding(False, f"its certificate {soon}", "renew it on the server in time, then trust the new one")]
        if soon
        else []
    )


def _own(connection: OpcuaConnection, certs: Path) -> list[Finding]:
    if connection.security is None:
        return []
    own = own_of(connection.security, certs)
    soon, now = ends_soon(own.certificate), datetime.now(UTC)
    mend = f"tanflow certs renew --data {certs.parent}, then trust the new one on every server"
    if soon:
        words = "has expired" if now > own.certificate.not_valid_after_utc else soon
        return [Finding(False, f"the gateway's certificate {words}", mend)]
    if now < own.certificate.not_valid_before_utc:
        return [Finding(False, "the gateway's certificate is not valid yet", "set the gateway's clock right")]
    return [Finding(True, f"the gateway shows {thumbprint(own.certificate)}, ApplicationUri {own.uri}")]


async def _session(connection: OpcuaConnection, certs: Path) -> Finding:
    try:
        session = await connect(connection, lambda _: None, certs)
    except Unavailable as error:
        return Finding(False, str(error))
    await session.close(within_s=connection.timeout_s)
    user = connection.username or ("a user certificate" if connection.user_certificate else "anonymous")
    return Finding(True, f"a session opens ({user})")
