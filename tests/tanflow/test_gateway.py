"""The whole gateway on a simulated factory: what it accepts is kept, over stops, restarts and failing parts."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from config.errors import GatewayError
from config.load import load
from config.model import Gateway as Config
from config.protocols.modbus import ModbusConnection
from config.templates import load_all
from pipeline.clock import Clock
from pipeline.gaps import Gap
from pipeline.log.schema import open_writer
from pipeline.log.writer import LogFailed
from simulators.scenario import Scenario
from simulators.serve import Served, serve
from tanflow import registry, tasks
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tanflow.running import DEMO_SCENARIO
from tests.pipeline.tables import HOUR, START
from tests.waiting import DEADLINE_S, until

SPEED = 10.0
SIMULATED = ("main-meter", "compressor-1", "compressor-2", "chiller-1", "pv-1", "furnace-1")


def placed(config: Config, folder: Path) -> Config:
    """Return the configuration with its data in a test's folder, quick commits and no page."""
    data = config.data.model_copy(update={"dir": folder, "commit_ms": 20, "ballast_mb": 1, "snapshot_s": 0.5})
    return config.model_copy(update={"data": data, "api": None})


def empty(folder: Path) -> Config:
    site = {"name": "s", "region": "CN-GD"}
    return placed(Config.model_validate({"version": 1, "site": site, "connections": {}, "areas": {}}), folder)


@asynccontextmanager
async def factory(clock: Clock) -> AsyncIterator[Served]:
    """The demo factory on free ports, moving with the clock."""
    loaded, scenario = load(DEMO_SCENARIO.parent / "factory.yaml"), Scenario.load(DEMO_SCENARIO)
    devices, step = scenario.devices()
    async with serve(loaded.gateway, loaded.templates, devices, step=step, free_ports=True) as served:
        moving = asyncio.create_task(served.run(clock))
        yield served
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)


@asynccontextmanager
async def running(config: Config, clock: Clock | None = None) -> AsyncIterator[Gateway]:
    """Open a gateway and run it until the block is left, then stop it in order."""
    async with open_gateway(config, load_all(), clock=clock) as gateway:
        stop = asyncio.Event()
        task = asyncio.create_task(gateway.run(stop))
        try:
            yield gateway
        finally:
            stop.set()
            await task


def written(gateway: Gateway) -> int:
    """Return how many rows were ever committed to a log, those retired included."""
    ((rows,),) = gateway.log.reader.query("SELECT max(rows_before + rows) FROM log")
    return int(rows)


async def sequences(gateway: Gateway, asset: str) -> list[tuple[int, int]]:
    """Return (time, sequence number) of an asset's rows in the history, by time."""
    answer = await gateway.history.query([gateway.table.ids[f"{asset}.sequence.count"]], 0, 2**62)
    return list(zip(answer.time_ns.tolist(), answer.value.astype(int).tolist(), strict=True))


def seen(gateway: Gateway) -> dict[str, float]:
    return {a: float(gateway.latest.value[gateway.table.ids[f"{a}.sequence.count"]]) for a in SIMULATED}


async def six_of_each(gateway: Gateway, after: dict[str, float]) -> None:
    """Return once six different readings of each device, made later than `after`, have come through."""
    found: dict[str, set[float]] = {a: set() for a in SIMULATED}

    def enough() -> bool:
        for asset, number in seen(gateway).items():
            if number > after[asset]:
                found[asset].add(number)
        return all(len(numbers) >= 6 for numbers in found.values())

    await until(enough, 240)


async def test_an_empty_plant_ticks_and_stops(tmp_path: Path) -> None:
    async with running(empty(tmp_path)) as gateway:
        await until(lambda: gateway.heartbeat.ticks >= 2)
        rows = gateway.log.position
        assert rows > 0
        task_names = {t.get_name() for t in asyncio.all_tasks()}
        assert {"heartbeat", "history", "log", "clock"} <= task_names
    async with open_gateway(empty(tmp_path), {}) as gateway:
        assert gateway.table.revision == 1
        assert await gateway.history.count() == written(gateway) > 0


async def test_a_second_gateway_on_the_same_data_is_refused(tmp_path: Path) -> None:
    async with open_gateway(empty(tmp_path), {}):
        with pytest.raises(GatewayError, match="belongs to a running gateway"):
            async with open_gateway(empty(tmp_path), {}):
                pass
    async with open_gateway(empty(tmp_path), {}):
        pass


async def test_stops_and_restarts_lose_and_double_nothing(tmp_path: Path) -> None:
    """Three lives on one factory. All rows of the log are in the history at each stop; no reading is there twice."""
    clock, lives = Clock(speed=SPEED), 3
    async with factory(clock) as served:
        config = placed(served.gateway, tmp_path)
        for life in range(lives):
            async with running(config, clock) as gateway:
                assert gateway.table.revision == 1
                begun = written(gateway) if life else 0
                first = {a: served.devices[a].readings.get("sequence", -1.0) for a in SIMULATED}
                await six_of_each(gateway, first)
            last = {a: served.devices[a].readings["sequence"] for a in SIMULATED}
            # Two steps on: what a server shows is written after the device has made its step.
            await until(lambda n=last: all(served.devices[a].readings["sequence"] > n[a] + 1 for a in SIMULATED))
        async with open_gateway(config, load_all(), clock=clock) as gateway:
            assert written(gateway) > begun > 0
            assert await gateway.history.count() == written(gateway)
            assert gateway._local_floor() <= gateway.history.cursor
            for asset in SIMULATED:
                rows = await sequences(gateway, asset)
                assert max(Counter(t for t, _ in rows).values()) == 1
                numbers = [n for _, n in rows]
                assert numbers == sorted(numbers)
                assert len(set(numbers)) >= 6 * lives
            for asset in ("pv-1", "furnace-1"):  # told, not asked: each step once
                numbers = [n for _, n in await sequences(gateway, asset)]
                assert len(numbers) == len(set(numbers))
            await spans_join(gateway)


async def spans_join(gateway: Gateway) -> None:
    """Assert that a counter's intervals lie end to end over all lives: none missing, none twice."""
    series = gateway.table.ids["compressor-1.energy_import.energy"]
    answer = await gateway.history.query([series], 0, 2**62)
    ends, spans = answer.time_ns.tolist(), answer.span_ns.tolist()
    assert len(ends) > 15
    assert all(b - span == a for (a, b), span in zip(pairwise(ends), spans[1:], strict=True))


class Failing:
    """A collector with a defect."""

    async def __aenter__(self) -> Failing:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def resume(self, tokens: object, newest_ns: object) -> None: ...

    async def batches(self) -> AsyncIterator[Any]:
        raise ZeroDivisionError("a defect")
        yield


async def test_the_time_no_gateway_ran_is_a_gap_of_each_device(tmp_path: Path) -> None:
    place = {"energy": {"quantity": "energy_index", "unit": "kWh", "modbus": {"address": 0, "type": "uint32"}}}
    device = {"connection": "floor", "address": "127.0.0.1:1/1", "points": place}
    assets = {"m": {"type": "meter", "devices": {"d": device}}}
    plant = empty(tmp_path).model_dump() | {
        "connections": {"floor": {"protocol": "modbus"}},
        "areas": {"hall": {"assets": assets}},
    }
    config = Config.model_validate(plant)
    async with running(config, Clock(anchor_ns=START)) as first:
        await until(lambda: first.heartbeat.ticks)
    async with open_gateway(config, load_all(), clock=Clock(anchor_ns=START + HOUR)) as second:
        gap = second.table.ids["m.d-gap.gap"]
        rows = [b.take(b.series == gap) for w in second.log.read(0, 10**6) for b in w.batches if gap in b.series]
    stopped = [(r.value[0], r.span_ns[0]) for r in rows if r.value[0] == Gap.STOPPED]
    assert len(stopped) == 1
    assert stopped[0][1] == pytest.approx(HOUR, rel=0.2)  # the first life counts too, however long


async def test_a_collector_that_fails_is_started_again_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = registry.collector, Counter[str]()

    def once_failing(origin: Any, *rest: Any) -> Any:
        made[origin.connection] += 1
        failing = origin.connection == "plc" and made["plc"] <= 2
        return Failing() if failing else make(origin, *rest)

    monkeypatch.setattr(registry, "collector", once_failing)
    clock = Clock(speed=SPEED)
    async with factory(clock) as served, running(placed(served.gateway, tmp_path), clock) as gateway:
        await until(lambda: all(number >= 0 for number in seen(gateway).values()))
        assert made == {"floor": 1, "plc": 3, "broker": 1}
        counters = gateway.board.components["collector.plc"]
        assert (counters.restarts, counters.last_error) == (2, "a defect")
        assert gateway.board.components["collector.floor"].restarts == 0


class Deaf(Failing):
    """A collector in a library that loses a cancellation."""

    def __init__(self, losses: list[int]) -> None:
        self.losses = losses

    async def batches(self) -> AsyncIterator[Any]:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if not self.losses:
                    raise
                self.losses.pop()
        yield


async def test_a_collector_that_loses_a_cancellation_does_not_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = [1, 2]
    monkeypatch.setattr(registry, "collector", lambda *_: Deaf(losses))
    monkeypatch.setattr(tasks, "_CANCEL_AGAIN_S", 0.05)
    connections = {"connections": {"floor": ModbusConnection(protocol="modbus")}}
    async with asyncio.timeout(DEADLINE_S), running(empty(tmp_path).model_copy(update=connections)) as gateway:
        await until(lambda: gateway.heartbeat.ticks >= 1)
    assert not losses


async def test_a_log_that_cannot_be_written_ends_the_gateway(tmp_path: Path) -> None:
    async with open_gateway(empty(tmp_path), {}) as gateway:
        task = asyncio.create_task(gateway.run(asyncio.Event()))
        await until(lambda: gateway.heartbeat.ticks >= 1)
        gateway.log.writer._db.execute("DROP TABLE cursors")
        gateway.log.writer._db.execute("DROP TABLE log")
        with pytest.raises(LogFailed):
            await asyncio.wait_for(task, DEADLINE_S)


def test_the_log_is_whole_after_all_that(tmp_path: Path) -> None:
    """SQLite's own check finds nothing wrong with a log that was used and closed."""
    asyncio.run(one_life(tmp_path))
    database = sqlite3.connect(tmp_path / "log.db")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
    assert not (tmp_path / "log.db-wal").exists()  # the last to close put everything into the one file


async def one_life(folder: Path) -> None:
    async with running(empty(folder)) as gateway:
        await until(lambda: gateway.heartbeat.ticks >= 1)


async def test_a_log_younger_than_its_history_is_refused(tmp_path: Path) -> None:
    """A lost or restored log.db: its new rows would count as archived, and be let go without having been written."""
    await one_life(tmp_path)
    log, away = tmp_path / "log.db", tmp_path / "away.db"
    log.rename(away)
    for words in ("log.db is gone", "not the log it was made of"):
        with pytest.raises(GatewayError, match=words):
            async with open_gateway(empty(tmp_path), {}):
                pass
        open_writer(tmp_path).close()
    away.replace(log)
    async with open_gateway(empty(tmp_path), {}) as gateway:
        assert await gateway.history.count() == written(gateway) > 0
