"""A folder → the gateway's own certificate and key, made once; a certificate → what it says, for a person."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from config.errors import GatewayError

CERTIFICATE: Final = "tanflow.der"
KEY: Final = "tanflow.key.pem"
OWN: Final = "own"
_BITS: Final = 2048  # what every policy and also an old controller takes
_YEARS: Final = 10  # nobody stands by to renew it; `certs check` tells in time
_BACKDATED: Final = timedelta(days=1)  # a controller whose clock is in another time zone takes it all the same


class Own(NamedTuple):
    """The gateway's certificate with its key, and where both lie."""

    certificate: x509.Certificate
    key: bytes  # PEM
    place: Path

    @property
    def uri(self) -> str:
        """The ApplicationUri it is issued to, which the gateway must call itself by."""
        return uris(self.certificate)[0]


def application_uri() -> str:
    """Return the name of this gateway among OPC UA applications."""
    return f"urn:{socket.gethostname()}:tanflow"


def own(certs: Path) -> Own:
    """Return the gateway's own certificate below `certs`, made at the first call; it is never made again by itself.

    Raises GatewayError when it cannot be read, or its key is readable by others.
    """
    if not (certs / OWN).exists():
        _make(certs, application_uri())
    return load(certs / OWN / CERTIFICATE, certs / OWN / KEY)


def renew(certs: Path, now: datetime | None = None) -> Own:
    """Make the own certificate anew, key and all; the old pair is kept beside it. Raises GatewayError.

    Where none can be made, the old pair stays the own one.
    """
    folder = certs / OWN
    kept = certs / f"{OWN}-until-{(now or datetime.now(UTC)).strftime('%Y%m%dT%H%M%SZ')}"
    if not folder.exists():
        return own(certs)
    folder.rename(kept)
    try:
        return own(certs)
    except GatewayError:
        kept.rename(folder)
        raise


def load(certificate: Path, key: Path, *, application: bool = True) -> Own:
    """Return a certificate and its key from two files, DER or PEM; a user's needs no ApplicationUri.

    Raises GatewayError with a sentence.
    """
    try:
        found = read(certificate)
        data = key.read_bytes()
        loaded = _private_key(data)
        mode = key.stat().st_mode
    except OSError as error:
        raise GatewayError(f"{error.filename}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise GatewayError(f"{key}: is no RSA key without a password in PEM or DER") from None
    if mode & 0o077:
        raise GatewayError(f"{key}: other users can read this private key; protect it: chmod 600 {key}")
    if loaded.public_key().public_numbers() != _public(found, certificate).public_numbers():
        raise GatewayError(f"{key}: is not the key of {certificate}")
    if application and not uris(found):
        words = "has no ApplicationUri (a URI among its subject alternative names), which servers ask for"
        raise GatewayError(f"{certificate}: {words}; leave it out, and tanflow makes one")
    return Own(found, _pem(loaded), certificate)


def read(file: Path) -> x509.Certificate:
    """Return the certificate in a file, DER or PEM. Raises OSError, and GatewayError when it holds none."""
    data = file.read_bytes()
    try:
        pem = data.lstrip().startswith(b"-----")
        return x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
    except ValueError:
        raise GatewayError(f"{file}: holds no certificate in DER or PEM") from None


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate as OPC UA sends it."""
    return certificate.public_bytes(serialization.Encoding.DER)


def thumbprint(certificate: x509.Certificate) -> str:
    """Return the SHA-1 of a certificate in hexadecimal, as every OPC UA tool shows it (OPC UA Part 6, 6.7.2.3)."""
    return certificate.fingerprint(hashes.SHA1()).hex().upper()


def chain(data: bytes) -> list[x509.Certificate]:
    """Return the certificates of a chain one behind the other, the server's first; raises ValueError when damaged."""
    found = []
    while data:
        length = _der_length(data)
        found.append(x509.load_der_x509_certificate(data[:length]))
        data = data[length:]
    return found


def uris(certificate: x509.Certificate) -> list[str]:
    """Return the ApplicationUris a certificate is issued to; OPC UA wants exactly one."""
    names = _names(certificate)
    return [] if names is None else names.get_values_for_type(x509.UniformResourceIdentifier)


def hosts(certificate: x509.Certificate) -> list[str]:
    """Return the host names and addresses a certificate is issued to."""
    names = _names(certificate)
    if names is None:
        return []
    return names.get_values_for_type(x509.DNSName) + [str(a) for a in names.get_values_for_type(x509.IPAddress)]


def common_name(certificate: x509.Certificate) -> str:
    """Return what a certificate calls its owner."""
    named = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(named[0].value) if named else certificate.subject.rfc4514_string()


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _der_length(data: bytes) -> int:
    if len(data) < 4 or data[0] != 0x30:
        raise ValueError("no certificate")
    if data[1] < 0x80:
        return 2 + data[1]
    count = data[1] & 0x7F
    return 2 + count + int.from_bytes(data[2 : 2 + count], "big")


def _private_key(data: bytes) -> rsa.RSAPrivateKey:
    pem = data.lstrip().startswith(b"-----")
    key = (serialization.load_pem_private_key if pem else serialization.load_der_private_key)(data, None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("not RSA")
    return key


def _public(certificate: x509.Certificate, file: Path) -> rsa.RSAPublicKey:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise GatewayError(f"{file}: OPC UA's policies take RSA certificates only")
    return key


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _make(certs: Path, uri: str) -> None:
    """Make key and certificate, both or none of them: the folder appears complete under its name, or nothing stays."""
    try:
        certs.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(prefix=".own-", dir=certs))
        try:
            key = rsa.generate_private_key(public_exponent=65_537, key_size=_BITS)
            _write(folder / KEY, _pem(key), 0o600)
            _write(folder / CERTIFICATE, der(_self_signed(key, uri, _own_names(uri))), 0o644)
            _name(folder, certs / OWN)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise GatewayError(f"{certs}: the gateway's certificate cannot be kept there: {error.strerror}") from error


def _name(folder: Path, own: Path) -> None:
    try:
        folder.rename(own)
    except OSError:
        if not own.exists():  # else another process was first, and its pair serves both
            raise


def _write(file: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def _own_names(uri: str) -> list[x509.GeneralName]:
    host = socket.gethostname()
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri), x509.DNSName(host)]
    with_addresses = {ipaddress.ip_address("127.0.0.1")}
    with contextlib.suppress(OSError):  # a host that does not know its own address has its name
        with_addresses |= {ipaddress.ip_address(info[4][0]) for info in socket.getaddrinfo(host, None, socket.AF_INET)}
    return names + [x509.IPAddress(address) for address in sorted(with_addresses, key=int)]


def _self_signed(key: rsa.RSAPrivateKey, uri: str, names: Sequence[x509.GeneralName]) -> x509.Certificate:
    """Return an application instance certificate (OPC UA Part 6, 6.2.2)."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"tanflow@{socket.gethostname()}"[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "tanflow"),
        ]
    )
    now = datetime.now(UTC)
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=True, data_encipherment=True,
        key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
