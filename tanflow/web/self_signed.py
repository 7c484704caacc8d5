"""Host names and addresses → a key and a certificate signed with it, for HTTPS where no authority gives one."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from config.errors import GatewayError

CERTIFICATE: Final = "server.pem"
KEY: Final = "server.key"
_VALID: Final = dt.timedelta(days=825)  # browsers of Apple take no longer one (support.apple.com/103769)
_HERE: Final = ("localhost", "127.0.0.1", "::1")


def make(folder: Path, names: Sequence[str]) -> x509.Certificate:
    """Write server.key (mode 0600) and server.pem into a folder and return the certificate; nothing is overwritten.

    Raises GatewayError for a name that none is, and where the files cannot be written or are there already.
    """
    wanted = [_name(name) for name in dict.fromkeys((*names, *_HERE))]
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed(key, names[0], wanted)
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file, content, mode in (
            (folder / KEY, private, 0o600),
            (folder / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM), 0o644),
        ):
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
                os.fchmod(opened.fileno(), mode)
                opened.write(content)
    except FileExistsError as error:
        raise GatewayError(f"{error.filename} is there already; move it away or name another folder") from None
    except OSError as error:
        raise GatewayError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from None
    return certificate


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        ascii_name = name.encode("idna").decode()
    except UnicodeError:
        ascii_name = ""
    if not ascii_name or not all(c.isalnum() or c in "-." for c in ascii_name):
        raise GatewayError(f"{name[:80]!r} is no host name and no IP address; give those the page is reached by")
    return x509.DNSName(ascii_name)


def _signed(key: ec.EllipticCurvePrivateKey, common: str, names: Sequence[x509.GeneralName]) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])
    now = dt.datetime.now(dt.UTC)
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))  # a reader's clock may be behind
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(public, critical=False)
        .sign(key, hashes.SHA256())
    )
