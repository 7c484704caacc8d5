"""A connection's security settings → a client ready to connect to the server that is meant, or words why it is not.

The library takes the certificate of whoever answers and sends a password in the clear where the server asks it to.
Here the server's certificate is judged before anything is secured with it, and what identifies a user leaves only
encrypted, for a server that is trusted.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from asyncua import Client, ua
from asyncua.crypto import security_policies as policies
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.ua_binary import struct_from_binary

from collectors.opcua_certificates import Own, application_uri, chain, common_name, der, load, own, thumbprint
from collectors.opcua_trust import Fault, Shown, TrustList, ends_soon, judge
from config.errors import Unavailable
from config.protocols.opcua import OpcuaConnection, OpcuaSecurity
from config.secrets import read as read_secret

logger = logging.getLogger("tanflow.opcua")

POLICIES: Final[dict[str, type[policies.SecurityPolicy]]] = {
    "Basic256Sha256": policies.SecurityPolicyBasic256Sha256,
    "Aes128-Sha256-RsaOaep": policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256-Sha256-RsaPss": policies.SecurityPolicyAes256Sha256RsaPss,
}
_MODES: Final = {"sign": ua.MessageSecurityMode.Sign, "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt}
_ENCRYPTS: Final = frozenset(policy.URI for policy in POLICIES.values())
_TOKENS: Final = {
    ua.UserTokenType.Anonymous: "anonymous",
    ua.UserTokenType.UserName: "user and password",
    ua.UserTokenType.Certificate: "user certificate",
    ua.UserTokenType.IssuedToken: "issued token",
}


class Offer(NamedTuple):
    """What a server offers before anything is secured, and its clock against ours [s], positive when it is ahead."""

    endpoints: list[ua.EndpointDescription]
    ahead_s: float


class SecuredClient(Client):  # type: ignore[misc]  # the library is not checked
    """asyncua's client, which tells who the user is only to a server that is trusted, and never in the clear."""

    def __init__(self, connection: OpcuaConnection, certs: Path) -> None:
        super().__init__(connection.url, timeout=connection.timeout_s, watchdog_intervall=connection.timeout_s)
        self.own: Own | None = None
        self._connection = connection
        self._trust = TrustList(certs)

    def server_policy(self, token_type: ua.UserTokenType) -> ua.UserTokenPolicy:
        """Return the user token policy to use: one that encrypts before one that does not."""
        offered = [p for p in self._policy_ids if p.TokenType == token_type]
        if not offered:
            named = ", ".join(sorted({_TOKENS[p.TokenType] for p in self._policy_ids})) or "nothing"
            raise Unavailable(f"{self._url} takes no {_TOKENS[token_type]}; it offers: {named}")
        # An empty policy means the endpoint's own (OPC UA Part 4, 7.42); a user's certificate must always sign.
        by_channel = self.security_policy.URI
        signs = token_type == ua.UserTokenType.Certificate
        full = [
            dataclasses.replace(p, SecurityPolicyUri=by_channel if signs and not _encrypts(p) else uri)
            for p in offered
            if (uri := p.SecurityPolicyUri or by_channel)
        ]
        return next(filter(_encrypts, full), full[0])

    async def activate_session(
        self, username: str | None = None, password: str | None = None, certificate: object = None
    ) -> ua.ActivateSessionResult:
        """Sign in. Raises Unavailable where that would show a password, or show it to a server nobody trusts."""
        if username:
            await asyncio.to_thread(self._protect_password)
        return await super().activate_session(username, password, certificate)

    def _protect_password(self) -> None:
        policy = self.server_policy(ua.UserTokenType.UserName)
        if self.security_policy.Mode == ua.MessageSecurityMode.SignAndEncrypt:
            return
        if not _encrypts(policy):
            mend = "set security: {message: sign_and_encrypt} for this connection"
            raise Unavailable(f"{self._url} wants the password in the clear, so it is not sent; {mend}")
        if self.security_policy.URI == policies.SecurityPolicyNone.URI:
            # The password is encrypted for whoever showed this certificate: it must be the server that is meant.
            shown = self.security_policy.peer_certificate
            if not shown or not self._trust.pins(chain(shown)[0]):
                self._refuse_password(shown or b"")

    def _refuse_password(self, shown: bytes) -> None:
        mend = "set security: for this connection"
        if shown:
            certificate = chain(shown)[0]
            self._trust.show(certificate)
            mend += f", or trust its certificate: tanflow certs trust {thumbprint(certificate)} --data {self._data}"
        raise Unavailable(f"{self._url} is not trusted, so it gets no password; {mend}")

    @property
    def _url(self) -> str:
        return self._connection.url

    @property
    def _data(self) -> Path:
        return self._trust.certs.parent


async def secured(connection: OpcuaConnection, certs: Path) -> SecuredClient:
    """Return a client that has its security and its user, not yet connected.

    Raises Unavailable with what is wrong and the command that mends it, GatewayError for unusable own files, and
    OSError, TimeoutError and UaError as the library does.
    """
    client = SecuredClient(connection, certs)
    client.name = client.description = "tanflow"
    client.application_uri = application_uri()
    if connection.security is not None:
        await _secure(client, connection, connection.security, certs)
    if connection.username is not None:
        client.set_user(connection.username)
    if connection.password is not None:
        client.set_password(read_secret(connection.password))
    if connection.user_certificate is not None and connection.user_key is not None:
        user = await asyncio.to_thread(load, connection.user_certificate, connection.user_key, application=False)
        await client.load_client_certificate(der(user.certificate), "der")
        await client.load_private_key(user.key, extension="pem")
    return client


async def _secure(client: SecuredClient, connection: OpcuaConnection, security: OpcuaSecurity, certs: Path) -> None:
    # Making a key takes a second of CPU, and folders may lie on a slow card: neither may hold up other connections.
    client.own = await asyncio.to_thread(own_of, security, certs)
    client.application_uri = client.own.uri
    offer = await offered(connection)
    endpoint = chosen(offer.endpoints, security)
    if endpoint is None:
        raise Unavailable(f"{connection.url} does not offer {wanted(security)}; it offers: {names(offer.endpoints)}")
    faults = await asyncio.to_thread(faults_of, endpoint, connection, certs)
    if faults:
        raise Unavailable(f"{connection.url} is refused: " + "; ".join(map(str, faults)))
    shown = chain(endpoint.ServerCertificate)[0]
    for whose, one in (("the gateway's", client.own.certificate), (f"{connection.url}: the server's", shown)):
        if soon := ends_soon(one):
            logger.warning("%s certificate %s; see tanflow certs check", whose, soon)
    await client.set_security(
        POLICIES[security.policy],
        CertProperties(der(client.own.certificate), "der"),
        CertProperties(client.own.key, "pem"),
        server_certificate=CertProperties(der(shown), "der"),
        mode=_MODES[security.message],
    )


def own_of(security: OpcuaSecurity | None, certs: Path) -> Own:
    """Return the certificate the gateway shows: the one configured, else its own. Raises GatewayError."""
    if security is not None and security.certificate is not None and security.key is not None:
        return load(security.certificate, security.key)
    return own(certs)


async def offered(connection: OpcuaConnection) -> Offer:
    """Ask a server for its endpoints, over a channel of its own without security; nothing is judged yet."""
    client = Client(connection.url, timeout=connection.timeout_s)
    await client.connect_socket()
    try:
        await client.send_hello()
        await client.open_secure_channel()
        request = ua.GetEndpointsRequest()
        request.Parameters.EndpointUrl = connection.url
        assert client.uaclient.protocol is not None
        data = await client.uaclient.protocol.send_request(request)
        response = struct_from_binary(ua.GetEndpointsResponse, data)
        response.ResponseHeader.ServiceResult.check()
        ahead_s = (_aware(response.ResponseHeader.Timestamp) - datetime.now(UTC)).total_seconds()
        await client.close_secure_channel()
    finally:
        client.disconnect_socket()
    return Offer(list(response.Endpoints), ahead_s)


def chosen(endpoints: Sequence[ua.EndpointDescription], security: OpcuaSecurity) -> ua.EndpointDescription | None:
    """Return the endpoint of the configured policy and mode."""
    uri, mode = POLICIES[security.policy].URI, _MODES[security.message]
    fitting = (e for e in endpoints if e.SecurityPolicyUri == uri and e.SecurityMode == mode)
    return next((e for e in fitting if e.EndpointUrl.startswith("opc.tcp://")), None)


def faults_of(endpoint: ua.EndpointDescription, connection: OpcuaConnection, certs: Path) -> list[Fault]:
    """Return what is wrong with an endpoint's certificate; one that is not trusted is kept for somebody to look at."""
    trust = TrustList(certs)
    host = urlsplit(connection.url).hostname or ""
    accept = connection.security.accept if connection.security is not None else ()
    faults = judge(Shown(endpoint.ServerCertificate or b"", endpoint.Server.ApplicationUri or "", host), trust, accept)
    if any(fault.kind == "untrusted" for fault in faults):
        trust.show(chain(endpoint.ServerCertificate)[0])
    return faults


def wanted(security: OpcuaSecurity) -> str:
    """Return policy and mode as the user writes them."""
    return f"{security.policy} with {security.message}"


def names(endpoints: Sequence[ua.EndpointDescription]) -> str:
    """Return the policies and modes a server offers as the user writes them."""
    policy_of = {policy.URI: name for name, policy in POLICIES.items()}
    mode_of = {mode: name for name, mode in _MODES.items()}
    found = []
    for endpoint in endpoints:
        name = policy_of.get(endpoint.SecurityPolicyUri, endpoint.SecurityPolicyUri.rpartition("#")[2])
        mode = mode_of.get(endpoint.SecurityMode)
        found.append(f"{name} with {mode}" if mode else "no security")
    return ", ".join(dict.fromkeys(found)) or "nothing"


def refusal(error: BaseException, client: SecuredClient) -> str:
    """Return in words what a server has against us and what mends it; empty for what is no matter of security."""
    code = error.code if isinstance(error, ua.UaStatusCodeError) else None
    own_ = client.own
    shown = f"'{common_name(own_.certificate)}' ({thumbprint(own_.certificate)})" if own_ is not None else ""
    if code in _OF_USER:
        return "the server refuses the user: check user name, password or user certificate, and the user's rights"
    if own_ is not None and (code in _OF_TRUST or isinstance(error, ConnectionError)):
        move = f"move {shown} from rejected to trusted on the server (tanflow certs export writes it for its admin)"
        return f"the server does not take the gateway's certificate; {move}"
    if code in _OF_TIME:
        return "the server finds the gateway's certificate or message out of time; set both clocks right"
    if code == ua.StatusCodes.BadCertificateUriInvalid:
        return f"the server finds another ApplicationUri in the gateway's certificate {shown}; tanflow certs renew"
    return ""


_OF_USER: Final = (
    ua.StatusCodes.BadIdentityTokenRejected, ua.StatusCodes.BadIdentityTokenInvalid,
    ua.StatusCodes.BadUserAccessDenied, ua.StatusCodes.BadUserSignatureInvalid,
)  # fmt: skip
_OF_TRUST: Final = (
    ua.StatusCodes.BadSecurityChecksFailed, ua.StatusCodes.BadCertificateUntrusted,
    ua.StatusCodes.BadCertificateInvalid, ua.StatusCodes.BadCertificateChainIncomplete,
    ua.StatusCodes.BadCertificateUseNotAllowed, ua.StatusCodes.BadApplicationSignatureInvalid,
)  # fmt: skip
_OF_TIME: Final = (ua.StatusCodes.BadCertificateTimeInvalid, ua.StatusCodes.BadInvalidTimestamp)


def _aware(stamp: datetime) -> datetime:
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)


def _encrypts(policy: ua.UserTokenPolicy) -> bool:
    return policy.SecurityPolicyUri in _ENCRYPTS
