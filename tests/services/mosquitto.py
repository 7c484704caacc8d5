"""The real Mosquitto broker with its own configuration, store and port."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.recording import Recorder, published
from tests.services.ports import free_port
from tests.waiting import until_sync

_OPTIONS = """\
listener {port} 127.0.0.1
persistence true
persistence_location {folder}/
max_inflight_messages 0
max_queued_messages 0
log_dest file {folder}/mosquitto.log
log_type error
log_type warning
log_type notice
log_type information
log_type subscribe
log_type debug
"""
_TLS = """\
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
require_certificate true
"""


class Mosquitto:
    """A broker that can be stopped (keeps its store), killed and started again on the same port."""

    def __init__(self, program: str, folder: Path, *, password: str | None, tls: bool, acl: str) -> None:
        self._command = [program, "-c", str(folder / "mosquitto.conf")]
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = free_port()
        lines = _OPTIONS + (_TLS if tls else "")
        if os.geteuid() == 0:
            lines += "user root\n"
        if password is None:
            lines += "allow_anonymous true\n"
        else:
            users = folder / "users"
            subprocess.run(["mosquitto_passwd", "-b", "-c", str(users), "reader", password], check=True)
            lines += f"allow_anonymous false\npassword_file {users}\n"
        if tls:
            make_certificates(folder)
        if acl:  # whose users are the names in their certificates
            (folder / "acl").write_text(acl)
            lines += "acl_file {folder}/acl\nuse_identity_as_username true\n"
        (folder / "mosquitto.conf").write_text(lines.format(port=self.port, folder=folder))

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        until_sync(self._answers, what="mosquitto accepts connections")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "mosquitto.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def stop(self) -> None:
        """End it in order: the store is written."""
        self._end(kill=False)

    def kill(self) -> None:
        self._end(kill=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, *, kill: bool) -> None:
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()
            self._process.wait(180)
            self._process = None

    @property
    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text()


@pytest.fixture
def start_mosquitto(tmp_path: Path, recorder: Recorder) -> Iterator[Callable[..., Mosquitto]]:
    """Start a broker; `password` asks for user `reader`, `tls` for a client certificate (client.pem, client.key)."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.fail("Mosquitto is missing: install the packages mosquitto and mosquitto-clients")
    started: list[Mosquitto] = []

    def start(*, password: str | None = None, tls: bool = False, acl: str = "") -> Mosquitto:
        folder = tmp_path / f"mosquitto{len(started)}"
        folder.mkdir()
        broker = Mosquitto(program, folder, password=password, tls=tls, acl=acl)
        started.append(broker)
        broker.start()
        return broker

    yield start
    for broker in started:
        broker.kill()
        for topic in published(broker.log):
            recorder.note(f"MQTT publish to {topic}", False)


@pytest.fixture
def mosquitto(start_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    """A running broker, open to anyone."""
    return start_mosquitto()


def make_certificates(folder: Path) -> None:
    """Write ca.pem, and server and client .pem/.key it has signed, valid for a day."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("tanflow test authority", ca_key, None, ca_key)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _certificate(name, key, ca, ca_key)
        (folder / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        (folder / f"{name}.key").write_bytes(key.private_bytes(*form, plain))


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, ca: x509.Certificate | None, ca_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if ca is None else ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
