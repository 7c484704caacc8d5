"""Readings of devices enter, variables of an OPC UA server leave, each value stamped with the time of its step."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import urlsplit

from asyncua import Server, ua

from config.points import Point
from simulators.faults import Shown
from simulators.registers import number

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMESPACE = "urn:tanflow:simulators:{}"

logging.getLogger("asyncua.server").setLevel(logging.ERROR)  # it speaks of every client that comes and goes


class Nodes:
    """The variables of one device on a server."""

    def __init__(self, server: OpcuaServer, points: Mapping[str, Point]) -> None:
        self.server = server
        self.nodes = {
            name: (ua.NodeId.from_string(point.opcua.node), number(point))
            for name, point in points.items()
            if point.opcua is not None
        }

    async def show(self, shown: Shown) -> None:
        """Write the values of one step; a point without a reading is left as it was."""
        link = shown.link
        await self.server.listen(link is None or link.drop != "close")
        if link is not None and link.drop:
            return
        stamp = _EPOCH + timedelta(microseconds=shown.time_ns // 1_000)
        for name, (node, convert) in self.nodes.items():
            if name in shown.readings:
                await self.server.write(node, convert(shown.readings[name]), stamp, shown.status.get(name, "Good"))


class OpcuaServer:
    """An OPC UA server without security at `url`, for loopback only; nothing on it can be written or called.

    Entering starts it; devices are added while it runs. A device that is dropped with `close` takes the whole server
    off the network, because the devices of one server share its connections.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._server = Server()
        self._listening = True

    async def __aenter__(self) -> Self:
        await self._server.init()
        self._server.set_endpoint(self.url)
        self._server.set_server_name("tanflow simulated plant")
        self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop()

    async def add(self, device: str, points: Mapping[str, Point]) -> Nodes:
        """Add a device as a folder of variables; values are bad (no data yet) until it shows something."""
        nodes = Nodes(self, points)
        highest = max((node.NamespaceIndex for node, _ in nodes.nodes.values()), default=0)
        while len(names := await self._server.get_namespace_array()) <= max(2, highest):
            await self._server.register_namespace(_NAMESPACE.format(len(names)))
        folder = await self._server.nodes.objects.add_folder(ua.NodeId(f"device/{device}", 2), f"2:{device}")
        for name, (node, _) in nodes.nodes.items():
            await folder.add_variable(node, f"{node.NamespaceIndex}:{name}", math.nan, ua.VariantType.Double)
            await self.write(node, math.nan, _EPOCH, "BadWaitingForInitialData")
        return nodes

    async def write(self, node: ua.NodeId, value: float, stamp: datetime, status: str) -> None:
        """Set one value with its source timestamp and status."""
        code = ua.StatusCode(getattr(ua.StatusCodes, status))
        variant = ua.Variant(value, ua.VariantType.Double)
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
