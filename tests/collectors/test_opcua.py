"""The OPC UA collector against node-opcua's server: values, times, status, deadband, polling, loss and silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collectors.opcua import OpcuaCollector
from collectors.opcua_trust import REJECTED, TRUSTED, TrustList
from config.bindings import BoundDevice
from config.protocols.opcua import OpcuaConnection
from config.strict import Secret
from pipeline.counters import Counters
from pipeline.gaps import Gap
from pipeline.quality import BAD, COMM, GOOD, STALE, UNCERTAIN
from tests.client_recording import services
from tests.collectors.driving import Driven, bound, ids_of, origin
from tests.recording import Recorder
from tests.services.node import NodeOpcua
from tests.waiting import until


def points(*names: str) -> dict[str, dict[str, Any]]:
    return {n: {"quantity": "power", "unit": "kW", "opcua": {"node": f"ns=1;s={n}"}} for n in names}


def key(name: str) -> str:
    return f"furnace.{name}.power"


class Plant:
    """A collector on a server's URL with its counters."""

    def __init__(self, url: str, *devices: BoundDevice, data: Path = Path(), **settings: Any) -> None:
        self.counters = Counters()
        self.ids = ids_of(devices)
        settings = {"every_s": 0.1, "sampling_s": 0.05, "timeout_s": 10.0} | settings
        connection = OpcuaConnection(protocol="opcua", url=url, **settings)
        self.collector = OpcuaCollector(origin(data), connection, devices, self.ids, self.counters)

    def run(self) -> Driven:
        return Driven(self.collector, self.ids)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


async def test_values_carry_the_sources_time_and_status(node_opcua: NodeOpcua) -> None:
    plant = Plant(node_opcua.url, bound("plc", points("power", "running", "count", "single", "energy")))
    async with plant.run() as driven:
        await until(lambda: all(driven.values(key(n)) for n in ("power", "running", "count", "single", "energy")))
        node_opcua.set("power", 12.5, time="2024-01-01T00:00:10Z")
        await until(lambda: len(driven.rows(key("power"))) == 2)
        node_opcua.set("power", 13.5, time="2024-01-01T00:00:20.250Z", status="BadNoCommunication")
        await until(lambda: len(driven.rows(key("power"))) == 3)
        node_opcua.set("power", 14.5, time="2024-01-01T00:00:30Z", status="UncertainLastUsableValue")
        await until(lambda: len(driven.rows(key("power"))) == 4)
        node_opcua.set("running", True)
        await until(lambda: driven.values(key("running")) == [0.0, 1.0])
    first, second, third = driven.rows(key("power"))[1:]
    assert first == (at("2024-01-01T00:00:10"), 12.5, GOOD, 0)
    assert second[0] == at("2024-01-01T00:00:20") + 250_000_000
    assert second[2] == BAD | COMM
    assert third[1:3] == (14.5, UNCERTAIN | STALE)
    assert driven.values(key("count")) == [float(2**40)]
    assert driven.values(key("single")) == [2.5]
    assert plant.counters.latency_s is not None  # by the server's clock, which is in the same subscription
    assert plant.counters.received == sum(map(len, driven.batches))


async def test_a_confirmed_value_is_a_reading_and_a_deadband_holds_small_changes_back(node_opcua: NodeOpcua) -> None:
    plain = Plant(node_opcua.url, bound("plc", points("power")))
    coarse = Plant(node_opcua.url, bound("plc", points("power", "running")), deadband=1.0)
    async with plain.run() as every, coarse.run() as changes:
        await until(lambda: every.values(key("power")) and changes.values(key("power")))
        for index, value in enumerate((0.5, 0.5, 0.9, 3.0)):
            node_opcua.set("power", value)
            await until(lambda n=index + 2: len(every.values(key("power"))) == n)
        await until(lambda: len(changes.values(key("power"))) == 2)
    assert every.values(key("power")) == [0.5, 0.5, 0.5, 0.9, 3.0]
    assert changes.values(key("power")) == [0.5, 3.0]
    assert changes.values(key("running")) == [0.0]  # a Boolean takes no deadband, and is monitored all the same


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_a_missing_node_and_a_text_are_their_own_problem(
    node_opcua: NodeOpcua, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = bound("plc", points("nowhere", "ramp")), bound("meter", points("label", "power"), asset="furnace")
    plant = Plant(node_opcua.url, broken, sound, mode=mode, every_s=0.5)
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key("ramp"))) > 8 and driven.values(key("power")))
    late = {Gap.MISSED, Gap.NONE}  # a loaded machine may be late for a poll
    assert [cause for cause in driven.gaps(broken) if cause not in late] == [Gap.EXCEPTION]
    assert set(driven.gaps(sound)) <= (late if mode == "poll" else set())
    assert driven.values(key("nowhere")) == []
    assert "BadNodeIdUnknown" in plant.counters.links["furnace.plc"]
    assert driven.rejects[0].source == "furnace.meter.label (ns=1;s=label)"
    assert "String" in driven.rejects[0].reason
    assert driven.rejects[0].raw == b"'press'"
    told = [r.message for r in caplog.records if r.name == "tanflow.opcua"]
    assert len(told) == 2, told


async def test_polling_yields_each_reading_once(node_opcua: NodeOpcua) -> None:
    device = bound("plc", points("ramp", "power"))
    plant = Plant(node_opcua.url, device, mode="poll", every_s=0.05)
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key("ramp"))) > 10)
    ramp = driven.values(key("ramp"))
    assert ramp == sorted(set(ramp))  # sampled twice as fast as it moves: none twice
    # and none left out, but where a loaded machine came too late, which is said
    assert ramp == list(np.arange(ramp[0], ramp[0] + len(ramp))) or Gap.MISSED in driven.gaps(device)
    assert driven.values(key("power")) == [0.5]  # its source said nothing new


async def test_a_server_that_drops_values_leaves_a_gap_row(node_opcua: NodeOpcua) -> None:
    device = bound("plc", points("ramp"))
    plant = Plant(node_opcua.url, device, every_s=1.0, sampling_s=0.05, queue=2)
    async with plant.run() as driven:
        await until(lambda: Gap.OVERFLOW in driven.gaps(device))


async def test_after_a_restart_of_the_server_reading_goes_on(start_node_opcua: Callable[[], NodeOpcua]) -> None:
    server, device = start_node_opcua(), bound("plc", points("ramp"))
    plant = Plant(server.url, device)
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key("ramp"))) > 3)
        await asyncio.to_thread(server.stop)
        await until(lambda: driven.failures and driven.gaps(device))
        before = len(driven.values(key("ramp")))
        await asyncio.to_thread(server.start)
        await until(lambda: len(driven.values(key("ramp"))) > before + 3)
        await until(lambda: driven.gaps(device)[-1] == Gap.NONE)
    assert Gap.DISCONNECTED in driven.gaps(device)
    assert plant.counters.links["furnace.plc"] == ""


async def test_a_value_known_already_is_not_taken_again_after_reopening(node_opcua: NodeOpcua) -> None:
    plant = Plant(node_opcua.url, bound("plc", points("power", "ramp")))
    for _ in range(2):
        async with plant.run() as driven:
            await until(lambda d=driven: len(d.values(key("ramp"))) > 3)
    assert driven.values(key("power")) == []  # second time: the same value of the same instant


@pytest.mark.parametrize(
    ("mode", "stale_s", "timeout_s"),
    [
        ("subscribe", 3.0, 4.0),  # found dead while it is frozen
        ("subscribe", 10.0, 15.0),  # answers again before anything times out, but its subscription stays silent
        ("poll", 10.0, 4.0),
    ],
)
async def test_after_a_freeze_of_8_s_reading_resumes(
    node_opcua: NodeOpcua, mode: str, stale_s: float, timeout_s: float
) -> None:
    device = bound("plc", points("ramp"))
    plant = Plant(node_opcua.url, device, mode=mode, stale_s=stale_s, timeout_s=timeout_s)
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key("ramp"))) > 3)
        node_opcua.freeze()
        await asyncio.sleep(8.0)  # what is tested is this very duration
        frozen = len(driven.values(key("ramp")))
        node_opcua.thaw()
        thawed = time.monotonic()
        await until(lambda: len(driven.values(key("ramp"))) > frozen + 10)
        print(f"{mode}, stale_s {stale_s}: reading again {time.monotonic() - thawed:.1f} s after; {driven.failures}")
        await until(lambda: not driven.failures or driven.gaps(device)[-1] == Gap.NONE)
    causes = {Gap.STALE, Gap.DISCONNECTED, Gap.TIMEOUT, Gap.REFUSED, Gap.NONE, Gap.MISSED}
    assert set(driven.gaps(device)) <= causes


async def test_a_subscription_that_goes_silent_is_built_anew(node_opcua: NodeOpcua) -> None:
    device = bound("plc", points("ramp"))
    plant = Plant(node_opcua.url, device, stale_s=5.0)
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key("ramp"))) > 3)
        node_opcua.mute()
        await until(lambda: Gap.STALE in driven.gaps(device))
        before = len(driven.values(key("ramp")))
        await until(lambda: len(driven.values(key("ramp"))) > before + 3)
    assert "silent" in str(driven.failures[0])
    assert driven.gaps(device) == [Gap.STALE, Gap.NONE]
    assert driven.rows("furnace.plc-gap.gap")[0][3] >= 5_000_000_000  # [ns] the row spans what is missing


async def test_a_user_with_a_password(node_opcua: NodeOpcua, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPCUA_PASSWORD", "meter")
    secret = Secret(env="OPCUA_PASSWORD")
    signed_in: dict[str, Any] = {"username": "reader", "password": secret, "data": tmp_path}
    plant = Plant(node_opcua.url, bound("plc", points("power")), **signed_in)
    async with plant.run() as driven:
        await until(lambda: driven.failures)
    assert "it gets no password" in str(driven.failures[0])
    trust = TrustList(tmp_path / "certs")
    for shown in trust.content(REJECTED).values():
        trust.move(shown, TRUSTED)
    plant = Plant(node_opcua.url, bound("plc", points("power")), **signed_in)
    async with plant.run() as driven:
        await until(lambda: driven.values(key("power")))
    monkeypatch.setenv("OPCUA_PASSWORD", "wrong")
    device = bound("plc", points("power"))
    plant = Plant(node_opcua.url, device, **signed_in)
    async with plant.run() as driven:
        await until(lambda: driven.failures and driven.gaps(device) == [Gap.REFUSED])
    assert node_opcua.url in str(driven.failures[0])
    assert "wrong" not in str(driven.failures[0])


async def test_a_server_that_is_not_there() -> None:
    device = bound("plc", points("power"))
    plant = Plant("opc.tcp://127.0.0.1:9", device)
    async with plant.run() as driven:
        await until(lambda: len(driven.failures) > 1)
    assert set(driven.gaps(device)) == {Gap.REFUSED}
    assert "cannot be opened" in str(driven.failures[0])


async def test_only_services_that_read_are_used(node_opcua: NodeOpcua, recorder: Recorder) -> None:
    for mode in ("subscribe", "poll"):
        plant = Plant(node_opcua.url, bound("plc", points("ramp", "nowhere")), mode=mode)
        async with plant.run() as driven:
            await until(lambda d=driven: len(d.values(key("ramp"))) > 3)
    used = services(recorder)
    assert used <= {"Read", "HistoryRead", "CreateSubscription", "CreateMonitoredItems", "Publish"}
    assert {"Read", "Publish"} <= used


async def test_a_poll_that_takes_longer_than_its_period_is_a_missed_cycle(node_opcua: NodeOpcua) -> None:
    device = bound("plc", points("ramp"))
    plant = Plant(node_opcua.url, device, mode="poll", every_s=0.2, timeout_s=5.0)
    async with plant.run() as driven:
        await until(lambda: len(driven.values(key("ramp"))) > 3)
        node_opcua.freeze()
        await asyncio.sleep(1.0)  # what is tested is that several periods pass
        node_opcua.thaw()
        await until(lambda: driven.gaps(device)[-2:] == [Gap.MISSED, Gap.NONE])
        told = len(driven.gaps(device))
    spans_ns = [row[3] for row in driven.rows("furnace.plc-gap.gap")]
    assert max(spans_ns) >= 800_000_000  # [ns] the row spans the periods missed
    assert driven.gaps(device)[:told] == [Gap.MISSED, Gap.NONE] * (told // 2)  # a loaded machine may miss others
    assert not driven.failures
    assert plant.counters.missed == plant.counters.missed_of["furnace.plc"] == driven.gaps(device).count(Gap.MISSED)
    assert plant.counters.latency_s is not None
    assert plant.counters.latency_s > 0
