"""Readings of devices enter, variables of an OPC UA server leave, each value stamped with the time of its step."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import urlsplit

from asyncua import Node, Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from config import secrets
from config.errors import GatewayError
from config.points import Point
from config.protocols.opcua import OpcuaConnection, OpcuaPoint, node_parts, path_names
from simulators.certificates import Pair, made
from simulators.faults import Shown
from simulators.registers import number

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMESPACE = "urn:tanflow:simulators:{}"
_ELEMENTS: Final = 32  # of a simulated array
_SECURE: Final = [kind for kind in ua.SecurityPolicyType if kind.name.startswith(("Basic256Sha256", "Aes"))]

logging.getLogger("asyncua.server").setLevel(logging.ERROR)  # it speaks of every client that comes and goes


@dataclass(frozen=True)
class Secured:
    """What makes a simulated server a secured one: its certificate, what it offers, who may come."""

    pair: Pair
    uri: str = "urn:tanflow:simulators"  # its ApplicationUri
    policies: Sequence[ua.SecurityPolicyType] = tuple(_SECURE)
    trusted: frozenset[bytes] | None = None  # clients' certificates in DER; None: any
    users: Mapping[str, str] = field(default_factory=dict)  # name → password; none: anybody, without a name
    user_certificates: frozenset[bytes] = frozenset()


def secured_for(connection: OpcuaConnection) -> Secured | None:
    """Return what makes a server fit a secured connection: a certificate of today, any client, the configured user."""
    if connection.security is None:
        return None
    host = urlsplit(connection.url).hostname or "localhost"
    password = secrets.read(connection.password) if connection.password else ""
    users = {connection.username: password} if connection.username is not None else {}
    return Secured(made("tanflow simulated plant", Secured.uri, [host]), users=users)


class _Users:
    """Who may sign in, as asyncua asks it."""

    def __init__(self, secured: Secured) -> None:
        self._secured = secured

    def get_user(
        self, _: object, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        if username is not None:
            return User(UserRole.User, name=username) if self._secured.users.get(username) == password else None
        if certificate is not None and self._secured.user_certificates:
            return User(UserRole.User) if certificate in self._secured.user_certificates else None
        return None if self._secured.users else User(UserRole.User)


class Nodes:
    """The variables of one device on a server."""

    def __init__(self, server: OpcuaServer, points: Mapping[str, Point]) -> None:
        self.server = server
        self.points = {name: point.opcua for name, point in points.items() if point.opcua is not None}
        self.nodes = {name: (ua.NodeId(), number(points[name])) for name in self.points}

    async def show(self, shown: Shown) -> None:
        """Write the values of one step; a point without a reading is left as it was."""
        link = shown.link
        await self.server.listen(link is None or link.drop != "close")
        if link is not None and link.drop:
            return
        stamp = _EPOCH + timedelta(microseconds=shown.time_ns // 1_000)
        for name, (node, convert) in self.nodes.items():
            if name in shown.readings:
                status, index = shown.status.get(name, "Good"), self.points[name].index
                await self.server.write(node, convert(shown.readings[name]), stamp, status, index)


class OpcuaServer:
    """An OPC UA server at `url`, for loopback only; nothing on it can be written or called.

    Entering starts it; devices are added while it runs. A device that is dropped with `close` takes the whole server
    off the network, because the devices of one server share its connections.
    """

    def __init__(self, url: str, secured: Secured | None = None) -> None:
        self.url = url
        self._secured = secured
        self._server = Server(
            user_manager=_Users(secured) if secured and (secured.users or secured.user_certificates) else None
        )
        self._listening = True
        self._arrays: dict[ua.NodeId, list[float]] = {}
        self._folders: dict[ua.NodeId, Node] = {}

    async def __aenter__(self) -> Self:
        await self._server.init()
        self._server.set_endpoint(self.url)
        self._server.set_server_name("tanflow simulated plant")
        if self._secured is None:
            self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        else:
            await self._secure(self._secured)
        await self._server.start()
        return self

    async def _secure(self, secured: Secured) -> None:
        await self._server.set_application_uri(secured.uri)
        await self._server.load_certificate(secured.pair.der, "der")
        await self._server.load_private_key(secured.pair.key_pem, format="pem")
        self._server.set_security_policy(list(secured.policies))
        if secured.trusted is not None:
            self._server.set_certificate_validator(self._check)

    async def _check(self, certificate: Certificate, _: ua.ApplicationDescription) -> None:
        assert self._secured is not None
        assert self._secured.trusted is not None
        if certificate.public_bytes(Encoding.DER) not in self._secured.trusted:
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop()

    async def add(self, device: str, points: Mapping[str, Point]) -> Nodes:
        """Add a device as a folder of variables; values are bad (no data yet) until it shows something."""
        nodes = Nodes(self, points)
        folder = None
        for name, point in nodes.points.items():
            if point.field or len(point.index) > 1 or max(point.index, default=0) >= _ELEMENTS:
                what = f"only plain values and elements 0 to {_ELEMENTS - 1} of arrays are simulated"
                raise GatewayError(f"{device}.{name} ({point}): {what}; leave the point out")
            node, parent, browse_name = await self._place(point, name)
            nodes.nodes[name] = node, nodes.nodes[name][1]
            if parent is None:
                folder = parent = folder or await self._folder(device)
            if node not in self._arrays:
                empty = [math.nan] * _ELEMENTS if point.index else math.nan
                await parent.add_variable(node, browse_name, empty, ua.VariantType.Double)
            if point.index:
                self._arrays.setdefault(node, [math.nan] * _ELEMENTS)
            await self.write(node, math.nan, _EPOCH, "BadWaitingForInitialData", point.index)
        return nodes

    async def _folder(self, device: str) -> Node:
        await self._namespace(2)
        return await self._server.nodes.objects.add_folder(ua.NodeId(f"device/{device}", 2), f"2:{device}")

    async def _place(self, point: OpcuaPoint, name: str) -> tuple[ua.NodeId, Node | None, ua.QualifiedName]:
        """Return the node of a point; of a path also its parent, made where it is not there yet."""
        if point.node is not None:
            namespace, identifier = node_parts(point.node)
            index = await self._namespace(namespace)
            return ua.NodeId(identifier, index), None, ua.QualifiedName(name, index)
        parent, index, path = self._server.nodes.objects, 2, ""
        *above, last = path_names(point.path or "")
        for step in [*above, last]:
            index = await self._namespace(index if step.namespace is None else step.namespace)
            path += f"/{step.name}"
            if step is not last:
                node = ua.NodeId(path, index)
                if node not in self._folders:
                    self._folders[node] = await parent.add_folder(node, ua.QualifiedName(step.name, index))
                parent = self._folders[node]
        return ua.NodeId(path, index), parent, ua.QualifiedName(last.name, index)

    async def _namespace(self, wanted: int | str) -> int:
        """Return the number of a namespace; one that is not there yet is registered, by number with those before it."""
        if isinstance(wanted, str):
            return int(await self._server.register_namespace(wanted))
        while len(names := await self._server.get_namespace_array()) <= max(2, wanted):
            await self._server.register_namespace(_NAMESPACE.format(len(names)))
        return wanted

    async def write(
        self, node: ua.NodeId, value: float, stamp: datetime, status: str, index: Sequence[int] = ()
    ) -> None:
        """Set one value, or one element of an array, with its source timestamp and status."""
        code = ua.StatusCode(getattr(ua.StatusCodes, status))
        if index:
            self._arrays[node][index[0]] = value
        variant = ua.Variant(list(self._arrays[node]) if index else value, ua.VariantType.Double)
        await self._server.write_attribute_value(node, ua.DataValue(variant, code, stamp, datetime.now(UTC)))

    async def listen(self, on: bool) -> None:
        """Be on the network or off it: off closes every connection and refuses new ones."""
        if on == self._listening:
            return
        self._listening = on
        sockets = self._server.bserver
        assert sockets is not None
        await (sockets.start() if on else sockets.stop())

    @property
    def port(self) -> int:
        """The port of the endpoint."""
        port = urlsplit(self.url).port
        assert port is not None
        return port
