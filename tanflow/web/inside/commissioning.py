"""/api/commissioning: what a device said last, word by word, and every number that could be meant by it.

Nothing is asked of the device: it is what its last regular readings brought.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.bindings import BoundDevice, series_key
from config.errors import Rejected
from tanflow.web.encode import answered
from tanflow.web.inside.heard import dlt645, modbus, mqtt, opcua, sparkplug
from tanflow.web.parameters import alike, only

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

Teller = Callable[[BoundDevice, Sequence[Any], int], dict[str, Any]]


def routes(gateway: Gateway) -> list[Route]:
    """Return the route of the commissioning view."""
    known = {device.key: device for device in gateway.devices}

    async def answer(request: Request) -> Response:
        only(request.query_params, "device")
        name = request.query_params.get("device", "")
        if name not in known:
            raise Rejected(f"device={name[:100]!r} is none; name it asset.device; {alike(name[:100], known)}")
        device = known[name]
        collector = gateway.sources[device.device.connection].collector
        heard = collector.heard(name) if collector is not None else []
        return await asyncio.to_thread(lambda: answered(told(gateway, device, heard)))

    return [Route("/api/commissioning", answer)]


def told(gateway: Gateway, device: BoundDevice, heard: Sequence[Any]) -> dict[str, Any]:
    """Return what a device said as JSON-ready data, by its protocol."""
    connection = gateway.config.connections[device.device.connection]
    protocol = connection.protocol
    now_ns = gateway.clock.now_ns()
    tellers: dict[str, Teller] = {
        "modbus": modbus.told,
        "dlt645": dlt645.told,
        "opcua": opcua.told,
        "mqtt": partial(mqtt.told, connection),
        "sparkplug": sparkplug.told,
    }
    about = {"device": device.key, "protocol": protocol, "address": device.device.address, "now_ns": now_ns}
    found = tellers[protocol](device, heard, now_ns)
    for point in found["points"]:
        point.update(_newest(gateway, device, point["name"]))
    return about | found


def _newest(gateway: Gateway, device: BoundDevice, name: str) -> dict[str, Any]:
    """Return what tanflow makes of a point: the newest value of its series."""
    key = series_key(device.asset_name, name, device.points[name].quantity)
    series = gateway.table.ids.get(key, -1)
    seen = series >= 0 and bool(gateway.latest.time_ns[series])
    return {
        "key": key if series >= 0 else None,
        "canonical": float(gateway.latest.value[series]) if seen else None,
        "canonical_unit": gateway.table.spec(series).like.unit if series >= 0 else None,
    }
