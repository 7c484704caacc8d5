"""Secured OPC UA: node-opcua's server with every policy, mode and identity; servers that are refused, each in words."""

from __future__ import annotations

import asyncio
import itertools
import stat
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from collectors.opcua_certificates import CERTIFICATE, KEY, OWN, hosts, own, renew, thumbprint, uris
from collectors.opcua_check import Finding, examine
from collectors.opcua_security import Offer, offered
from collectors.opcua_session import Session, connect
from collectors.opcua_trust import ISSUERS, REJECTED, TRUSTED, Shown, TrustList, judge
from config.errors import GatewayError, Unavailable
from config.protocols.opcua import OpcuaConnection, OpcuaPoint, OpcuaSecurity
from simulators.certificates import Pair, made
from simulators.serve_opcua import OpcuaServer, Secured
from tests.client_recording import services
from tests.collectors.driving import bound
from tests.collectors.test_opcua import Plant, key, points
from tests.interop import saw
from tests.recording import Recorder
from tests.services.node import NodeOpcua
from tests.services.ports import free_port
from tests.waiting import until

URI = "urn:tanflow:simulators"
POLICIES = ("Basic256Sha256", "Aes128-Sha256-RsaOaep", "Aes256-Sha256-RsaPss")
LONG_S = 30.0  # a slow machine is no fault of a server


@pytest.fixture(scope="module")
def pair() -> Pair:
    return made("plc", URI)


def connection(url: str, *, accept: Sequence[str] = (), **settings: Any) -> OpcuaConnection:
    security = {"accept": tuple(accept)} | (settings.pop("security", None) or {})
    described = {"protocol": "opcua", "url": url, "timeout_s": LONG_S, "security": security, **settings}
    return OpcuaConnection.model_validate(described)


async def opened(wanted: OpcuaConnection, certs: Path) -> Session:
    return await connect(wanted, lambda _: None, certs)


async def trusted(url: str, certs: Path) -> None:
    """Trust what a server shows, as a person does after having compared the thumbprint."""
    with pytest.raises(Unavailable):
        await opened(connection(url), certs)
    trust = TrustList(certs)
    for one in trust.content(REJECTED).values():
        trust.move(one, TRUSTED)


async def refused(wanted: OpcuaConnection, certs: Path) -> str:
    with pytest.raises(Unavailable) as told:
        await opened(wanted, certs)
    return str(told.value)


def served(pair: Pair, **settings: Any) -> OpcuaServer:
    return OpcuaServer(f"opc.tcp://127.0.0.1:{free_port()}", Secured(pair, URI, **settings))


async def test_every_policy_mode_and_identity(
    node_opcua: NodeOpcua, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    monkeypatch.setenv("OPCUA_PASSWORD", "meter")
    user = made("reader")
    (tmp_path / "user.der").write_bytes(user.der)
    (tmp_path / "user.pem").write_bytes(user.key_pem)
    (tmp_path / "user.pem").chmod(0o600)
    certs = tmp_path / "certs"
    await trusted(node_opcua.url, certs)
    identities: list[dict[str, Any]] = [
        {}, {"username": "reader", "password": {"env": "OPCUA_PASSWORD"}},
        {"user_certificate": tmp_path / "user.der", "user_key": tmp_path / "user.pem"},
    ]  # fmt: skip
    read = 0
    for policy, mode, identity in itertools.product(POLICIES, ("sign", "sign_and_encrypt"), identities):
        security = {"policy": policy, "message": mode}
        session = await opened(connection(node_opcua.url, accept=["host"], security=security, **identity), certs)
        both = [OpcuaPoint(node="ns=1;s=power"), OpcuaPoint(path="Plant/power")]
        await session.locate(both)
        assert [value.Value.Value for value in await session.read(both)] == [0.5, 0.5]
        await session.close(within_s=LONG_S)
        read += 1
    assert read == 18
    assert services(recorder) == {"Read", "TranslateBrowsePathsToNodeIds"}
    saw("OPC UA", "node-opcua 2.182 (server)", "each policy × message mode × identity", f"{read} sessions opened, read")


async def test_keys_are_made_and_folders_read_beside_the_event_loop(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: dict[str, set[int]] = {"made": set(), "read": set()}
    generate, content = rsa.generate_private_key, TrustList.content

    def making(**wanted: Any) -> rsa.RSAPrivateKey:
        done["made"].add(threading.get_ident())
        return generate(**wanted)

    def reading(self: TrustList, folder: str) -> dict[Path, x509.Certificate]:
        done["read"].add(threading.get_ident())
        return content(self, folder)

    monkeypatch.setattr(rsa, "generate_private_key", making)
    monkeypatch.setattr(TrustList, "content", reading)
    async with served(pair) as server:
        first = connection(server.url)
        assert "is not trusted" in await refused(first, tmp_path)
        assert all(done.values())
        signed_in = first.model_copy(update={"security": None, "username": "reader"})
        await refused(signed_in, tmp_path)
    assert threading.get_ident() not in done["made"] | done["read"]


async def test_an_unknown_server_is_refused_until_its_certificate_is_trusted(pair: Pair, tmp_path: Path) -> None:
    certs = tmp_path / "data" / "certs"
    async with served(pair) as server:
        told = await refused(connection(server.url), certs)
        print_ = thumbprint(pair.certificate)
        assert f"({print_}) is not trusted" in told
        assert f"tanflow certs trust {print_} --data {tmp_path / 'data'}" in told
        assert list(TrustList(certs).content(REJECTED).values()) == [pair.certificate]
        await trusted(server.url, certs)
        session = await opened(connection(server.url), certs)
        await session.close(within_s=LONG_S)
        assert [f.words for f in await examine(connection(server.url), certs) if not f.sound] == []
        TrustList(certs).move(pair.certificate, REJECTED)
        assert "is not trusted" in await refused(connection(server.url), certs)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("expired", "the certificate 'plc' has expired on 2024-01-01"),
        ("early", "the certificate 'plc' is valid only from 2090-01-01"),
        ("uri", f"the server calls itself '{URI}', its certificate says 'urn:other' (ApplicationUri)"),
        ("host", "the server was reached as '127.0.0.1', its certificate is for plc-7"),
    ],
)
async def test_what_is_wrong_with_a_trusted_certificate_is_told_and_can_be_accepted(
    tmp_path: Path, fault: str, words: str
) -> None:
    wrongs: dict[str, dict[str, Any]] = {
        "expired": {"since": datetime(2023, 1, 1, tzinfo=UTC), "until": datetime(2024, 1, 1, tzinfo=UTC)},
        "early": {"since": datetime(2090, 1, 1, tzinfo=UTC), "until": datetime(2091, 1, 1, tzinfo=UTC)},
        "uri": {"uri": "urn:other"},
        "host": {"hosts": ["plc-7"]},
    }
    pair = made("plc", **({"uri": URI} | wrongs[fault]))
    TrustList(tmp_path).move(pair.certificate, TRUSTED)
    async with served(pair) as server:
        told = await refused(connection(server.url), tmp_path)
        assert words in told
        kind = "expired" if fault == "early" else fault
        assert f"accept: [{kind}]" in told
        findings = await examine(connection(server.url), tmp_path)
        assert [f.words for f in findings if not f.sound and words in f.words]
        session = await opened(connection(server.url, accept=[kind]), tmp_path)
        await session.close(within_s=LONG_S)


async def test_an_authority_vouches_for_what_it_signed_and_nothing_is_accepted_for_those(tmp_path: Path) -> None:
    root, other = made("works CA", authority=True, hosts=[]), made("other CA", authority=True, hosts=[])
    trust = TrustList(tmp_path)
    trust.move(root.certificate, ISSUERS)
    between = made("line CA", authority=True, hosts=[], issuer=root)
    leaf = made("plc", URI, issuer=between)
    shown = Shown(leaf.der + between.der, URI, "localhost")
    assert judge(shown, trust) == []
    assert [f.kind for f in judge(shown._replace(certificate=leaf.der), trust)] == ["untrusted"]  # the chain is cut
    foreign = made("plc", URI, issuer=other)
    assert [f.kind for f in judge(Shown(foreign.der, URI, "localhost"), trust)] == ["untrusted"]
    forged = made("plc", URI, issuer=leaf)  # a server that plays authority
    assert [f.kind for f in judge(Shown(forged.der + leaf.der + between.der, URI, "localhost"), trust)] == ["untrusted"]
    assert [f.kind for f in judge(Shown(leaf.der + between.der, URI, "plc-7"), trust, ["host"])] == ["host"]
    _revoke(tmp_path / ISSUERS / "works.crl", root, between)
    assert [f.kind for f in judge(shown, trust)] == ["revoked"]


def _revoke(file: Path, issuer: Pair, revoked: Pair) -> None:
    now = datetime.now(UTC)
    entry = (
        x509.RevokedCertificateBuilder().serial_number(revoked.certificate.serial_number).revocation_date(now).build()
    )
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now)
        .next_update(now + timedelta(days=1))
        .add_revoked_certificate(entry)
    )
    file.write_bytes(crl.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))


def test_a_short_key_and_a_damaged_certificate(tmp_path: Path) -> None:
    weak = made("plc", URI, bits=1024)
    TrustList(tmp_path).move(weak.certificate, TRUSTED)
    assert [f.kind for f in judge(Shown(weak.der, URI, "localhost"), TrustList(tmp_path))] == ["weak"]
    assert [f.kind for f in judge(Shown(weak.der[:-1], URI, "localhost"), TrustList(tmp_path))] == ["damaged"]
    assert [f.kind for f in judge(Shown(b"", URI, "localhost"), TrustList(tmp_path))] == ["damaged"]


async def test_a_wrong_password_and_a_server_that_does_not_trust_the_gateway(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TrustList(tmp_path).move(pair.certificate, TRUSTED)
    monkeypatch.setenv("OPCUA_PASSWORD", "wrong")
    user: dict[str, Any] = {"username": "reader", "password": {"env": "OPCUA_PASSWORD"}}
    async with served(pair, users={"reader": "meter"}) as server:
        told = await refused(connection(server.url, **user), tmp_path)
        assert "the server refuses the user: check user name, password" in told
        assert "wrong" not in told
        findings = await examine(connection(server.url, **user), tmp_path)
        assert "the server refuses the user" in findings[-1].words
        monkeypatch.setenv("OPCUA_PASSWORD", "meter")
        session = await opened(connection(server.url, **user), tmp_path)
        await session.close(within_s=LONG_S)
    async with served(pair, trusted=frozenset()) as server:
        told = await refused(connection(server.url), tmp_path)
        assert f"the server does not take the gateway's certificate; move '{_cn(tmp_path)}'" in told


def _cn(certs: Path) -> str:
    return str(own(certs).certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


async def test_a_policy_that_is_not_offered(pair: Pair, tmp_path: Path) -> None:
    TrustList(tmp_path).move(pair.certificate, TRUSTED)
    async with served(pair, policies=[ua.SecurityPolicyType.Basic256Sha256_Sign]) as server:
        told = await refused(connection(server.url), tmp_path)
        assert "does not offer Basic256Sha256 with sign_and_encrypt; it offers: Basic256Sha256 with sign" in told


async def test_a_password_leaves_only_encrypted_and_for_a_server_that_is_trusted(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPCUA_PASSWORD", "meter")
    secret = {"env": "OPCUA_PASSWORD"}
    bare = OpcuaServer(f"opc.tcp://127.0.0.1:{free_port()}")
    policies = [ua.SecurityPolicyType.NoSecurity, ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt]
    async with bare, served(pair, policies=policies, users={"reader": "meter"}) as server:

        def plain(url: str) -> OpcuaConnection:
            return OpcuaConnection(protocol="opcua", url=url, timeout_s=LONG_S, username="reader", password=secret)  # type: ignore[arg-type]

        told = await refused(plain(bare.url), tmp_path)
        assert "wants the password in the clear, so it is not sent" in told
        told = await refused(plain(server.url), tmp_path)
        assert "is not trusted, so it gets no password; set security: for this connection, or trust" in told
        await trusted(server.url, tmp_path)
        session = await opened(plain(server.url), tmp_path)
        await session.close(within_s=LONG_S)


def test_the_own_certificate_is_made_once_with_a_key_nobody_else_reads(tmp_path: Path) -> None:
    first = own(tmp_path)
    assert own(tmp_path).certificate == first.certificate
    assert uris(first.certificate) == [first.uri]
    assert first.uri.startswith("urn:")
    assert first.uri.endswith(":tanflow")
    assert "127.0.0.1" in hosts(first.certificate)
    assert stat.S_IMODE((tmp_path / OWN / KEY).stat().st_mode) == 0o600
    again = renew(tmp_path)
    assert again.certificate != first.certificate
    kept = [f for f in tmp_path.iterdir() if f.name.startswith("own-until-")]
    assert (kept[0] / CERTIFICATE).exists()
    (tmp_path / OWN / KEY).chmod(0o644)
    with pytest.raises(GatewayError, match="chmod 600"):
        own(tmp_path)
    (tmp_path / OWN / KEY).unlink()
    with pytest.raises(GatewayError, match="cannot be read"):
        own(tmp_path)  # not made again silently


async def test_clocks_that_are_hours_apart(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TrustList(tmp_path).move(pair.certificate, TRUSTED)
    async with served(pair) as server:

        async def behind(wanted: OpcuaConnection) -> Offer:
            return (await offered(wanted))._replace(ahead_s=-7_200.0)  # a server whose clock was never set

        monkeypatch.setattr("collectors.opcua_check.offered", behind)
        first = (await examine(connection(server.url), tmp_path))[0]
        assert first == Finding(False, "its clock is 2.0 h behind the gateway's", first.mend)
        assert "NTP" in first.mend


async def test_a_secured_subscription_reads_on_after_a_restart_and_a_renewed_channel(
    start_node_opcua: Callable[[], NodeOpcua], tmp_path: Path
) -> None:
    server, device = start_node_opcua(), bound("plc", points("ramp"))
    await trusted(server.url, tmp_path / "certs")
    secured = {"accept": ("host",)}
    plant = Plant(server.url, device, data=tmp_path, security=OpcuaSecurity.model_validate(secured), timeout_s=LONG_S)
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key("ramp"))) > 3)
        await asyncio.to_thread(server.stop)
        await until(lambda: bool(driven.failures))
        before = len(driven.values(key("ramp")))
        await asyncio.to_thread(server.start)
        await until(lambda: len(driven.values(key("ramp"))) > before + 3)
    session = await opened(connection(server.url, accept=["host"]), tmp_path / "certs")
    point = OpcuaPoint(node="ns=1;s=power")
    for _ in range(3):
        await session.client.open_secure_channel(renew=True)
        session.client.uaclient.revolve_security_token()
        await session.locate([point])
        assert (await session.read([point]))[0].Value.Value == 0.5
    await session.close(within_s=LONG_S)


def test_rejected_certificates_are_bounded(tmp_path: Path) -> None:
    trust, shown = TrustList(tmp_path), [made(f"plc {i}", URI, bits=1024) for i in range(4)]
    for one in shown[:3]:
        trust.move(one.certificate, REJECTED)
    file = next(f for f, c in trust.content(REJECTED).items() if c == shown[0].certificate)
    for number in range(98):  # the same bytes under other names stand for other certificates
        (tmp_path / REJECTED / f"{number}.der").write_bytes(file.read_bytes())
    trust.show(shown[3].certificate)
    assert len(trust.content(REJECTED)) == 100
    assert shown[3].certificate in trust.content(REJECTED).values()


def test_a_certificate_is_found_by_the_beginning_of_its_thumbprint(pair: Pair, tmp_path: Path) -> None:
    trust = TrustList(tmp_path)
    file = trust.move(pair.certificate, TRUSTED)
    print_ = thumbprint(pair.certificate)
    assert trust.find(print_[:6].lower()) == (file, pair.certificate)
    assert trust.find(":".join(print_[i : i + 2] for i in range(0, 40, 2)))[0] == file
    assert trust.find(str(file))[1] == pair.certificate
    for wrong in ("FFFF0000", print_[:3], ""):
        with pytest.raises(GatewayError):
            trust.find(wrong)
    (tmp_path / TRUSTED / "broken.der").write_bytes(b"no")
    with pytest.raises(GatewayError, match=r"broken\.der: holds no certificate"):
        trust.content(TRUSTED)


async def test_a_certificate_that_ends_soon_is_told_in_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    soon = made("plc", URI, until=datetime.now(UTC) + timedelta(days=9, hours=1))
    TrustList(tmp_path).move(soon.certificate, TRUSTED)
    async with served(soon) as server:
        session = await opened(connection(server.url), tmp_path)
        await session.close(within_s=LONG_S)
        assert "the server's certificate ends in 9 days" in caplog.text
        findings = await examine(connection(server.url), tmp_path)
        assert next(f.words for f in findings if not f.sound).startswith("its certificate ends in 9 days")
