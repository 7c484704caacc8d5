"""Each fault as a client of the protocol sees it; the truth underneath does not change."""

from __future__ import annotations

import asyncio
import contextlib
import math
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import Client as OpcuaClient
from asyncua import ua
from pydantic import TypeAdapter, ValidationError
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from simulators.faults import DeviceFaults, Fault
from simulators.serve import Served, serve
from tests.simulators.small_plant import Listener, Ramp, gateway, steps
from tests.waiting import until

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


def script(*faults: dict[str, Any]) -> list[Fault]:
    return TypeAdapter(list[Fault]).validate_python(list(faults))


class Meter:
    """The meter of the small plant, read with pymodbus after every step."""

    def __init__(self, served: Served, timeout_s: float) -> None:
        self.served = served
        (server,) = served.network.modbus.values()
        self.client = AsyncModbusTcpClient(
            "127.0.0.1", port=server.port, timeout=timeout_s, retries=0, reconnect_delay=0
        )

    async def __aenter__(self) -> Meter:
        await self.client.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.close()

    async def read(self) -> tuple[float, int, int] | int | None:
        """Return (power, energy, sequence), an exception code, or None without an answer."""
        try:
            if not self.client.connected:
                await self.client.connect()
            answer = await self.client.read_holding_registers(10, count=6, device_id=7)
        except ModbusException:
            return None
        if answer.isError():
            return int(answer.exception_code)
        return struct.unpack(">fII", struct.pack(">6H", *answer.registers))

    async def over(self, count: int) -> list[Any]:
        seen = []
        for _ in range(count):
            await steps(self.served, 1)
            seen.append(await self.read())
        return seen


async def read_meter(count: int, *faults: dict[str, Any], timeout_s: float = 60) -> tuple[list[Any], Ramp]:
    device = Ramp("meter")
    config = gateway(furnace={}, inverter={})
    async with (
        serve(config, {}, {"meter": device}, faults=script(*faults), free_ports=True) as served,
        Meter(served, timeout_s) as meter,
    ):
        seen = await meter.over(count)
    assert device.readings["energy_import"] == count
    assert len(device.trace.time_ns) == count
    return seen, device


@pytest.mark.parametrize("how", ["close", "silent"])
async def test_drop(how: str) -> None:
    seen, _ = await read_meter(4, {"fault": "drop", "device": "meter", "at_s": 2, "for_s": 2, "how": how}, timeout_s=2)
    assert [s and s[2] for s in seen] == [0, None, None, 3]


async def test_freeze() -> None:
    seen, _ = await read_meter(4, {"fault": "freeze", "device": "meter", "at_s": 2, "for_s": 2})
    assert [s[1:] for s in seen] == [(100, 0), (100, 0), (100, 0), (400, 3)]


async def test_lag() -> None:
    device = Ramp("meter")
    faults = script({"fault": "lag", "device": "meter", "at_s": 1, "for_s": 1, "lag_s": 0.1})
    async with (
        serve(gateway(), {}, {"meter": device}, faults=faults, free_ports=True) as served,
        Meter(served, 60) as meter,
    ):
        loop = asyncio.get_running_loop()
        await steps(served, 1)
        asked = loop.time()
        assert await meter.read()
        assert loop.time() - asked >= 0.1


async def test_exception_codes() -> None:
    seen, _ = await read_meter(3, {"fault": "exception", "device": "meter.main", "at_s": 2, "for_s": 1, "code": 6})
    assert seen[1] == 6
    assert seen[2][2] == 2


async def test_nan() -> None:
    seen, _ = await read_meter(3, {"fault": "nan", "device": "meter", "at_s": 2, "for_s": 1, "points": ["power"]})
    assert [math.isnan(s[0]) for s in seen] == [False, True, False]
    assert [s[1:] for s in seen] == [(100, 0), (200, 1), (300, 2)]


async def test_transient_zero() -> None:
    seen, _ = await read_meter(3, {"fault": "zero", "device": "meter", "at_s": 2, "for_s": 1})
    assert [s[1:] for s in seen] == [(100, 0), (0, 1), (300, 2)]


async def test_rollover_loses_nothing() -> None:
    seen, _ = await read_meter(4, {"fault": "rollover", "device": "meter", "at_s": 0, "left": 1.5})
    assert [s[1] for s in seen] == [2**32 - 150, 2**32 - 50, 50, 150]


async def test_reset_counts_from_the_step_before() -> None:
    seen, _ = await read_meter(4, {"fault": "reset", "device": "meter", "at_s": 3})
    assert [s[1] for s in seen] == [100, 200, 100, 200]


class Changes:
    """A subscription's data changes: (node, value or status, seconds after midnight)."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any, float]] = []

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        item = data.monitored_item.Value
        shown = item.Value.Value if item.StatusCode.is_good() else item.StatusCode.name
        self.seen.append((str(node.nodeid.Identifier), shown, (item.SourceTimestamp - MIDNIGHT) / timedelta(seconds=1)))


async def subscribe(url: str) -> tuple[OpcuaClient, Changes]:
    client = OpcuaClient(url, timeout=60)
    await client.connect()
    changes = Changes()
    subscription = await client.create_subscription(20, changes)
    node = client.get_node("ns=3;s=Furnace.T1")
    await subscription.subscribe_data_change(node, queuesize=100, sampling_interval=0)
    await until(lambda: len(changes.seen) == 1, what="the first value")
    return client, changes


async def watch(count: int, *faults: dict[str, Any]) -> list[tuple[Any, float]]:
    """Return what a subscription to the temperature sees over `count` steps."""
    config = gateway(meter={}, inverter={})
    async with serve(config, {}, {"furnace": Ramp("furnace")}, faults=script(*faults), free_ports=True) as served:
        client, changes = await subscribe(served.network.opcua["plc"].url)
        await steps(served, count)
        at_end = client.get_node("ns=2;s=Furnace.Seq")
        assert await at_end.read_value() == count - 1
        await until(lambda: changes.seen[-1][1] == 19.0 + count, what="the last step")
        await client.disconnect()
    return [(value, at) for _, value, at in changes.seen[1:]]


async def test_bad_status_reaches_the_subscriber() -> None:
    seen = await watch(
        3, {"fault": "bad_status", "device": "furnace", "at_s": 2, "for_s": 1, "points": ["temperature"]}
    )
    assert seen == [(20.0, 1.0), ("BadSensorFailure", 2.0), (22.0, 3.0)]


async def test_a_skewed_clock_shows_in_the_source_timestamp() -> None:
    seen = await watch(3, {"fault": "clock_skew", "device": "furnace", "at_s": 2, "for_s": 1, "shift_s": -90})
    assert seen == [(20.0, 1.0), (21.0, -88.0), (22.0, 3.0)]


async def test_a_frozen_node_is_silent() -> None:
    seen = await watch(4, {"fault": "freeze", "device": "furnace", "at_s": 2, "for_s": 2})
    assert seen == [(20.0, 1.0), (23.0, 4.0)]


async def test_nan_as_a_good_value() -> None:
    seen = await watch(3, {"fault": "nan", "device": "furnace", "at_s": 2, "for_s": 1})
    assert math.isnan(seen[1][0])
    assert seen[2] == (22.0, 3.0)


async def test_an_opcua_server_off_the_network_and_back() -> None:
    faults = script({"fault": "drop", "device": "furnace", "at_s": 2, "for_s": 1, "how": "close"})
    async with serve(gateway(), {}, {"furnace": Ramp("furnace")}, faults=faults, free_ports=True) as served:
        url = served.network.opcua["plc"].url
        client, _ = await subscribe(url)
        await steps(served, 2)
        with pytest.raises((OSError, ua.UaError, asyncio.TimeoutError)):
            await OpcuaClient(url, timeout=1).connect()
        await steps(served, 1)
        async with OpcuaClient(url, timeout=60) as again:
            assert await again.get_node("ns=3;s=Furnace.T1").read_value() == 22.0
        with contextlib.suppress(OSError, ua.UaError, asyncio.TimeoutError):  # its session is gone
            await asyncio.wait_for(client.disconnect(), 60)


async def listen(count: int, *faults: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the payloads of `count` steps."""
    config = gateway(meter={}, furnace={})
    async with (
        serve(config, {}, {"inverter": Ramp("inverter")}, faults=script(*faults), free_ports=True) as served,
        Listener(served.network.mqtt["roof"].port) as listener,
    ):
        await steps(served, count)
        await until(lambda: listener.payloads and listener.payloads[-1][1]["seq"] == count - 1)
        return [payload for _, payload in listener.payloads]


async def test_a_dropped_publisher_leaves_a_hole_in_the_sequence() -> None:
    seen = await listen(5, {"fault": "drop", "device": "inverter", "at_s": 2, "for_s": 2})
    assert [p["seq"] for p in seen] == [0, 3, 4]


async def test_nan_becomes_null() -> None:
    seen = await listen(3, {"fault": "nan", "device": "inverter", "at_s": 2, "for_s": 1})
    assert [p["ac"]["power"] for p in seen] == [100_000.0, None, 100_000.0]


async def test_late_messages_keep_their_order() -> None:
    faults = script({"fault": "lag", "device": "inverter", "at_s": 2, "for_s": 1, "lag_s": 2})
    config = gateway(meter={}, furnace={})
    async with serve(config, {}, {"inverter": Ramp("inverter")}, faults=faults, free_ports=True) as served:
        published = served.network.messages["inverter.main"].published
        counts = []
        for _ in range(5):
            await steps(served, 1)
            counts.append(len(published))
    assert counts == [1, 1, 1, 4, 5]
    assert list(published) == [0, 1, 2, 3, 4]


async def test_frozen_messages_come_again() -> None:
    seen = await listen(4, {"fault": "freeze", "device": "inverter", "at_s": 2, "for_s": 2})
    assert seen[0] == seen[1] == seen[2] != seen[3]


def test_a_device_without_a_value_says_so() -> None:
    faults = DeviceFaults([], {})
    assert faults.show(1.0, 0, {"temperature": math.nan}).status == {"temperature": "BadNoData"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"fault": "explode", "device": "meter", "at_s": 1},
        {"fault": "lag", "device": "meter", "at_s": 1},
        {"fault": "drop", "device": "meter", "at_s": -1},
        {"fault": "reset", "device": "meter", "at_s": 1, "for_s": 3},
        {"fault": "bad_status", "device": "meter", "at_s": 1, "status": "Good"},
    ],
)
def test_a_script_is_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        script(wrong)
