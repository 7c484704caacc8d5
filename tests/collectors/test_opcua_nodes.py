"""Where points stand: namespaces by URI over a restart, browse paths, elements of arrays, fields of structures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from asyncua import Server, ua
from asyncua.common.structures104 import new_struct, new_struct_field
from hypothesis import given
from hypothesis import strategies as st

from collectors.opcua_browse import browse, variables
from collectors.opcua_limits import Limits, limits_of
from collectors.opcua_session import Session, connect
from collectors.opcua_units import meant_by
from config.errors import Rejected
from config.protocols.opcua import OpcuaConnection, OpcuaPoint, PathName, node_parts, path_names
from pipeline.gaps import Gap
from tests.collectors.driving import bound
from tests.collectors.test_opcua import Plant, key
from tests.interop import saw
from tests.services.node import NodeOpcua
from tests.services.opcua_history import Start
from tests.services.ports import free_port
from tests.waiting import until

URI = "urn:maker:plc"


def plain(url: str) -> OpcuaConnection:
    return OpcuaConnection(protocol="opcua", url=url, timeout_s=30.0)


async def started(url: str, before: Sequence[str]) -> Server:
    """Start a server whose namespace of interest stands behind `before`."""
    server = Server()
    await server.init()
    server.set_endpoint(url)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    for uri in before:
        await server.register_namespace(uri)
    index = await server.register_namespace(URI)
    plant = await server.nodes.objects.add_object(ua.NodeId("Plant", index), ua.QualifiedName("Plant", index))
    await plant.add_variable(ua.NodeId("power", index), ua.QualifiedName("Power", index), 7.5 + len(before))
    await plant.add_variable(ua.NodeId("levels", index), ua.QualifiedName("Levels", index), [1.0, 2.0, 3.0])
    await plant.add_variable(ua.NodeId("one", index), ua.QualifiedName("One", index), [9.0])
    await server.start()
    return server


@pytest.fixture
async def peer() -> AsyncIterator[str]:
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    server = await started(url, [])
    yield url
    await server.stop()


async def numbers(session: Session, points: Sequence[OpcuaPoint]) -> list[Any]:
    await session.locate(points)
    values = await session.read(points)
    return [session.elements.of(p, v).Value.Value for p, v in zip(points, values, strict=True)]


async def test_an_index_that_changes_at_a_restart_is_harmless() -> None:
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    described = {
        "power": {"quantity": "power", "unit": "kW", "opcua": {"node": f"nsu={URI};s=power"}},
        "again": {"quantity": "power", "unit": "kW", "opcua": {"path": "Plant/Power"}},
    }
    server, device = await started(url, []), bound("plc", described)
    plant = Plant(url, device)
    async with plant.run() as driven:
        await until(lambda: driven.values(key("power")) == [7.5] and driven.values(key("again")) == [7.5])
        await server.stop()
        await until(lambda: driven.failures)
        server = await started(url, ["urn:new:one", "urn:new:two"])
        await until(lambda: driven.values(key("power"))[-1] == 9.5 and driven.values(key("again"))[-1] == 9.5)
        await until(lambda: driven.gaps(device)[-1] == Gap.NONE)
        await server.stop()
    saw("OPC UA", "asyncua 2.1 (server)", "restart with another namespace index", "read on by URI and by path")


async def test_what_leads_nowhere_is_told_in_words(peer: str) -> None:
    session = await connect(plain(peer), lambda _: None, Path())
    wrong = [OpcuaPoint(node="nsu=urn:other;s=power"), OpcuaPoint(path="Plant/Pump"), OpcuaPoint(path="ns=0;Plant")]
    await session.locate(wrong)
    words = [session.places[p].words for p in wrong]
    assert words[0].startswith("the server has no namespace 'urn:other'; it has: ")
    assert URI in words[0]
    assert words[1].startswith("the path 'Plant/Pump' leads nowhere")
    assert words[2].startswith("the path 'ns=0;Plant' leads nowhere")
    assert [v.StatusCode.is_bad() for v in await session.read(wrong)] == [True] * 3
    await session.close(within_s=30)


async def test_elements_of_arrays_whether_or_not_the_server_gives_single_ones(peer: str, node_opcua: NodeOpcua) -> None:
    for url, prefix, expected in ((peer, f"nsu={URI}", [1.0, 3.0]), (node_opcua.url, "ns=1", [1.5, 3.5])):
        session = await connect(plain(url), lambda _: None, Path())
        points = [OpcuaPoint(node=f"{prefix};s=levels", index=(i,)) for i in (0, 2)]
        assert await numbers(session, points) == expected
        with pytest.raises(Rejected, match="the array has 3 elements"):
            await numbers(session, [OpcuaPoint(node=f"{prefix};s=levels", index=(5,))])
        await session.close(within_s=30)
    session = await connect(plain(peer), lambda _: None, Path())
    with pytest.raises(Rejected, match="the array has 1 elements"):
        await numbers(session, [OpcuaPoint(node=f"nsu={URI};s=one", index=(3,))])
    with pytest.raises(Rejected, match="no array"):
        await numbers(session, [OpcuaPoint(node=f"nsu={URI};s=power", index=(0,))])
    await session.close(within_s=30)


async def test_fields_of_structures_by_the_servers_own_description(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    server = await started(url, [])
    index = await server.get_namespace_index(URI)
    inner, _ = await new_struct(server, index, "Phase", [new_struct_field("Current", ua.VariantType.Double)])
    fields = [
        new_struct_field("Label", ua.VariantType.String),
        new_struct_field("Total", ua.VariantType.Float, optional=True),
        new_struct_field("Spare", ua.VariantType.Int32, optional=True),
        new_struct_field("Phases", inner.nodeid, array=True),
    ]
    await new_struct(server, index, "Meter", fields)
    made = await server.load_data_type_definitions()
    value = made["Meter"](Label="m", Total=2.5, Spare=None, Phases=[made["Phase"](Current=c) for c in (1.0, 2.0)])
    objects = server.nodes.objects
    await objects.add_variable(ua.NodeId("meter", index), ua.QualifiedName("Meter", index), value)
    session = await connect(plain(url), lambda _: None, Path())
    # What the library has registered for the whole process is taken from it where answers are decoded.
    monkeypatch.setattr(ua, "extension_objects_by_typeid", {})
    from asyncua.ua import ua_binary

    monkeypatch.setattr(ua_binary.ua, "extension_objects_by_typeid", _standard())
    node = f"nsu={URI};s=meter"
    wanted = [OpcuaPoint(node=node, field=f) for f in ("Total", "Phases.1.Current", "Label")]
    assert await numbers(session, wanted) == [2.5, 2.0, "m"]
    with pytest.raises(Rejected, match="has no field 'Power'; it has: Label, Total, Phases"):
        await numbers(session, [OpcuaPoint(node=node, field="Power")])
    with pytest.raises(Rejected, match="no structure but float"):
        await numbers(session, [OpcuaPoint(node=f"nsu={URI};s=power", field="Power")])
    await session.close(within_s=30)
    await server.stop()


def _standard() -> dict[ua.NodeId, type]:
    return {node: cls for node, cls in _ALL.items() if node.NamespaceIndex == 0}


_ALL = dict(ua.extension_objects_by_typeid)


async def test_a_tree_has_units_ranges_and_bounds(node_opcua: NodeOpcua) -> None:
    session = await connect(plain(node_opcua.url), lambda _: None, Path())
    root = ua.NodeId(ua.ObjectIds.ObjectsFolder)
    tree = await browse(session, root, 5, 2_000)
    flow = next(v for v in variables(tree.root) if v.name == "flow/1")
    assert flow.value is not None
    assert flow.value.Value.Value == 120.5
    assert (flow.range.Low, flow.range.High) == (0, 400) if flow.range else False
    assert meant_by(flow.unit) == ("m3/h", "volume_flow")
    assert tree.cut == ""
    few = await browse(session, root, 5, 4)
    assert few.count == 4
    assert "--max" in few.cut
    flat = await browse(session, root, 1, 2_000)
    assert "--depth" in flat.cut
    assert variables(flat.root) == []
    await session.close(within_s=30)
    saw("OPC UA", "node-opcua 2.182 (server)", "browse: tree, units, ranges, values", f"{tree.count} nodes shown")


async def test_a_server_that_takes_less_than_it_states_is_browsed_and_asked_for_elements(start_history: Start) -> None:
    server = start_history("node-opcua", items=40, most=7)
    session = await connect(plain(server.url), lambda _: None, Path())
    tree = await browse(session, ua.NodeId(ua.ObjectIds.ObjectsFolder), 5, 2_000)
    found = {v.name: v.value for v in variables(tree.root)}
    assert set(found) == {f"v{i}" for i in range(40)}
    assert all(v is not None and v.Value is not None for v in found.values())
    session.limits.read = 1_000  # forgotten, so that it is met anew
    await session.locate([OpcuaPoint(node=f"ns=1;s=v{i}", index=(0,)) for i in range(40)])
    session.limits.read = 1_000
    await session.locate([OpcuaPoint(node=f"ns=1;s=v{i}", field="x") for i in range(40)])
    assert session.limits.browse <= 7
    await session.close(within_s=30)


NAMES = st.text(st.characters(blacklist_characters="\\", blacklist_categories=["Cs"]), min_size=1, max_size=12)


@given(st.lists(NAMES.filter(lambda n: ";" not in n), min_size=1, max_size=5))
def test_a_path_of_any_names_is_read_back(names: list[str]) -> None:
    text = "/".join(name.replace("/", "\\/") for name in names)
    if text.startswith("/") or text.endswith("/"):
        return
    assert path_names(text) == [PathName(None, name) for name in names]


def test_nodes_and_paths_as_people_write_them() -> None:
    assert node_parts("nsu=urn:a%3Bb%25;s=DB;1") == ("urn:a;b%", "DB;1")
    assert node_parts("ns=3;i=4294967295") == (3, 4294967295)
    assert node_parts("b=AQI=") == (0, b"\x01\x02")
    assert path_names("nsu=http://maker.com/plc;Furnace/Power") == [
        PathName("http://maker.com/plc", "Furnace"), PathName(None, "Power"),
    ]  # fmt: skip
    for wrong in ("i=-1", "i=4294967296", "g=1", "b=*", "ns=2;i=power"):
        with pytest.raises(ValueError, match="no NodeId"):
            node_parts(wrong)
    with pytest.raises(ValueError, match="empty name"):
        path_names("Furnace//Power")


def test_limits() -> None:
    assert limits_of([10, 0, None, 5_000, 7]) == Limits(10, 1_000, 1_000, 1_000, 7)
