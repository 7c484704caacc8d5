"""Two hours of the simulated factory through the running gateway in a real InfluxDB: every query finds its data."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

from pipeline.alerts.stage import Status
from pipeline.clock import Clock
from pipeline.heartbeat import FREE_KEY
from tanflow.demo import Result
from tanflow.gateway import Gateway
from tanflow.tally import compare
from tests.dashboards.grafana import answers, panels, rules
from tests.proof.factory import Factory, configured, factory
from tests.proof.running import newest, running, stored
from tests.services.influxd import Influxd
from tests.waiting import until

log = logging.getLogger("tests.proof.demo")

DATABASE = "tanflow"
START = datetime(2026, 6, 15, 2, 40, tzinfo=UTC)  # a Monday, 10:40 on the factory's clock
SECOND_END_NS = round(datetime(2026, 6, 15, 5, tzinfo=UTC).timestamp()) * 10**9
SPEED, EVERY_S, STEP_S = 300.0, 30.0, 10.0
WINDOW = {
    "type": "energy_intensity",
    "energy": ["furnace-1.volume"],
    "product": "furnace-1.mass",
    "every": "60min",
    "shifts_only": True,
    "grace_s": 600.0,  # two seconds on the wall
}
ALERT = {
    "window": "furnace-intensity",
    "above": 1.0,  # kWh/t: any furnace is above
    "clear_below": 0.5,
    "hold_s": 1800,
}


async def sequences(plant: Factory, influx: Influxd) -> dict[str, tuple[set[float], set[float]]]:
    """Return the sequence numbers of each machine: those of the history and those of the database."""
    found = {}
    for asset in plant.devices:
        kept = await stored(plant.gateway, f"{asset}.sequence.count")
        spec = plant.gateway.table.spec(plant.gateway.table.ids[f"{asset}.sequence.count"])
        query = f'SELECT "{spec.like.field}" FROM "{spec.like.measurement}" WHERE "asset" = \'{asset}\''
        sent = {float(row[spec.like.field]) for row in influx.query(DATABASE, query)}
        found[asset] = set(kept.value.tolist()), sent
    return found


def done(gateway: Gateway) -> bool:
    """Return whether the second whole window is there and the alert fires."""
    window = gateway.table.ids["furnace-1.furnace-intensity.energy_intensity"]
    alert = newest(gateway, "furnace-1.furnace-intensity-high.alert")
    return bool(gateway.latest.time_ns[window] >= SECOND_END_NS) and alert == Status.FIRING


async def test_every_panel_and_rule_finds_what_the_gateway_delivers(influx: Influxd, tmp_path: Path) -> None:
    influx.create(DATABASE)
    sink = {"type": "influxdb", "api": "v1", "url": influx.url, "database": DATABASE}
    blocks = {"windows": {"furnace-intensity": WINDOW}, "alerts": {"furnace-intensity-high": ALERT}}
    config = configured(sink, EVERY_S, **blocks)
    clock = Clock(round(START.timestamp()) * 10**9, speed=SPEED)
    async with factory(config, tmp_path, clock, step_s=STEP_S) as plant:
        gateway = plant.gateway
        async with running(gateway):
            await until(lambda: done(gateway), 240, "two windows and an alert")
            # So fast, ticks are 75 s apart or more, and every tenth carries the counters: looked back at from there.
            counted, done_ns = gateway.table.ids[FREE_KEY], clock.now_ns()
            await until(lambda: gateway.latest.time_ns[counted] > done_ns, what="the counters after it")
        end_ms = int(gateway.latest.time_ns[counted]) // 10**6 + 1
        result = Result.of(gateway, plant.account(), await gateway.history.count())
        windows = await stored(gateway, "furnace-1.furnace-intensity.energy_intensity")
        numbers = await sequences(plant, influx)
        index = await stored(gateway, "furnace-1.mass.mass_index")
        mass = await stored(gateway, "furnace-1.mass.mass")
    log.info("%s, windows %s", result, windows.value)
    assert mass.value.sum() == index.value[-1] - index.value[0] > 0, "every piece of steel counts"
    assert (result.lost, result.backlog) == (0, 0)
    assert len(windows) >= 2
    lines = list(compare(plant.tally.accounts, plant.devices))
    for line in lines:
        log.info("%s", line)
    assert [line for line in lines if not line.agrees] == []
    assert len(lines) == len(plant.devices) == 6
    for asset, (kept, sent) in numbers.items():
        assert len(kept) > 10, asset  # how many there are in two hours is the machine's affair at this speed
        assert kept == sent, asset

    found = dict(answers(influx, DATABASE, round(START.timestamp()) * 1000, end_ms))
    assert len(found) == len(panels()) + len(rules())
    assert [title for title, rows in found.items() if not rows] == []
