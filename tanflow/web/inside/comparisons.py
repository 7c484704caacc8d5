"""/api/commissioning/records: a display beside what the gateway reads, recorded for good; and which points lack it."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.bindings import BoundDevice, series_key
from config.errors import Rejected
from pipeline.quality import BAD
from tanflow.commissioning import records
from tanflow.commissioning.records import Comparison, Seen
from tanflow.commissioning.seen import displayed
from tanflow.web.access.acts import Acts
from tanflow.web.access.sessions import Who, who
from tanflow.web.body import said
from tanflow.web.encode import answered, iso
from tanflow.web.parameters import only

if TYPE_CHECKING:
    from tanflow.gateway import Gateway


def routes(gateway: Gateway, acts: Acts) -> list[Route]:
    """Return the routes of commissioning records; to make one is an act."""
    desk = _Desk(gateway, acts)
    return [
        Route("/api/commissioning/records", desk.listed, methods=["GET"]),
        Route("/api/commissioning/records", desk.recorded, methods=["POST"]),
    ]


class _Desk:
    """Lists records and takes one at a time; the ledger is written beside the accountant's own transactions."""

    def __init__(self, gateway: Gateway, acts: Acts) -> None:
        self._gateway = gateway
        self._acts = acts
        self._writing = asyncio.Lock()

    async def listed(self, request: Request) -> Response:
        """Answer with the state of every point, of one device where it is named, and its last record."""
        only(request.query_params, "device")
        device = request.query_params.get("device", "")
        devices = [d for d in self._gateway.devices if device in ("", d.key)]
        if not devices:
            raise Rejected(f"device={device[:100]!r} is none; name it asset.device")
        return await asyncio.to_thread(lambda: answered(self._list(devices)))

    def _list(self, devices: list[BoundDevice]) -> dict[str, Any]:
        gateway = self._gateway
        register = records.Register.of(gateway.config, gateway.clock.now_ns())
        found = records.states(devices, records.kept(gateway.directory.path), register)
        points = [
            {"point": name, "state": state, "record": None if record is None else told(record)}
            for name, (state, record) in found.items()
        ]
        return {"points": points, "open": sum(state != "in order" for state, _ in found.values())}

    async def recorded(self, request: Request) -> Response:
        """Compare what the display shows with the newest reading, and keep both."""
        only(request.query_params)
        asks = who(request)
        given = _by(asks, await said(request, Comparison))
        gateway = self._gateway
        device, point = records.found(gateway.devices, given.point)
        now_ns = gateway.clock.now_ns()
        given, notes = records.completed(given, records.Register.of(gateway.config, now_ns).known(device))
        record = records.document(given, device, point, self._seen(device, point), now_ns)
        async with self._writing:
            number = await asyncio.to_thread(records.keep, gateway.directory.path, record, gateway.clock.now_ns)
        about = {name: record[name] for name in ("point", "shown", "read", "unit", "agrees", "by")}
        await self._acts.record(asks, "commission", document=number, **about)
        return answered({"record": told(record | {"seq": number}), "notes": notes}, 201)

    def _seen(self, device: BoundDevice, point: str) -> Seen:
        gateway, block = self._gateway, device.points[point]
        series = gateway.table.ids.get(series_key(device.asset_name, point, block.quantity), -1)
        value = float(gateway.latest.value[series]) if series >= 0 else math.nan
        if math.isnan(value) or gateway.latest.quality[series] & BAD:
            raise Rejected(f"the gateway has no good value of {device.asset_name}.{point} now")
        at_ns = int(gateway.latest.time_ns[series])
        return Seen(displayed(gateway.table, series, block, value, at_ns), at_ns)


def told(record: Any) -> dict[str, Any]:
    """Return a record as the page shows it."""
    names = ("seq", "point", "shown", "read", "unit", "agrees", "by", "serial", "ct", "pt", "photo", "note", "at_ns")
    return {name: record.get(name) for name in names} | {"at": iso(np.array([record["at_ns"]]))[0]}


def _by(asks: Who, given: Comparison) -> Comparison:
    """Return it with who compares: someone who has signed in only as himself, a program for whom it names."""
    if not asks.session:
        return given
    if given.by not in ("", asks.user):
        raise Rejected(f"by: you are signed in as {asks.user}, not as {given.by[:40]!r}")
    return given.model_copy(update={"by": asks.user})
