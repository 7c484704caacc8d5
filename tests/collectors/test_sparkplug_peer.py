"""Edge nodes of sparkplug-client (npm) on the real Mosquitto: births, data, rebirths and deaths, foreign made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.gaps import Gap
from pipeline.quality import BAD, GOOD, STALE, UNCERTAIN
from tests.collectors.driving import Driven, bound
from tests.collectors.sparkplug_parts import ENERGY, POWER, Host, press
from tests.interop import saw
from tests.peers.sparkplug_node import VERSION, SparkplugNode
from tests.services.mosquitto import Mosquitto
from tests.waiting import until

PEER = f"sparkplug-client {VERSION} (npm, edge node)"
T0 = 1_700_000_000_000
StartNode = Callable[..., SparkplugNode]


@pytest.fixture
def start_node(node: str, mosquitto: Mosquitto) -> Iterator[StartNode]:
    started: list[SparkplugNode] = []

    def start(**settings: Any) -> SparkplugNode:
        started.append(SparkplugNode(node, mosquitto.port, **settings))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def metric(name: str, value: Any, kind: str = "Double", **more: Any) -> dict[str, Any]:
    return {"name": name, "value": value, "type": kind, **more}


def payload(*metrics: dict[str, Any], at: int = T0, **more: Any) -> dict[str, Any]:
    return {"timestamp": at, "metrics": list(metrics), **more}


def node_payload(power: float, energy: int, at: int = T0) -> dict[str, Any]:
    return payload(
        metric("Power", power, alias=7, properties={"engUnit": {"type": "String", "value": "kW"}}),
        metric("Energy/Total", energy, "UInt64", alias=8),
        metric("Node Control/Rebirth", False, "Boolean"),
        at=at,
    )


def data(alias: int, value: Any, kind: str = "Double", at: int = T0, **more: Any) -> dict[str, Any]:
    return payload({"alias": alias, "value": value, "type": kind, **more}, at=at)


async def open_host(host: Host) -> None:
    await until(lambda: host.is_open, what="subscribed")


async def begin(host: Host, start_node: StartNode, **settings: Any) -> SparkplugNode:
    await open_host(host)
    node = await asyncio.to_thread(start_node, **settings)
    await asyncio.to_thread(node.births, node=node_payload(1.5, 1000))
    await node.born()
    return node


async def test_births_data_death_and_return(mosquitto: Mosquitto, start_node: StartNode) -> None:
    device = press()
    host = Host(mosquitto, device)
    async with host.run(commit_s=0.02) as driven:
        await open_host(host)
        node = await asyncio.to_thread(start_node, bd_seq=3)
        await asyncio.to_thread(node.births, node=node_payload(1.5, 1000))
        await node.born()
        # The first birth may come before the births are set; the second holds them for sure.
        await asyncio.to_thread(node.call, "publishNodeBirth", node_payload(1.5, 1000))
        await until(lambda: 1.5 in driven.values(POWER))
        for n in range(1, 601):  # seq passes 255 twice
            await asyncio.to_thread(node.call, "publishNodeData", data(7, n / 2, at=T0 + n))
        await until(lambda: driven.values(POWER)[-1] == 300.0)
        assert driven.values(POWER)[-600:] == [n / 2 for n in range(1, 601)]
        assert driven.rows(POWER)[-1] == ((T0 + 600) * 1_000_000, 300.0, GOOD, 0)
        await asyncio.to_thread(node.kill)
        await until(lambda: Gap.STALE in driven.gaps(device), what="the will is a gap")
        assert "NDEATH" in host.counters.links[device.key]
        again = await asyncio.to_thread(start_node, bd_seq=4)
        await asyncio.to_thread(again.births, node=node_payload(2.5, 2000, at=T0 + 1_000))
        await again.born()
        await asyncio.to_thread(again.call, "publishNodeBirth", node_payload(2.5, 2000, at=T0 + 1_000))
        await until(lambda: 2.5 in driven.values(POWER))
        await asyncio.to_thread(again.call, "publishNodeData", data(8, 2**53 - 1, "UInt64", at=T0 + 1_001))
        await until(lambda: driven.values(ENERGY)[-1] == 2**53 - 1)
    assert driven.gaps(device)[-1] == Gap.NONE
    assert host.counters.links[device.key] == ""
    assert not driven.rejects or all("not in the birth" in r.reason for r in driven.rejects)
    values = len(driven.values(POWER)) + len(driven.values(ENERGY))
    saw("Sparkplug B", PEER, "birth, data by alias, sequence around 255, death by kill -9, return", f"{values} values")


@pytest.mark.parametrize("allowed", [pytest.param(True, marks=pytest.mark.writes("request_rebirth: true")), False])
async def test_a_rebirth_is_asked_for_only_where_allowed(
    mosquitto: Mosquitto, start_node: StartNode, allowed: bool
) -> None:
    device = press()
    host = Host(mosquitto, device, request_rebirth=allowed)
    node = await asyncio.to_thread(start_node)
    await asyncio.to_thread(node.births, node=node_payload(1.5, 1000))
    await node.born()  # before anybody listens
    async with host.run() as driven:
        await open_host(host)
        await asyncio.to_thread(node.call, "publishNodeData", data(7, 9.0))
        if allowed:  # on a slow machine it is asked before the data comes
            await until(lambda: 1.5 in driven.values(POWER), what="reborn")
            await asyncio.to_thread(node.call, "publishNodeData", data(7, 10.0, at=T0 + 1))
            await until(lambda: driven.values(POWER)[-1] == 10.0)
            assert driven.values(POWER)[0] == 1.5
            assert set(node.commands) == {"command Node Control/Rebirth true"}
            assert host.counters.links[device.key] == ""
        else:
            await until(lambda: Gap.SEQUENCE in driven.gaps(device))
            words = host.counters.links[device.key]
            assert words.startswith("NDATA came before the birth of Hall1/press; nothing is taken")
            assert "request_rebirth: true" in words
            await asyncio.to_thread(node.call, "publishNodeBirth", node_payload(3.5, 1000))
            await until(lambda: driven.values(POWER) == [3.5])
            assert node.commands == []
    asked = "asked, reborn" if allowed else "nothing asked, said in words"
    saw("Sparkplug B", PEER, f"data before a known birth, rebirth {'allowed' if allowed else 'not allowed'}", asked)


TEMPLATE = {
    "isDefinition": False, "templateRef": "Motor", "version": "1",
    "metrics": [metric("Speed", -12, "Int16"), metric("Load", 0.25, "Float"),
                metric("Inner", {"isDefinition": False, "templateRef": "In", "version": "1",
                                 "metrics": [metric("Deep", -5_000_000_000, "Int64")]}, "Template")],
}  # fmt: skip
TABLE = {"numOfColumns": 2, "types": ["Double", "Int32"], "columns": ["kW", "n"], "rows": [[4.5, 2]]}
TYPES = {
    "I8": (-7, "Int8"), "I16": (-300, "Int16"), "I32": (-70_000, "Int32"), "I64": (-(2**40), "Int64"),
    "U8": (200, "UInt8"), "U16": (60_000, "UInt16"), "U32": (4_000_000_000, "UInt32"), "U64": (2**50, "UInt64"),
    "F": (0.5, "Float"), "D": (0.1, "Double"), "B": (True, "Boolean"), "T": (1_700_000_000_123, "DateTime"),
}  # fmt: skip
MEMBERS = {"Motor/Speed": -12.0, "Motor/Load": 0.25, "Motor/Inner/Deep": -5e9, "Table/kW": 4.5}


def wide(name: str) -> Any:
    paths = [*TYPES, *MEMBERS, "Text", "Absent"]
    points = {
        f"p{i}": {"quantity": "count", "unit": "1", "sparkplug": {"metric": path}} for i, path in enumerate(paths)
    }
    return bound("m", points, address=f"Hall1/{name}/line"), {path: f"p{i}" for i, path in enumerate(paths)}


@pytest.mark.parametrize("compress", [None, "GZIP", "DEFLATE"])
async def test_all_types_templates_data_sets_and_properties_of_a_device(
    mosquitto: Mosquitto, start_node: StartNode, compress: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    device, names = wide("press")
    host = Host(mosquitto, press(), device)
    metrics = [metric(name, value, kind, alias=20 + i) for i, (name, (value, kind)) in enumerate(TYPES.items())]
    metrics[8]["properties"] = {"Quality": {"type": "Int32", "value": 500}, "engUnit": {"type": "String", "value": "t"}}
    metrics += [metric("Motor", TEMPLATE, "Template"), metric("Table", TABLE, "DataSet"), metric("Text", "x", "String")]
    async with host.run() as driven:
        await open_host(host)
        node = await asyncio.to_thread(start_node)
        births = {"node": node_payload(1.5, 1), "line": payload(*metrics, compress=compress)}
        await asyncio.to_thread(node.births, **births)
        await node.born()
        await asyncio.to_thread(node.call, "publishNodeBirth", births["node"])
        options = {"compress": True, "algorithm": compress} if compress else {}
        await asyncio.to_thread(node.call, "publishDeviceBirth", "line", births["line"], options)
        wanted = {path: float(value) for path, (value, _) in TYPES.items()} | MEMBERS
        for path, value in wanted.items():
            await until(lambda p=path: driven.values(f"furnace.{names[p]}.count"), what=path)  # type: ignore[misc]
            assert driven.values(f"furnace.{names[path]}.count")[-1] == value, path
        await asyncio.to_thread(node.call, "publishDeviceData", "line", data(28, 0.75, "Float", at=T0 + 1))
        await until(lambda: 0.75 in driven.values(f"furnace.{names['F']}.count"))
        heard = {h.metric: h for h in host.collector.heard(device.key)}
        await asyncio.to_thread(node.call, "publishDeviceDeath", "line", payload(at=T0 + 2))
        await until(lambda: Gap.STALE in driven.gaps(device))
        await asyncio.to_thread(node.call, "publishNodeData", data(7, 8.5, at=T0 + 3))
        await until(lambda: 8.5 in driven.values(POWER), what="the node lives on")
    single = driven.rows(f"furnace.{names['F']}.count")
    assert {row[2] for row in single} == {UNCERTAIN | STALE}  # also where the data does not repeat the property
    reasons = {r.source: r.reason for r in driven.rejects}
    assert reasons[f"furnace.m.{names['Text']}"] == "metric 'Text' is a String, not a number"
    assert "'Absent' is not in the birth certificate of Hall1/press/line" in reasons[f"furnace.m.{names['Absent']}"]
    assert (heard["F"].alias, heard["F"].type, heard["F"].unit, heard["F"].value) == (28, "Float", "t", "0.75")
    assert len([r for r in caplog.records if "no unit of count" in r.message]) == 1
    count = sum(len(driven.values(f"furnace.{name}.count")) for name in names.values())
    saw("Sparkplug B", PEER, f"all types, template, data set, properties{f', {compress}' if compress else ''}",
        f"{len(wanted)} metrics equal, {count} values")  # fmt: skip


async def test_over_a_restart_of_the_broker(mosquitto: Mosquitto, start_node: StartNode) -> None:
    device = press()
    host = Host(mosquitto, device)
    async with host.run() as driven:
        node = await begin(host, start_node)
        await asyncio.to_thread(node.call, "publishNodeBirth", node_payload(1.5, 1000))
        await until(lambda: 1.5 in driven.values(POWER))
        await asyncio.to_thread(mosquitto.stop)
        await until(lambda: Gap.DISCONNECTED in driven.gaps(device))
        await asyncio.to_thread(node.births, node=node_payload(2.5, 1000, at=T0 + 5))
        await asyncio.to_thread(mosquitto.start)
        await open_host(host)
        await asyncio.to_thread(node.call, "publishNodeBirth", node_payload(3.5, 1000, at=T0 + 6))
        await until(lambda: 3.5 in driven.values(POWER))
        await asyncio.to_thread(node.call, "publishNodeData", data(7, 4.5, at=T0 + 7))
        await until(lambda: 4.5 in driven.values(POWER))
    assert driven.gaps(device)[-1] == Gap.NONE
    saw("Sparkplug B", PEER, "the broker is restarted", f"{_spans(driven, device)} gap rows, data goes on")


async def test_quality_bad_and_stored_values(mosquitto: Mosquitto, start_node: StartNode) -> None:
    host = Host(mosquitto)
    async with host.run() as driven:
        node = await begin(host, start_node)
        await asyncio.to_thread(node.call, "publishNodeBirth", node_payload(1.5, 1000))
        await until(lambda: 1.5 in driven.values(POWER))
        bad = {"Quality": {"type": "Int32", "value": 0}}
        await asyncio.to_thread(node.call, "publishNodeData", data(7, 1.0, at=T0 + 9_000, properties=bad))
        stored = [{"alias": 7, "value": n / 4, "type": "Double", "timestamp": T0 + n, "isHistorical": True,
                   "properties": {"Quality": {"type": "Int32", "value": 192}}} for n in range(1, 101)]  # fmt: skip
        await asyncio.to_thread(node.call, "publishNodeData", payload(*stored[:60], at=T0 + 9_001))
        await asyncio.to_thread(node.call, "publishNodeData", payload(*stored[40:], at=T0 + 9_002))
        await asyncio.to_thread(node.call, "publishNodeData", data(7, 2.0, at=T0 + 9_003))
        await until(lambda: 2.0 in driven.values(POWER)[-1:])
    rows = driven.rows(POWER)[-102:]
    assert rows[0][1:3] == (1.0, BAD)
    assert [(time_ns, value) for time_ns, value, _, _ in rows[1:-1]] == [
        ((T0 + n) * 1_000_000, n / 4) for n in range(1, 101)
    ]
    assert {row[2] for row in rows[1:-1]} == {GOOD}
    assert rows[-1][1:3] == (2.0, BAD)  # a stored value's quality says nothing of the newest
    saw("Sparkplug B", PEER, "a burst of historical values, sent twice in part", "100 values, in order, none twice")


def _spans(driven: Driven, device: Any) -> int:
    return sum(1 for cause in driven.gaps(device) if cause)
