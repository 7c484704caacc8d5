"""What an OPC UA server's history holds of an outage comes before the live values, once each, in order."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import numpy as np
import pytest
from asyncua import ua
from asyncua.server.history import HistoryManager

from collectors.opcua import OpcuaCollector
from collectors.opcua_subscription import Subscription
from config.bindings import BoundDevice
from config.protocols.opcua import OpcuaConnection
from pipeline.batch import Batch
from pipeline.counters import Counters
from pipeline.gaps import Gap
from simulators.faults import Shown
from simulators.serve_opcua import OpcuaServer
from tests.collectors.driving import Driven, bound, ids_of, origin
from tests.interop import saw
from tests.recording import Recorder
from tests.services.opcua_history import HistoryServer, Start
from tests.services.ports import free_port
from tests.waiting import until

MAKES = ("node-opcua", "asyncua")
PEER = {"node-opcua": "node-opcua 2.182 server", "asyncua": "asyncua 2.1 server"}


def points(count: int) -> dict[str, dict[str, Any]]:
    return {f"v{i}": {"quantity": "power", "unit": "kW", "opcua": {"node": f"ns=1;s=v{i}"}} for i in range(count)}


def key(item: int) -> str:
    return f"furnace.v{item}.power"


class Plant:
    """A collector of all items of a history server; each `run` is a process that knows what is committed."""

    def __init__(self, server: HistoryServer | OpcuaServer, items: int, **settings: Any) -> None:
        self.device: BoundDevice = bound("plc", points(items))
        self.ids = ids_of([self.device])
        self.counters = Counters()
        self.committed: list[Batch] = []
        self.items = items
        settings = {"every_s": 0.1, "sampling_s": 0.01, "timeout_s": 15.0, "queue": 100} | settings
        self.connection = OpcuaConnection(protocol="opcua", url=server.url, **settings)

    def run(self) -> Driven:
        collector = OpcuaCollector(origin(), self.connection, [self.device], self.ids, self.counters)
        return Driven(collector, self.ids, after=self.committed)

    def end(self, driven: Driven) -> None:
        self.committed += driven.batches
        self.last = driven

    def values(self, item: int) -> list[float]:
        series = self.ids[key(item)]
        return [v for b in self.committed for v in b.value[b.series == series].tolist()]

    def gaps(self) -> list[tuple[float, int]]:
        """Return (cause, span) of the gap rows in the order committed."""
        series = self.ids["furnace.plc-gap.gap"]
        return [
            (float(b.value[i]), int(b.span_ns[i])) for b in self.committed for i in np.flatnonzero(b.series == series)
        ]


def assert_whole(values: list[float]) -> None:
    """Each number once and in order, none left out; the first may be the one from before the count began."""
    counted = values[1:] if values[0] == -1 else values
    assert counted == list(np.arange(counted[0], counted[0] + len(counted))), _holes(counted)


def _holes(values: list[float]) -> str:
    steps = np.diff(values)
    return f"steps {[(values[i], steps[i]) for i in np.flatnonzero(steps != 1)][:10]}"


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_after_a_restart_of_the_gateway_the_time_between_is_read_back(
    start_history: Start, make: str, mode: str
) -> None:
    # Polled, each value is met by the poll or is not: what it passes over is no gap, so only the outage is looked at.
    plant = Plant(start_history(make, items=3, step_ms=50), 3, mode=mode, every_s=0.02 if mode == "poll" else 0.1)
    async with plant.run() as driven:
        await until(lambda: all(len(driven.values(key(i))) > 10 for i in range(3)))
    plant.end(driven)
    before = [plant.values(i)[-1] for i in range(3)]
    await asyncio.sleep(3.0)  # the outage itself
    async with plant.run() as driven:
        await until(lambda: all(len(driven.values(key(i))) > 60 for i in range(3)))
    plant.end(driven)
    for item in range(3):
        values = plant.values(item)
        outage = [v for v in values if before[item] - 1 < v < before[item] + 50]
        assert_whole(outage)
        assert len(set(values)) == len(values)
    # A loaded machine may be late for a poll of 20 ms, and well again.
    ((cause, span_ns),) = [(c, s) for c, s in plant.gaps() if c != Gap.MISSED and (c, s) != (Gap.NONE, 0)]
    assert cause == Gap.NONE
    assert span_ns > 2_500_000_000  # the row says what time is whole again
    saw("OPC UA history", PEER[make], f"gap of a stopped gateway read back ({mode})", "3 nodes, none missing or twice")


@pytest.mark.parametrize("make", MAKES)
async def test_a_long_history_comes_in_parts(start_history: Start, make: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So few values in an answer that no server need make thousands a second, which a loaded machine cannot."""
    monkeypatch.setattr("collectors.opcua_history._VALUES", 100)
    limits = {"maxNodesPerHistoryReadData": 2}
    plant = Plant(start_history(make, items=5, step_ms=20, limits=limits), 5)
    async with plant.run() as driven:
        await until(lambda: all(driven.values(key(i)) for i in range(5)))
    plant.end(driven)
    before = [plant.values(i)[-1] for i in range(5)]
    await asyncio.sleep(6.0)  # three hundred values of each: more than an answer holds
    async with plant.run() as driven:
        await until(lambda: all(len(driven.values(key(i))) > 250 for i in range(5)))
    plant.end(driven)
    for item in range(5):
        assert_whole([v for v in plant.values(item) if before[item] <= v < before[item] + 250])
    total = sum(len(plant.values(i)) for i in range(5))
    saw("OPC UA history", PEER[make], "continuation points followed", f"{total} values, none missing or twice")


async def test_a_frozen_server_is_read_again_and_the_stretch_read_back(start_history: Start) -> None:
    """Four servers beside each other, two of each make: a minute is long enough once."""
    each = list(itertools.product(MAKES, (8.0, 60.0)))
    servers = [start_history(make, items=2, step_ms=50) for make, _ in each]
    await asyncio.gather(*(frozen_and_thawed(s, make, span_s) for s, (make, span_s) in zip(servers, each, strict=True)))


async def frozen_and_thawed(server: HistoryServer, make: str, frozen_s: float) -> None:
    plant = Plant(server, 2, stale_s=10.0, timeout_s=4.0)
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key(0))) > 10)
        server.freeze()
        await asyncio.sleep(frozen_s)  # what is tested is this very duration
        frozen = driven.values(key(0))[-1]
        server.thaw()
        thawed = time.monotonic()
        await until(lambda: driven.values(key(0))[-1] > frozen + frozen_s / 0.05 + 10)
        took_s = time.monotonic() - thawed
        await until(lambda: len(driven.values(key(1))) >= len(driven.values(key(0))))
    plant.end(driven)
    print(f"{make}, {frozen_s:.0f} s: reading again after {took_s:.1f} s; {driven.failures}")
    for item in range(2):
        # Live, a value may be over before it is sampled; of the outage the history holds each.
        values = plant.values(item)
        assert len(set(values)) == len(values)
        assert_whole([v for v in values if frozen <= v < frozen + frozen_s / 0.05 - 5])
    result = f"live after {took_s:.1f} s, {frozen_s / 0.05:.0f} values of the stretch, none missing or twice"
    saw("OPC UA frozen", PEER[make], f"SIGSTOP {frozen_s:.0f} s", result)


@pytest.mark.parametrize("make", MAKES)
async def test_points_without_a_history_say_so_once_and_their_gap_stands(
    start_history: Start, make: str, caplog: pytest.LogCaptureFixture
) -> None:
    plant = Plant(start_history(make, items=3, plain=1, step_ms=50), 3)
    for _ in range(2):
        async with plant.run() as driven:
            await until(lambda d=driven: all(len(d.values(key(i))) > 10 for i in range(3)))
        plant.end(driven)
        last = plant.values(0)[-1]
        await asyncio.sleep(0.5)  # something is missed
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key(0))) > 15)
    plant.end(driven)
    assert_whole([v for v in plant.values(0) if last <= v < last + 8])
    assert plant.gaps() == []  # nothing says that the device is whole: it is not
    told = [r.message for r in caplog.records if "history" in r.message]
    assert "1 of 3 points" in told[0]
    assert "furnace.plc.v2" in told[0]


async def test_a_server_without_any_history(start_history: Start, caplog: pytest.LogCaptureFixture) -> None:
    plant = Plant(start_history("node-opcua", items=2, plain=2, step_ms=50), 2)
    for _ in range(2):
        async with plant.run() as driven:
            await until(lambda d=driven: len(d.values(key(0))) > 10)
        plant.end(driven)
    assert any("keeps no history for us" in r.message for r in caplog.records)
    assert plant.gaps() == []


async def test_a_server_that_answers_with_nothing_and_keeps_nothing_is_not_waited_for(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """The simulators' server: its history is asked once, well answered, empty, and no node says that it has one."""
    device = bound("plc", points(2))
    async with OpcuaServer(f"opc.tcp://127.0.0.1:{free_port()}") as server:
        shown = await server.add("plc", device.points)
        plant = Plant(server, 2)
        for step in range(2):
            await shown.show(Shown(time.time_ns(), {"v0": step, "v1": step}))
            async with plant.run() as driven:
                await until(lambda d=driven, n=step: d.values(key(0))[-1:] == d.values(key(1))[-1:] == [n])
            plant.end(driven)
    assert recorder.asked["Client of OPC UA: HistoryRead"] == 1
    assert [r.message for r in caplog.records if "keeps no history for us" in r.message]


async def test_a_history_is_not_asked_further_back_than_configured(start_history: Start) -> None:
    plant = Plant(start_history("node-opcua", items=1, step_ms=50), 1, backfill_h=1 / 3600)
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key(0))) > 10)
    plant.end(driven)
    last = plant.values(0)[-1]
    await asyncio.sleep(4.0)  # the outage itself, longer than the second that is asked for
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key(0))) > 10)
    plant.end(driven)
    again = driven.values(key(0))[0]
    assert again > last + 30
    assert (np.diff(driven.values(key(0))) > 0).all()  # a server that was late itself folds changes of a moment


async def test_values_a_running_server_dropped_are_read_back_but_not_for_ever(
    start_history: Start, caplog: pytest.LogCaptureFixture
) -> None:
    plant = Plant(start_history("node-opcua", items=1, step_ms=20), 1, every_s=0.5, queue=2)
    async with plant.run() as driven:
        await until(lambda: driven.gaps(plant.device).count(Gap.OVERFLOW) >= 3)
    plant.end(driven)
    steps = "".join("1" if step == 1 else " " for step in np.diff(plant.values(0)))
    assert max(map(len, steps.split())) > 10, steps  # of the queue alone come two in a row
    whole = [(cause, span_ns) for cause, span_ns in plant.gaps() if span_ns and cause == Gap.NONE]
    assert len(whole) == 1
    told = [r.message for r in caplog.records if "lost" in r.message]
    assert len(told) == 2, told
    assert "raise 'queue'" in told[0]
    assert "stays missing" in told[1]


async def test_notifications_that_are_lost_are_read_back(start_history: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant(start_history("node-opcua", items=1, step_ms=50), 1)
    published, count, lost = Subscription._published, itertools.count(), list[float]()

    def swallowing(self: Subscription, result: ua.PublishResult) -> None:
        if next(count) not in (5, 6, 7):
            published(self, result)
        else:
            lost.extend(v for part in result.NotificationMessage.NotificationData for v in part.value[part.index > 0])

    monkeypatch.setattr(Subscription, "_published", swallowing)
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key(0))) > 60)
    plant.end(driven)
    values = plant.values(0)
    assert len(lost) > 3
    assert len(set(values)) == len(values)
    assert_whole([v for v in values if lost[0] <= v <= lost[-1]])
    assert set(lost) <= set(values)
    assert [cause for cause, _ in plant.gaps()] == [Gap.OVERFLOW, Gap.NONE]
    assert plant.gaps()[1][1] > 100_000_000  # [ns] the row spans what is whole again


@pytest.mark.parametrize(("lie", "told"), [("fewer", "BadUnexpectedError"), ("endless", "BadContinuationPointInvalid")])
async def test_a_history_that_lies_is_refused_and_live_values_go_on(
    lie: str, told: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Fewer results than were asked for, and continuation points that lead nowhere."""
    asked = 0

    async def read_history(_: HistoryManager, wanted: ua.HistoryReadParameters) -> list[ua.HistoryReadResult]:
        nonlocal asked
        asked += 1
        point = b"again" if lie == "endless" else None
        results = [
            ua.HistoryReadResult(ContinuationPoint=point, HistoryData=ua.HistoryData()) for _ in wanted.NodesToRead
        ]
        return results[:-1] if lie == "fewer" else results

    monkeypatch.setattr(HistoryManager, "read_history", read_history)
    device = bound("plc", points(3))
    async with OpcuaServer(f"opc.tcp://127.0.0.1:{free_port()}") as server:
        shown = await server.add("plc", device.points)
        plant = Plant(server, 3)
        for step in range(2):
            await shown.show(Shown(time.time_ns(), {f"v{i}": step for i in range(3)}))
            async with plant.run() as driven:
                await until(lambda d=driven, n=step: all(d.values(key(i))[-1:] == [n] for i in range(3)))
                assert driven.failures == []
            plant.end(driven)
    assert asked <= 10
    assert [r.message for r in caplog.records if "keeps no history for us" in r.message and told in r.message]
