"""A gateway that reads simulated DL/T 645 meters on a serial line and over TCP, and what its page shows of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from config.load import load
from config.model import Api
from pipeline.clock import Clock
from pipeline.gaps import Gap
from simulators.device import Device
from simulators.electrical import Submeter
from simulators.faults import ExceptionCode
from simulators.serve import serve
from simulators.site import Site
from tanflow.opening import open_gateway
from tanflow.running import add_page
from tests.services.ports import free_port
from tests.waiting import DEADLINE_S, until

PLANT = """\
version: 1
site: {name: works, region: CN}
connections:
  yard: {protocol: dlt645, every_s: 1, serial: {port: /dev/ttyS1, baudrate: 9600}}
  halls: {protocol: dlt645, every_s: 1, serial: {baudrate: 9600}}
areas:
  yard:
    assets:
      feeder:
        type: meter
        devices:
          m:
            connection: yard
            address: "202600000001"
            template: dlt645_three_phase
            only: [energy_import, power, voltage_l1_n]
      hall:
        type: meter
        devices:
          m:
            connection: halls
            address: 127.0.0.1:8899/202600000002
            points:
              energy_import: {quantity: energy_index, unit: kWh, dlt645: {data: "0001FF00", item: 0}}
              power: {quantity: power, unit: kW, dlt645: {data: "02030000"}}
              voltage_l3_n: {quantity: voltage, unit: V, dlt645: {data: "0201FF00", item: 2}}
              voltage_l1_n: {quantity: voltage, unit: V, dlt645: {data: "0201FF00", item: 0}}
"""


class Feeder(Device):
    """A feeder that feeds in 12.5 kW."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.site = Site(1)
        self.meter = Submeter(name, self.site)

    def advance(self, now_ns: int, dt_s: float) -> float:
        self.site.advance(now_ns, dt_s)
        self.readings = self.meter.read(-12.5, 3.0, dt_s)
        return -12.5


async def test_a_gateway_reads_meters_on_both_kinds_of_line(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(PLANT, "utf-8")
    loaded = load(str(tmp_path / "gateway.yaml"))
    devices = {name: Feeder(name) for name in ("feeder", "hall")}
    fault = ExceptionCode.model_validate({"fault": "exception", "at_s": 4, "device": "hall", "code": 2})
    clock, stop = Clock(), asyncio.Event()
    async with serve(loaded.gateway, loaded.templates, devices, faults=[fault], free_ports=True) as served:
        api = Api(port=free_port())
        place = loaded.gateway.data.model_copy(update={"dir": tmp_path / "data", "ballast_mb": 1})
        config = served.gateway.model_copy(update={"api": api, "data": place})
        plant = asyncio.create_task(served.run(clock))
        async with open_gateway(config, loaded.templates, clock=clock) as gateway:
            add_page(gateway)
            running = asyncio.create_task(gateway.run(stop))

            def newest(key: str) -> float:
                return float(gateway.latest.value[gateway.table.ids[key]])

            try:
                for asset in devices:
                    await until(lambda a=asset: newest(f"{a}.power.power") == -12.5, what=f"{asset}'s power")  # type: ignore[misc]
                await until(lambda: newest("hall.voltage_l3_n.voltage") > 200)
                assert abs(newest("hall.voltage_l1_n.voltage") - 230) < 30
                assert newest("feeder.energy_import.energy_index") > 0
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}", timeout=DEADLINE_S) as client:
                    found = (await client.get("/api/commissioning", params={"device": "feeder.m"})).json()
                power = next(p for p in found["points"] if p["name"] == "power")
                assert (power["path"], power["raw_hex"], power["value"]) == ("02030000", "00 50 92", -12.5)
                assert {r["path"]: r["value"] for r in power["readings"]} | {"±XXX.XXX": -125.0, "XX.XXXX": 92.5} == {
                    r["path"]: r["value"] for r in power["readings"]
                }
                assert {m["topic"] for m in found["messages"]} == {"00010000", "02030000", "02010100"}
                await until(lambda: newest("hall.m-gap.gap") == Gap.EXCEPTION, what="the fault of the script")
            finally:
                stop.set()
                await running
                plant.cancel()
    assert all(not line.write_attempts for line in served.network.meters.values())
