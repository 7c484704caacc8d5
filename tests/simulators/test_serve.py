"""One configuration served over three protocols and read back by clients that know nothing of the simulator."""

from __future__ import annotations

import asyncio
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import Client as OpcuaClient
from pymodbus.client import AsyncModbusTcpClient

from config.errors import ConfigError
from pipeline.clock import SECOND_NS, Clock
from simulators.faults import Drop, ExceptionCode, Rollover
from simulators.serve import serve
from simulators.serve_mqtt import put, stamp, topic_of
from tests.simulators.small_plant import INVERTER, METER, START_NS, Listener, Ramp, gateway, steps
from tests.waiting import until


async def test_registers_of_the_configured_unit() -> None:
    async with serve(gateway(), {}, {"meter": Ramp("meter")}, free_ports=True) as served:
        (server,) = served.network.modbus.values()
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=60)
        assert await client.connect()
        busy = await client.read_holding_registers(10, count=6, device_id=7)
        assert busy.exception_code == 6  # before the first step there is nothing to read, and no zero is made up
        await steps(served, 5)
        registers = (await client.read_holding_registers(10, count=6, device_id=7)).registers
        assert struct.unpack(">fII", struct.pack(">6H", *registers)) == (100_000.0, 500, 4)
        (device,) = served.gateway.areas["hall"].assets["meter"].devices.values()
        assert device.address == f"127.0.0.1:{server.port}/7"
        client.close()


@pytest.mark.writes("asyncua's client tries to")
async def test_nodes_carry_the_time_of_their_step() -> None:
    async with (
        serve(gateway(), {}, {"furnace": Ramp("furnace")}, free_ports=True) as served,
        OpcuaClient(served.network.opcua["plc"].url, timeout=60) as client,
    ):
        node = client.get_node("ns=3;s=Furnace.T1")
        waiting = await node.read_data_value(raise_on_bad_status=False)
        assert waiting.StatusCode.name == "BadWaitingForInitialData"
        await steps(served, 3)
        value = await node.read_data_value()
        assert value.Value is not None
        assert value.Value.Value == 22.0
        assert value.SourceTimestamp == datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC)
        assert await client.get_node("ns=2;s=Furnace.Seq").read_value() == 2.0
        with pytest.raises(Exception, match=r"BadUserAccessDenied|BadNotWritable"):
            await node.write_value(1.0)


async def test_messages_with_time_and_sequence() -> None:
    async with (
        serve(gateway(), {}, {"inverter": Ramp("inverter")}, free_ports=True) as served,
        Listener(served.network.mqtt["roof"].port) as listener,
    ):
        await steps(served, 3)
        await until(lambda: len(listener.payloads) == 3)
        assert [topic for topic, _ in listener.payloads] == ["site/inverter"] * 3
        assert listener.payloads[1][1] == {
            "ts": START_NS // 10**6 + 2_000,
            "seq": 1,
            "ac": {"power": 100_000.0},
            "energy": [200.0],
        }
        messages = served.network.messages["inverter.main"]
        await until(lambda: served.network.mqtt["roof"].settle() or list(messages.acked) == [0, 1, 2])
        assert list(messages.published) == [0, 1, 2]


async def test_the_small_broker_keeps_messages_for_a_subscriber_that_comes_back() -> None:
    async with serve(gateway(), {}, {"inverter": Ramp("inverter")}, free_ports=True) as served:
        port = served.network.mqtt["roof"].port
        async with Listener(port, clean=False) as first:
            await steps(served, 1)
            await until(lambda: len(first.payloads) == 1)
        await steps(served, 3)
        network = served.network
        await until(lambda: network.mqtt["roof"].settle() or len(network.messages["inverter.main"].acked) == 4)
        async with Listener(port, clean=False) as again:
            await until(lambda: len(again.payloads) == 3)
        assert [p["seq"] for _, p in again.payloads] == [1, 2, 3]


async def test_messages_keep_their_own_period() -> None:
    config = gateway(inverter={"connection": "roof", "address": "site/+", "every_s": 3, "points": INVERTER})
    async with serve(config, {}, {"inverter": Ramp("inverter")}, free_ports=True) as served:
        await steps(served, 9)
        assert list(served.network.messages["inverter.main"].published) == [2, 5, 8]


async def test_by_the_clock_each_step_is_a_whole_second() -> None:
    meter = Ramp("meter")
    async with serve(gateway(), {}, {"meter": meter}, free_ports=True) as served:
        running = asyncio.create_task(served.run(Clock(anchor_ns=START_NS + 1, speed=50.0)))
        await until(lambda: len(meter.trace.time_ns) >= 5)
        running.cancel()
        assert meter.trace.time_ns[0] == START_NS
        assert all(t % SECOND_NS == 0 for t in meter.trace.time_ns)
        assert meter.trace.time_ns[-1] - START_NS + SECOND_NS == served.elapsed_s * SECOND_NS


async def test_everything_wrong_is_told_at_once() -> None:
    faults = [
        Drop(fault="drop", at_s=1, device="nobody"),
        ExceptionCode(fault="exception", at_s=1, device="furnace"),
        Rollover(fault="rollover", at_s=0, device="meter.main", left=1, points=("power",)),
        Drop(fault="drop", at_s=1, device="meter", points=("pressure",)),
    ]
    devices = {"furnace": Ramp("furnace"), "meter": Ramp("meter"), "spare": Ramp("spare")}
    spare = {"connection": "floor", "address": "127.0.0.1/400", "points": METER}
    with pytest.raises(ConfigError) as told:
        async with serve(gateway(spare=spare), {}, devices, faults=faults, free_ports=True):
            pass
    messages = [p.message for p in told.value.problems]
    assert len(messages) == 5
    assert any("unit 400" in m for m in messages)
    assert any("only seen over modbus" in m for m in messages)
    assert any("no point 'pressure'" in m for m in messages)
    assert any("could roll over" in m for m in messages)
    assert any("not served" in m for m in messages)


def test_topics_paths_and_times() -> None:
    assert topic_of("plant/+/data/#", "pv-1") == "plant/pv-1/data/pv-1"
    payload: Any = {}
    for path, value in (("a.b", 1), ("a.c.2", 2), ("a.c.0", 3)):
        put(payload, path.split("."), value)
    assert payload == {"a": {"b": 1, "c": [3, None, 2]}}
    assert stamp(START_NS + 5_000_000, "iso") == "2026-01-01T00:00:00.005Z"
    assert stamp(START_NS, "s") == START_NS / 1e9
    assert stamp(START_NS, "us") == START_NS // 1_000
