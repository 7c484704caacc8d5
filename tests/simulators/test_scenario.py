"""Scenario files: what they serve, and what they say when they cannot."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import yaml
from pymodbus.client import AsyncModbusTcpClient

from config.errors import ConfigError
from pipeline.clock import SECOND_NS, Clock
from simulators.scenario import Scenario
from tests.simulators.small_plant import START_NS, gateway
from tests.waiting import until

DEMO = Path(__file__).parents[2] / "simulators" / "demo.yaml"


async def test_the_demo_factory_is_served_by_the_clock() -> None:
    async with Scenario.load(DEMO).open(Clock(anchor_ns=START_NS, speed=20.0), free_ports=True) as served:
        await until(lambda: served.elapsed_s >= 5)
        unit = served.network.units["compressor-1.meter"]
        port, number = next(
            (server.port, n) for server in served.network.modbus.values() for n, u in server.units.items() if u is unit
        )
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=60)
        assert await client.connect()
        registers = (await client.read_input_registers(52, count=22, device_id=number)).registers
        power, energy = struct.unpack(">f36xf", struct.pack(">22H", *registers))
        client.close()
        trace = served.devices["compressor-1"].trace
        assert min(trace.power_kw) * 1_000 * 0.999 <= power <= max(trace.power_kw) * 1_000 * 1.001
        assert energy > 0
        assert len(served.network.messages["pv-1.inverter"].published) >= 4
        assert served.unread() == {}
        assert set(served.devices) == {"main-meter", "compressor-1", "compressor-2", "furnace-1", "chiller-1", "pv-1"}


def files(tmp_path: Path, scenario: str) -> Path:
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(gateway().model_dump(mode="json", exclude_defaults=True)))
    (tmp_path / "rows.csv").write_text("t,kwh\n2026-01-01T00:00:00,1.5\n2026-01-01T00:15:00,2.5\n")
    path = tmp_path / "scenario.yaml"
    path.write_text(scenario)
    return path


REPLAY = """
version: 1
gateway: gateway.yaml
replay:
  meter:
    file: rows.csv
    time: t
    counters:
      energy_import: {column: kwh, start: 10}
    energy: energy_import
faults:
  - {at_s: 1800, device: meter, fault: reset}
"""


EVENTS = """version: 1
gateway: gateway.yaml
plant: demo
events:
  - {at_s: 60, event: leak, asset: air-station, m3_min_per_day: 2}
demo:
  about: a leak
  begin: 2026-06-15 21:30
  speed: 600
  lasts_h: 48
  alert: air-station.leaks
  within_h: 40
"""


async def test_a_recording_with_a_fault(tmp_path: Path) -> None:
    async with Scenario.load(files(tmp_path, REPLAY)).open(free_ports=True) as served:
        (server,) = served.network.modbus.values()
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=60)
        assert await client.connect()
        seen = []
        for step in (1, 2):
            await served.step(START_NS + step * 900 * SECOND_NS, 900.0)
            registers = (await client.read_holding_registers(12, count=4, device_id=7)).registers
            seen.append(struct.unpack(">II", struct.pack(">4H", *registers)))
        client.close()
        assert seen == [(1150, 0), (250, 1)]
        assert served.devices["meter"].energy_kwh == 4.0
        assert served.unread() == {"meter.main": ["power"]}


@pytest.mark.parametrize(
    ("scenario", "line", "where", "message"),
    [
        ("version: 1\n", 1, "scenario", "nothing to simulate"),
        ("version: 1\nplant: mine\n", 2, "plant", "demo"),
        ("version: 1\nplant: [\n", 2, "scenario", ""),
        (REPLAY.replace("counters:", "counter:"), 8, "replay.meter.counter", "counters"),
        (REPLAY.replace("energy: energy_import", "energy: heat"), 5, "replay.meter", "neither a counter nor a gauge"),
        (REPLAY + "  - {at_s: 1, device: meter, fault: lag}\n", 13, "faults.1", "lag_s"),
        (EVENTS.replace("asset: air-station", "asset: chiller-1"), 5, "events.0.asset", "'chiller-1' cannot leak"),
        (EVENTS.replace("event: leak", "event: flood"), 5, "events.0", "leak"),
        (EVENTS.replace("m3_min_per_day: 2", "m3_min_per_day: 0"), 5, "events.0.m3_min_per_day", "greater than 0"),
        (EVENTS.replace("  within_h: 40\n", ""), 6, "demo", "'alert:' and 'within_h:' go together"),
        (EVENTS.replace("within_h: 40", "within_h: 50"), 6, "demo", "lasts_h must not be shorter"),
        (EVENTS.replace("21:30", "21:30Z"), 6, "demo", "leave the zone out"),
    ],
)
def test_a_broken_scenario_says_where(tmp_path: Path, scenario: str, line: int, where: str, message: str) -> None:
    path = files(tmp_path, scenario)
    with pytest.raises(ConfigError) as told:
        Scenario.load(path)
    (problem,) = told.value.problems
    assert (problem.file, problem.line, problem.path) == (str(path), line, where)
    assert message in problem.message


async def test_a_missing_gateway_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Scenario.load(tmp_path / "none.yaml")
    scenario = Scenario.load(files(tmp_path, REPLAY.replace("gateway: gateway.yaml\n", "")))
    with pytest.raises(ConfigError, match="which gateway"):
        async with scenario.open():
            pass
