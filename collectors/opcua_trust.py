"""A folder of certificates and what a server shows → whether it is the server that is meant, or what is wrong with it.

certs/own/        the gateway's certificate and key
certs/trusted/    servers' certificates, each trusted by itself
certs/issuers/    authorities: every certificate they sign is trusted, unless a list of theirs (*.crl) revokes it
certs/rejected/   what servers showed and nobody has trusted yet
"""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa

from collectors.opcua_certificates import chain, common_name, der, hosts, read, thumbprint, uris
from config.errors import GatewayError

TRUSTED: Final = "trusted"
ISSUERS: Final = "issuers"
REJECTED: Final = "rejected"
_SUFFIXES: Final = (".der", ".crt", ".cer", ".pem")
_MOST_REJECTED: Final = 100  # whoever answers on the port can put one there
_LONGEST_CHAIN: Final = 5
_MIN_BITS: Final = 2048
_SOON: Final = timedelta(days=30)

Kind = Literal["untrusted", "revoked", "expired", "uri", "host", "weak", "damaged"]


class Fault(NamedTuple):
    """One thing wrong with a certificate, and what mends it."""

    kind: Kind
    words: str
    mend: str

    def __str__(self) -> str:
        return f"{self.words}; {self.mend}"


class Shown(NamedTuple):
    """What a server shows of itself before anything is secured."""

    certificate: bytes  # DER, a chain where it has one
    uri: str  # its ApplicationUri
    host: str  # by which it was reached


class TrustList:
    """The certificates of one gateway's folder."""

    def __init__(self, certs: Path) -> None:
        self.certs = certs

    def content(self, folder: str) -> dict[Path, x509.Certificate]:
        """Return the certificates of `trusted`, `issuers` or `rejected` by file; GatewayError for a broken one."""
        place = self.certs / folder
        if not place.is_dir():
            return {}
        return {file: read(file) for file in sorted(place.iterdir()) if file.suffix.lower() in _SUFFIXES}

    def find(self, text: str) -> tuple[Path, x509.Certificate]:
        """Return the certificate a thumbprint (or its beginning) or a file names. Raises GatewayError."""
        if Path(text).is_file():
            return Path(text), read(Path(text))
        wanted = text.replace(":", "").replace(" ", "").upper()
        everywhere = [(f, c) for name in (REJECTED, TRUSTED, ISSUERS) for f, c in self.content(name).items()]
        found = {thumbprint(c): (f, c) for f, c in reversed(everywhere) if thumbprint(c).startswith(wanted)}
        if len(found) == 1 and len(wanted) >= 4:
            return next(iter(found.values()))
        if found:
            raise GatewayError(f"'{text}' fits {len(found)} certificates; write more of the thumbprint")
        raise GatewayError(f"'{text}' is no file and no thumbprint in {self.certs}; `tanflow certs list` shows them")

    def move(self, certificate: x509.Certificate, folder: str) -> Path:
        """Let a certificate stand in this folder only; return its file."""
        print_ = thumbprint(certificate)
        for name in (TRUSTED, ISSUERS, REJECTED):
            for file, other in self.content(name).items():
                if name != folder and thumbprint(other) == print_:
                    file.unlink(missing_ok=True)
        place = self.certs / folder
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = place / f"{_file_name(common_name(certificate))} {print_}.der"
        part = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")  # several may keep the same one at once
        part.write_bytes(der(certificate))
        part.replace(file)
        return file

    def show(self, certificate: x509.Certificate) -> None:
        """Keep a certificate that is not trusted in `rejected`, for somebody to look at; a bounded number of them."""
        rejected = self.content(REJECTED)
        if all(thumbprint(c) != thumbprint(certificate) for c in rejected.values()):
            for file in sorted(rejected, key=lambda f: f.stat().st_mtime)[: max(0, len(rejected) + 1 - _MOST_REJECTED)]:
                file.unlink(missing_ok=True)
            self.move(certificate, REJECTED)

    def pins(self, certificate: x509.Certificate) -> bool:
        """Return whether this very certificate is trusted."""
        return any(c == certificate for c in self.content(TRUSTED).values())

    def issuer(self, certificate: x509.Certificate, between: Sequence[x509.Certificate]) -> list[x509.Certificate]:
        """Return the issuers from a certificate up to a trusted one; empty where none leads there."""
        path: list[x509.Certificate] = []
        trusted, current = list(self.content(ISSUERS).values()), certificate
        for _ in range(_LONGEST_CHAIN):
            if (root := _signer(current, trusted)) is not None:
                return [*path, root]
            if (above := _signer(current, between)) is None or above in path:
                return []
            path.append(above)
            current = above
        return []

    def revoked(self, certificate: x509.Certificate, issuers: Sequence[x509.Certificate]) -> bool:
        """Return whether a list of one of its issuers, kept beside them as *.crl, names this certificate."""
        signed = list(zip([certificate, *issuers], issuers, strict=False))
        for file in sorted((self.certs / ISSUERS).glob("*.crl")):
            crl = _revocations(file)
            for one, issuer in signed:
                if _signed_list(crl, issuer) and crl.get_revoked_certificate_by_serial_number(one.serial_number):
                    return True
        return False


def judge(shown: Shown, trust: TrustList, accept: Sequence[str] = (), now: datetime | None = None) -> list[Fault]:
    """Return what is wrong with what a server shows; nothing: it is the one that is meant.

    Checked as OPC UA Part 4, 6.1.3 says: trust, issuers' signatures, revocation, validity, host name, ApplicationUri.
    `accept` forgives expired, host or uri where this very certificate is trusted.
    """
    try:
        certificate, *between = chain(shown.certificate)
    except ValueError:
        return [Fault("damaged", "what the server shows is no certificate", "give the server a certificate")]
    pinned = trust.pins(certificate)
    faults = list(_of_trust(certificate, between, pinned, trust, now or datetime.now(UTC)))
    faults += _of_names(certificate, shown)
    if not faults or not pinned:
        return faults
    return [fault for fault in faults if fault.kind not in accept]


def ends_soon(certificate: x509.Certificate, now: datetime | None = None) -> str:
    """Return a sentence when a certificate ends within 30 days or has ended, else nothing."""
    left = certificate.not_valid_after_utc - (now or datetime.now(UTC))
    if left < timedelta():
        return f"has expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    return f"ends in {left.days} days, on {certificate.not_valid_after_utc:%Y-%m-%d}" if left < _SOON else ""


def _of_trust(
    certificate: x509.Certificate, between: Sequence[x509.Certificate], pinned: bool, trust: TrustList, now: datetime
) -> Iterator[Fault]:
    issuers = trust.issuer(certificate, between)
    data = trust.certs.parent
    if not pinned and not issuers:
        words = f"the server's certificate '{common_name(certificate)}' ({thumbprint(certificate)}) is not trusted"
        command = f"tanflow certs trust {thumbprint(certificate)} --data {data}"
        yield Fault("untrusted", words, f"compare the thumbprint with the server's own, then: {command}")
    if trust.revoked(certificate, issuers):
        words = f"the server's certificate '{common_name(certificate)}' was revoked by who issued it"
        yield Fault("revoked", words, "give the server a new certificate")
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _MIN_BITS:
        yield Fault("weak", f"the server's certificate has no RSA key of {_MIN_BITS} bits or more", "give it a new one")
    for one in [certificate] if pinned else [certificate, *issuers]:
        if late := _out_of_time(one, now):
            mend = "renew it on the server, or set its clock or the gateway's right"
            yield Fault("expired", late, f"{mend} (security: {{accept: [expired]}} puts up with it)")


def _out_of_time(certificate: x509.Certificate, now: datetime) -> str:
    named = f"the certificate '{common_name(certificate)}'"
    if now > certificate.not_valid_after_utc:
        return f"{named} has expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if now < certificate.not_valid_before_utc:
        return f"{named} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on"
    return ""


def _of_names(certificate: x509.Certificate, shown: Shown) -> Iterator[Fault]:
    if shown.uri not in uris(certificate):
        named = ", ".join(uris(certificate)) or "none"
        words = f"the server calls itself '{shown.uri}', its certificate says '{named}' (ApplicationUri)"
        yield Fault("uri", words, "give it a certificate with its ApplicationUri (security: {accept: [uri]} forgives)")
    if not _names_host(hosts(certificate), shown.host):
        named = ", ".join(hosts(certificate)) or "no host"
        words = f"the server was reached as '{shown.host}', its certificate is for {named}"
        yield Fault("host", words, "use such a name in url:, or security: {accept: [host]} puts up with it")


def _names_host(names: Sequence[str], host: str) -> bool:
    """Names compare without case and with or without the domain's last dot; addresses as numbers."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        wanted = host.lower().rstrip(".")
        return any(name.lower().rstrip(".") == wanted for name in names)
    return any(str(address) == name for name in names)


def _signer(certificate: x509.Certificate, candidates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    return next((c for c in candidates if c != certificate and is_authority(c) and _signed(certificate, c)), None)


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Return whether a certificate may sign others."""
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except (x509.ExtensionNotFound, ValueError):
        return False


def _revocations(file: Path) -> x509.CertificateRevocationList:
    data = file.read_bytes()
    try:
        return x509.load_pem_x509_crl(data) if data.startswith(b"-----") else x509.load_der_x509_crl(data)
    except ValueError:
        raise GatewayError(f"{file}: is no revocation list in DER or PEM; put a sound one there") from None


def _signed_list(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    return crl.issuer == issuer.subject and isinstance(key, rsa.RSAPublicKey) and crl.is_signature_valid(key)


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-._@" else "_" for c in name)[:60]
