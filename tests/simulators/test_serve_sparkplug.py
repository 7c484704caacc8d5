"""The simulated edge node against the collector and another reader: births, changes, deaths, faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from collectors.sparkplug import SparkplugCollector
from config.bindings import bind
from config.model import Gateway
from config.protocols.sparkplug import SparkplugConnection
from pipeline.clock import SECOND_NS
from pipeline.counters import Counters
from pipeline.gaps import Gap
from pipeline.quality import BAD, GOOD
from simulators.device import Device
from simulators.faults import BadStatus, Drop, Fault
from simulators.serve import Served, serve
from tests.collectors.driving import Driven, ids_of, origin
from tests.services.mosquitto import Mosquitto
from tests.waiting import DEADLINE_S

T0 = 1_700_000_000 * SECOND_NS


class Press(Device):
    """Counts a kilowatt-hour a step."""

    def __init__(self) -> None:
        super().__init__("press")
        self.readings |= {"power": 0.0, "energy": 0.0}

    def advance(self, now_ns: int, dt_s: float) -> float:
        self.readings["energy"] += 1.0
        self.readings["power"] = 5.0
        return 0.0


def plant(port: int, host: str = "127.0.0.1") -> Gateway:
    points = {
        "power": {"quantity": "power", "unit": "W", "sparkplug": {"metric": "Power"}},
        "energy": {"quantity": "energy_index", "unit": "kWh", "sparkplug": {"metric": "Energy/Total"}},
    }
    device = {"connection": "link", "address": "Hall1/line/press", "points": points}
    return Gateway.model_validate({
        "version": 1, "site": {"name": "works", "region": "GB"},
        "connections": {"link": {"protocol": "sparkplug", "host": host, "port": port, "request_rebirth": True}},
        "areas": {"hall": {"assets": {"press": {"type": "meter", "devices": {"m": device}}}}},
    })  # fmt: skip


class Rig:
    """What is served, read by the collector."""

    def __init__(self, served: Served) -> None:
        connection = served.gateway.connections["link"]
        assert isinstance(connection, SparkplugConnection)
        devices = list(bind(served.gateway, {}))
        self.device = devices[0]
        ids = ids_of(devices)
        self.counters = Counters()
        self.collector = SparkplugCollector(origin(), connection, devices, ids, self.counters)
        self.driven = Driven(self.collector, ids)
        self._served = served
        self._steps = 0

    async def step(self) -> None:
        self._steps += 1
        await self._served.step(T0 + self._steps * SECOND_NS, 1.0)

    async def step_until(self, condition: Callable[[], object], pause_s: float = 0.1) -> None:
        """Step ten times a second until something has come of it, for some minutes at most."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, self.driven.rejects
            await self.step()
            await asyncio.sleep(pause_s)

    def values(self, point: str) -> list[float]:
        return self.driven.values(f"press.{point}")


@pytest.mark.writes("request_rebirth: true")
@pytest.mark.parametrize("own_broker", [True, False])
async def test_births_and_what_changes(own_broker: bool, mosquitto: Mosquitto) -> None:
    async with serve(plant(mosquitto.port), {}, {"press": Press()}, free_ports=own_broker, own_broker=own_broker) as s:
        rig = Rig(s)
        async with rig.driven:
            await rig.step_until(lambda: len(rig.values("energy.energy_index")) >= 5)
            last = rig.values("energy.energy_index")
            assert last == [last[0] + n for n in range(len(last))]
            assert set(rig.values("power.power")) == {5_000.0}
            assert len(rig.values("power.power")) < len(last)  # told at births, and unchanged since
            heard = {h.metric: h for h in rig.collector.heard("press.m")}
            assert (heard["Power"].unit, heard["Power"].type, heard["Power"].value) == ("W", "Double", "5000.0")
            [node] = s.network.edge_nodes.values()
            if not own_broker:
                mosquitto.restart()
                await rig.step_until(lambda: node.bd_seq == 1 and rig.driven.gaps(rig.device)[-1] == Gap.NONE)
    assert node.rebirths <= 5


@pytest.mark.writes("request_rebirth: true")
async def test_faults_are_seen(mosquitto: Mosquitto) -> None:
    faults: list[Fault] = [
        BadStatus(fault="bad_status", at_s=300, for_s=20, device="press.m"),
        Drop(fault="drop", how="close", at_s=340, for_s=20, device="press.m"),
    ]
    async with serve(plant(mosquitto.port), {}, {"press": Press()}, faults=faults, own_broker=False) as served:
        rig = Rig(served)
        async with rig.driven:
            await rig.step_until(lambda: rig.values("energy.energy_index"))
            assert served.elapsed_s < 300  # the faults are still to come
            index = "energy.energy_index"
            await rig.step_until(lambda: served.elapsed_s >= 380 and rig.values(index)[-1] >= 379, 0.03)
    qualities = [row[2] for row in rig.driven.rows("press.energy.energy_index")]
    assert qualities.count(BAD) == 20
    assert qualities[-1] == GOOD
    assert Gap.STALE in rig.driven.gaps(rig.device)
    assert rig.driven.gaps(rig.device)[-1] == Gap.NONE
