"""Recorded data nobody here made, replayed as registers and nodes; the totals are the publishers'."""

from __future__ import annotations

import asyncio
import csv
import gzip
import itertools
import math
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client as OpcuaClient

from config.errors import GatewayError
from simulators.replay import Recording, Replay, ReplayDevice, read
from simulators.serve import serve
from tests.simulators.small_plant import gateway, points
from tests.waiting import until

DATA = Path(__file__).parents[1] / "data"
STEEL = {
    "file": DATA / "steel" / "steel_2018_15min.csv.gz",
    "time": "date",
    "time_format": "%d/%m/%Y %H:%M",
    "zone": "Asia/Seoul",
    "ends_day": True,
}
HEAT = Replay.model_validate(
    {
        "file": DATA / "condat" / "heat_meter_2020-06_1min.csv.gz",
        "time": "time",
        "gauges": {
            "power": {"column": "Sol1_Sek_EnergyMeter1_Power"},
            "temperature": {"column": "Sol1_Sek_EnergyMeter1_FlwTmp"},
        },
        "energy": "power",
    }
)


def steel(**counter: Any) -> ReplayDevice:
    counters = {"energy_import": {"column": "Usage_kWh", **counter}}
    return ReplayDevice("steel", Replay.model_validate(STEEL | {"counters": counters, "energy": "energy_import"}))


def test_the_midnight_row_belongs_to_the_day_that_ends() -> None:
    times = steel().recording.time_ns
    assert len(times) == 35_040
    assert datetime.fromtimestamp(times[0] / 1e9, UTC) == datetime(2017, 12, 31, 15, 15, tzinfo=UTC)
    assert datetime.fromtimestamp(times[-1] / 1e9, UTC) == datetime(2018, 12, 31, 15, tzinfo=UTC)
    assert {b - a for a, b in itertools.pairwise(times)} == {900 * 10**9}


def amounts(indices: list[int]) -> int:
    """Return what a 32-bit counter counted, by the textbook: smaller is a rollover near the end, else a reset."""
    total = 0
    for before, now in itertools.pairwise(indices):
        if now >= before:
            total += now - before
        else:
            total += now - before + 2**32 if before > 0.9 * 2**32 else now
    return total


async def test_steel_as_a_register_with_a_rollover_and_a_reset() -> None:
    start = 2**32 * 0.01 - 300_000  # kWh: the register of 0.01 kWh rolls over within the year
    device = steel(start=start, resets=(30_000,))
    meter = {"connection": "floor", "address": "127.0.0.1/1"}
    place = {"energy_import": {"address": 0, "type": "uint32"}, "sequence": {"address": 2, "type": "uint32"}}
    config = gateway(meter={}, furnace={}, inverter={}, steel=meter | {"points": points("modbus", place)})
    indices = [round(start * 100)]
    async with serve(config, {}, {"steel": device}, free_ports=True) as served:
        (server,) = served.network.modbus.values()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for row, (now_ns, dt_s) in enumerate(device.recording.steps(900.0)):
            await served.step(now_ns, dt_s)
            writer.write(struct.pack(">HHHBBHH", row % 65_536, 0, 6, 1, 3, 0, 4))
            *_, index, sequence = struct.unpack(">HHHBBBII", await reader.readexactly(17))
            assert sequence == row
            indices.append(index)
        writer.close()
    falls = [row for row in range(1, len(indices)) if indices[row] < indices[row - 1]]
    assert len(falls) == 2
    assert falls[1] == 30_001
    assert amounts(indices) == 95_963_671  # 959,636.71 kWh
    assert device.finished
    assert device.energy_kwh == pytest.approx(959_636.71, abs=1e-6)


def test_the_heat_meter_agrees_with_its_published_hours() -> None:
    device = ReplayDevice("heat", HEAT)
    energy: dict[str, float] = {}
    missing = 0
    for now_ns, dt_s in device.recording.steps(60.0):
        device.step(now_ns, dt_s)
        hour = datetime.fromtimestamp(now_ns / 1e9, UTC).isoformat(" ")[:13]
        power = device.readings["power"]
        missing += math.isnan(power)
        energy[hour] = energy.get(hour, 0.0) + (0.0 if math.isnan(power) else power / 60)
    assert missing == 598
    with gzip.open(DATA / "condat" / "heat_meter_2020-06_hourly.csv.gz", "rt") as file:
        published = {
            row["h"][:13]: float(row["Sol1_Sek_EnergyMeter1_Power_mean"] or 0)
            * int(row["Sol1_Sek_EnergyMeter1_Power_count"] or 0)
            / 60
            for row in csv.DictReader(file)
        }
    assert energy.keys() == published.keys()
    assert sum(energy.values()) == pytest.approx(sum(published.values()), rel=1e-3)
    assert all(energy[h] == pytest.approx(published[h], rel=1e-3, abs=0.1) for h in energy)
    assert device.energy_kwh == pytest.approx(sum(energy.values()))


class Changes:
    """The data changes of a subscription: (good, source timestamp)."""

    def __init__(self) -> None:
        self.seen: list[tuple[bool, datetime]] = []

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        item = data.monitored_item.Value
        self.seen.append((item.StatusCode.is_good(), item.SourceTimestamp))


async def test_a_gap_in_the_recording_is_a_node_without_data() -> None:
    whole = read(HEAT)
    first = next(row for row, power in enumerate(whole.columns["Sol1_Sek_EnergyMeter1_Power"]) if math.isnan(power)) - 2
    part = slice(first, first + 600)
    recording = Recording(whole.time_ns[part], {name: values[part] for name, values in whole.columns.items()})
    moments = [datetime.fromtimestamp(t // 10**9, UTC) for t in recording.time_ns]
    device = ReplayDevice("furnace", HEAT, recording)
    async with (
        serve(gateway(meter={}, inverter={}), {}, {"furnace": device}, free_ports=True) as served,
        OpcuaClient(served.network.opcua["plc"].url, timeout=60) as client,
    ):
        changes = Changes()
        subscription = await client.create_subscription(20, changes)
        node = client.get_node("ns=3;s=Furnace.T1")
        await subscription.subscribe_data_change(node, queuesize=1_000, sampling_interval=0)
        await until(lambda: changes.seen)
        for now_ns, dt_s in recording.steps(60.0):
            await served.step(now_ns, dt_s)
        await until(lambda: changes.seen[-1][1] >= moments[596], what="the first minute after the gap")
    # A server reports what changes: the gap is one value without data at its first minute, then its end.
    bad = [at for ok, at in changes.seen[1:] if not ok]
    assert bad == [moments[2]]
    assert min(at for ok, at in changes.seen if ok and at > moments[2]) == moments[596]


def replay(tmp_path: Path, text: str, **more: Any) -> Replay:
    path = tmp_path / "recording.csv"
    path.write_text(text)
    return Replay.model_validate({"file": path, "time": "t", "gauges": {"power": {"column": "kw"}}} | more)


ROWS = "t,kw\n2026-01-01T00:00:00,1\n2026-01-01T00:01:00,2\n2026-01-01T00:02:00,3\n2026-01-01T00:10:00,4\n"


def test_by_scaled_time(tmp_path: Path) -> None:
    device = ReplayDevice(
        "meter",
        replay(
            tmp_path,
            ROWS,
            pace="time",
            speed=60,
            hold_s=120,
            counters={"energy_import": {"column": "kw", "scale": 1 / 60, "start": 10}},
            energy="energy_import",
        ),
    )
    seen = []
    for step in range(12):
        device.step(step, 1.0)
        seen.append(device.readings["power"])
    nan = pytest.approx(math.nan, nan_ok=True)
    assert seen == [1, 2, 3, 3, 3, nan, nan, nan, nan, nan, 4, 4]
    assert device.readings["energy_import"] == pytest.approx(10 + 10 / 60)
    assert device.energy_kwh == pytest.approx(10 / 60)
    assert device.finished


def test_after_the_last_row_counters_stand_and_gauges_are_gone(tmp_path: Path) -> None:
    device = ReplayDevice("meter", replay(tmp_path, ROWS, counters={"energy_import": {"column": "kw"}}))
    for step in range(6):
        device.step(step, 1.0)
    assert device.readings["energy_import"] == 10
    assert math.isnan(device.readings["power"])
    assert device.recorded_ns == device.recording.time_ns[-1]


def test_the_hour_that_comes_twice(tmp_path: Path) -> None:
    text = "t,kw\n2026-10-25 02:00,1\n2026-10-25 02:30,1\n2026-10-25 02:00,1\n2026-10-25 02:30,1\n2026-10-25 03:00,1\n"
    times = read(replay(tmp_path, text, zone="Europe/Berlin")).time_ns
    assert [(t - times[0]) // 60_000_000_000 for t in times] == [0, 30, 60, 90, 120]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t,kwh\n", "no column kw"),
        ("t,kw\n", "no rows"),
        ("t,kw\n2026-01-01,1\n2026-01-02,1.234,5\n2026-01-03,x\n", r"recording.csv:4: .*'x'"),
        ("t,kw\n2026-01-01,1\nyesterday,1\n", r"recording.csv:3: .*yesterday"),
        ("t,kw\n2026-01-02,1\n2026-01-01,1\n", r"recording.csv:3: .*not later"),
        ("t,kw\n2026-01-02\n", r"recording.csv:2: "),
    ],
)
def test_a_broken_recording_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(GatewayError, match=message):
        read(replay(tmp_path, text))
