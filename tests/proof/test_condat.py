"""A paper mill's heat meter, recorded minute by minute with its gaps, over OPC UA through the running gateway."""

from __future__ import annotations

import asyncio
import csv
import gzip
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pipeline import quality as q
from simulators.replay import Recording, Replay, ReplayDevice
from simulators.serve import serve
from sinks.history_query import Answer
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tests.proof.running import running, stored, written
from tests.services.node import NodeOpcua
from tests.waiting import until

log = logging.getLogger("tests.proof.condat")

DATA = Path(__file__).parents[1] / "data" / "condat"
MINUTE_NS, HOUR_NS = 60 * 10**9, 3_600 * 10**9
MINUTES = 16 * 24 * 60
COLUMNS = {
    "power": "Sol1_Sek_EnergyMeter1_Power",
    "flow_temperature": "Sol1_Sek_EnergyMeter1_FlwTmp",
    "return_temperature": "Sol1_Sek_EnergyMeter1_RetTmp",
}
POWER, ENERGY = "heat-meter.power.power", "heat-meter.power.energy"
PUSHED = 720  # rows set on the server before the gateway must have them all

CONFIG = """
version: 1
site: {{name: condat, zone: Europe/Paris, region: FR}}
api: null
connections:
  plc: {{protocol: opcua, url: "{url}", every_s: 0.02, sampling_s: 0, queue: 5000}}
areas:
  solar:
    assets:
      heat-meter:
        type: meter
        carrier: heat
        energy: integrate
        max_hold_s: 120
        devices:
          meter:
            connection: plc
            points: {{{points}}}
data: {{dir: data, commit_ms: 20}}
"""
POINT = "{name}: {{quantity: {quantity}, unit: {unit}, opcua: {{node: {node}}}}}"
SERVED = ", ".join(
    POINT.format(name=n, quantity=q_, unit=u, node=f"ns=2;s=EM210.{n}")
    for n, q_, u in (
        ("power", "power", "kW"),
        ("flow_temperature", "temperature", "degC"),
        ("return_temperature", "temperature", "degC"),
    )
)


def recorded() -> ReplayDevice:
    gauges = {point: {"column": column} for point, column in COLUMNS.items()}
    file = DATA / "heat_meter_2020-06_1min.csv.gz"
    replay = Replay.model_validate({"file": file, "time": "time", "gauges": gauges, "energy": "power"})
    return ReplayDevice("heat-meter", replay)


def published() -> Iterator[tuple[int, float, int]]:
    """Yield (start [ns UTC], mean power [kW], minutes with a value) of every hour, as the publisher states them."""
    with gzip.open(DATA / "heat_meter_2020-06_hourly.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            start_ns = int(datetime.fromisoformat(row["h"]).timestamp()) * 10**9
            mean, count = row[COLUMNS["power"] + "_mean"], row[COLUMNS["power"] + "_count"]
            yield start_ns, float(mean or 0.0), int(count)


def check_samples(recording: Recording, point: str, rows: Answer) -> None:
    """Every recorded minute is there once, at its own time, with its own value; the missing ones are flagged."""
    values = np.array(recording.columns[COLUMNS[point]])
    there = rows.time_ns <= recording.time_ns[-1]  # before the first minute the node said it waits for data
    assert rows.time_ns[there].tolist() == recording.time_ns.tolist()
    assert np.array_equal(rows.value[there], values, equal_nan=True)
    missing = (rows.quality[there] & q.SEVERITY) == q.BAD
    assert np.array_equal(missing, np.isnan(values))
    assert missing.sum() == 598


def check_gaps(recording: Recording, energy: Answer) -> None:
    """No interval is longer than the hold; what no interval covers are the two gaps longer than that."""
    assert energy.span_ns.max() <= 120 * 10**9
    begins = energy.time_ns - energy.span_ns
    assert begins[0] == recording.time_ns[0]
    assert energy.time_ns[-1] == recording.time_ns[-1]
    open_ = np.flatnonzero(begins[1:] != energy.time_ns[:-1])
    assert ((begins[1:] - energy.time_ns[:-1])[open_] / MINUTE_NS).tolist() == [595, 4]
    assert np.count_nonzero(energy.span_ns == 2 * MINUTE_NS) == 1  # one minute of 24 June is within the hold
    assert (energy.quality & q.INTEGRATED).all()


def check_energy(power: Mapping[int, float], energy: Answer) -> None:
    """Hours agree with the published means, and all of it does within 0.1 %.

    The publisher's hour is Σ Pᵢ·Δ of its 60 minutes, a trapezoid Σ (Pᵢ + Pᵢ₊₁)/2·Δ: so the hours of the two differ by
    exactly (P₆₀ - P₀)·Δ/2. What is left is the rounding of the published mean to three digits after the point.
    """
    hours = energy.time_ns - 1  # an interval ends within its hour, or with it
    total, complete = 0.0, 0
    for start_ns, mean_kw, count in published():
        total += mean_kw * count / 60
        after = power.get(start_ns + HOUR_NS, np.nan)
        if count == 60 and np.isfinite(after):
            kwh = energy.value[hours // HOUR_NS * HOUR_NS == start_ns].sum()
            assert kwh - (after - power[start_ns]) / 120 == pytest.approx(mean_kw, abs=0.0005 + 1e-9)
            complete += 1
    assert complete == 369
    log.info("%.3f kWh integrated, %.3f kWh published", energy.value.sum(), total)
    assert energy.value.sum() == pytest.approx(total, rel=1e-3)


def arrived(gateway: Gateway, device: ReplayDevice) -> bool:
    """Return whether the newest row of every point is the one the device shows."""
    ids = [gateway.table.ids[f"heat-meter.{p}.{'power' if p == 'power' else 'temperature'}"] for p in COLUMNS]
    return bool((gateway.latest.time_ns[ids] == device.recorded_ns).all())


async def test_a_heat_meter_with_gaps_agrees_with_its_published_hours(tmp_path: Path) -> None:
    device = recorded()
    loaded = written(tmp_path, CONFIG.format(url="opc.tcp://127.0.0.1:4840", points=SERVED))
    async with (
        serve(loaded.gateway, loaded.templates, {"heat-meter": device}, free_ports=True) as served,
        open_gateway(served.gateway, loaded.templates, base=tmp_path) as gateway,
    ):
        opcua = gateway.board.component("collector.plc")
        async with running(gateway):
            await until(lambda: opcua.committed >= len(COLUMNS), what="subscribed")
            for row, (now_ns, dt_s) in enumerate(device.recording.steps(60.0)):
                await served.step(now_ns, dt_s)
                if row % PUSHED == PUSHED - 1 or device.finished:
                    await until(lambda: arrived(gateway, device), what=f"row {row} is accepted")
        power = await stored(gateway, POWER)
        energy = await stored(gateway, ENERGY)
        for point in ("flow_temperature", "return_temperature"):
            check_samples(device.recording, point, await stored(gateway, f"heat-meter.{point}.temperature"))
        assert (opcua.rejected, opcua.restarts, opcua.retried) == (0, 0, 0)
    assert len(device.recording) == MINUTES
    check_samples(device.recording, "power", power)
    check_gaps(device.recording, energy)
    check_energy(dict(zip(power.time_ns.tolist(), power.value.tolist(), strict=True)), energy)


async def test_the_gaps_of_an_afternoon_over_a_server_of_others(node_opcua: NodeOpcua, tmp_path: Path) -> None:
    """24 June, 13:30 to 15:30: three minutes without a value, longer than the hold, and one, within it."""
    recording = recorded().recording
    first = recording.time_ns.index(int(datetime(2020, 6, 24, 13, 30, tzinfo=UTC).timestamp()) * 10**9)
    times = recording.time_ns[first : first + 121].tolist()
    values = np.array(recording.columns[COLUMNS["power"]])[first : first + 121]
    point = POINT.format(name="power", quantity="power", unit="kW", node="ns=1;s=power")
    loaded = written(tmp_path, CONFIG.format(url=node_opcua.url, points=point))
    show(node_opcua, times[0], values[0])
    async with open_gateway(loaded.gateway, loaded.templates, base=tmp_path) as gateway:
        series = gateway.table.ids[POWER]
        async with running(gateway):
            for time_ns, value in zip(times, values, strict=True):
                await asyncio.to_thread(show, node_opcua, time_ns, value)
                await until(lambda at=time_ns: gateway.latest.time_ns[series] == at, what="accepted")  # type: ignore[misc]
        power, energy = await stored(gateway, POWER), await stored(gateway, ENERGY)
    missing = np.isnan(values)
    assert power.time_ns.tolist() == times
    assert np.array_equal((power.quality & q.SEVERITY) == q.BAD, missing)
    assert np.array_equal(power.value[~missing], values[~missing])
    assert sorted((energy.span_ns // MINUTE_NS).tolist()) == [1] * 114 + [2]


def show(server: NodeOpcua, time_ns: int, value: float) -> None:
    """Set the power with its source time; a missing one has a status that says so."""
    stamp = datetime.fromtimestamp(time_ns // 10**9, UTC).isoformat()
    if np.isnan(value):
        server.set("power", 0.0, status="BadNoData", time=stamp)
    else:
        server.set("power", float(value), time=stamp)
