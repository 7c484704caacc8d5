"""/api/assets: every asset with what it takes, how it is and what it alerts; one asset in full."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carbon.accountant import Unbooked
from carbon.entries import MICRO
from carbon.report.tally import Tally
from config.bindings import BoundDevice
from config.model import Asset
from pipeline.clock import SECOND_NS
from pipeline.quality import describe
from tanflow.web.alerts.alert_list import AlertList, every
from tanflow.web.encode import answered, dumps
from tanflow.web.parameters import alike, only
from tanflow.web.site.asset import Details
from tanflow.web.site.devices import devices_by_asset, state_of
from tanflow.web.site.rates import Meter, fresh, meters, rates
from tanflow.web.site.shared import Shared
from tanflow.web.site.state_words import State, running, states

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_KEEP_S: Final = 2.0
_METERED: Final = ("boundary", "breakdown", "own")


def routes(gateway: Gateway, alerts: AlertList) -> list[Route]:
    """Return the routes of the plant's assets."""
    plant, details = Plant(gateway, alerts), Details(gateway)
    shared = Shared[bytes](gateway.asking, _KEEP_S)
    known = {name: area for area, of_one in gateway.config.areas.items() for name in of_one.assets}

    async def tree(request: Request) -> Response:
        only(request.query_params)
        return Response(await shared.get("", plant.compute), media_type="application/json")

    async def one(request: Request) -> Response:
        only(request.query_params)
        name = request.path_params["name"]
        if name not in known:
            return answered({"error": f"there is no asset '{name[:100]}'; {alike(name[:100], known)}"}, 404)
        return Response(await shared.get(name, lambda: details.compute(name)), media_type="application/json")

    return [Route("/api/assets", tree), Route("/api/assets/{name}", one)]


@dataclass
class Plant:
    """Computes the tree of one gateway's assets."""

    gateway: Gateway
    alerts: AlertList

    @cached_property
    def _meters(self) -> list[Meter]:
        return meters(self.gateway)

    @cached_property
    def _devices(self) -> dict[str, list[BoundDevice]]:
        return devices_by_asset(self.gateway)

    @cached_property
    def _states(self) -> dict[str, list[State]]:
        return states(self.gateway)

    @cached_property
    def _measured(self) -> dict[str, npt.NDArray[np.int64]]:
        """The ids of what the devices of each asset measure."""
        found: dict[str, list[int]] = {}
        for number, spec in enumerate(self.gateway.table.specs):
            if spec is not None and spec.like.stratum == 0 and spec.like.quantity != "gap":
                found.setdefault(dict(spec.tags).get("asset", ""), []).append(number)
        return {asset: np.array(ids, np.int64) for asset, ids in found.items()}

    async def compute(self) -> bytes:
        """Return the tree as JSON."""
        gateway = self.gateway
        now_ns = gateway.clock.now_ns()
        unbooked = gateway.accountant.unbooked()
        return await asyncio.to_thread(lambda: dumps(self._tree(unbooked, now_ns)))

    def _tree(self, unbooked: Unbooked, now_ns: int) -> dict[str, Any]:
        gateway = self.gateway
        now = rates(gateway, self._meters, unbooked, now_ns)
        tally = gateway.account.of(unbooked, now.activity(unbooked.books, now_ns)).tally
        flows = _Flows(_by_asset(tally, tally.energy_of(*_METERED), tally.values["energy"]), _emitted(tally))
        alerts = self.alerts.counts_by_asset()
        shown = self._powers(now_ns)
        areas = []
        for area, of_area in gateway.config.areas.items():
            assets = [
                self._asset(name, asset, flows, shown, now_ns) | {"alerts": every(alerts.get(name, Counter()))}
                for name, asset in of_area.assets.items()
            ]
            areas.append({"area": area, "assets": assets})
        return {"now_ns": now_ns, "areas": areas}

    def _asset(
        self, name: str, asset: Asset, flows: _Flows, shown: Mapping[str, tuple[float, int]], now_ns: int
    ) -> dict[str, Any]:
        power, source = shown.get(name, (None, self._newest(name)))
        power = flows.kwh.get(name) if power is None else power
        kg = flows.kg.get(name)
        if power is None and asset.members:  # a station without a meter of its own takes what its machines take
            power, kg = (_sum([of.get(m) for m in asset.members]) for of in (flows.kwh, flows.kg))
        latest = self.gateway.latest
        age = (now_ns - int(latest.time_ns[source])) / SECOND_NS if source >= 0 and latest.time_ns[source] else None
        return {
            "name": name,
            "type": asset.type,
            "carrier": asset.carrier,
            "fed_by": asset.fed_by,
            "members": list(asset.members),
            "state": self._state(name, source, now_ns),
            "running": running(latest, self._states.get(name, ())),
            "power_kw": power,
            "co2_kg_per_h": kg,
            "age_s": None if age is None else round(age, 3),
            "quality": describe(int(latest.quality[source])) if age is not None else None,
        }

    def _powers(self, now_ns: int) -> dict[str, tuple[float, int]]:
        """Return the power each asset shows itself, signed, and the id of it."""
        latest, table = self.gateway.latest, self.gateway.table
        return {
            m.stream.asset: (float(latest.value[m.power]), m.power)
            for m in self._meters
            if m.power >= 0 and m.sign > 0 and fresh(table, latest, m.power, now_ns)
        }

    def _newest(self, asset: str) -> int:
        ids = self._measured.get(asset)
        return -1 if ids is None else int(ids[np.argmax(self.gateway.latest.time_ns[ids])])

    def _state(self, asset: str, source: int, now_ns: int) -> str:
        """Return ok, degraded (one of several devices fails, or is slow), down (all fail), stale or none."""
        devices = self._devices.get(asset, [])
        if not devices:
            return "none"
        states = [state_of(self.gateway, device) for device in devices]
        if set(states) == {"down"}:
            return "down"
        if set(states) != {"ok"}:
            return "degraded"
        return "ok" if source >= 0 and fresh(self.gateway.table, self.gateway.latest, source, now_ns) else "stale"


@dataclass(frozen=True, slots=True)
class _Flows:
    """What each asset's meters say of an hour at the present rate [kWh, kg]."""

    kwh: dict[str, float]
    kg: dict[str, float]


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known and len(known) == len(parts) else None


def _by_asset(tally: Tally, mask: npt.NDArray[np.bool_], values: npt.NDArray[np.int64]) -> dict[str, float]:
    found: dict[str, float] = {}
    for number, value in tally.by_line(values, mask).items():
        asset = tally.lines[number].asset
        found[asset] = found.get(asset, 0.0) + value / MICRO
    return found


def _emitted(tally: Tally) -> dict[str, float]:
    """Return the emissions of scopes 1 and 2 of each asset by location, its own or as a part of the meter above."""
    mask = np.zeros(len(tally.line), bool)
    for role in ("boundary", "breakdown", "own"):
        for scope in (1, 2):
            mask |= tally.scope(scope, "location", role)
    return _by_asset(tally, mask, tally.mass)
