"""What a Sparkplug collector keeps of a device for whoever commissions it, and that no message breaks it."""

from __future__ import annotations

import contextlib
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from collectors.mqtt_link import Link, Outgoing
from collectors.sparkplug import SparkplugCollector
from config.bindings import BoundDevice
from config.errors import Rejected
from config.protocols.sparkplug import SparkplugConnection
from pipeline.clock import SECOND_NS
from pipeline.counters import Counters
from tanflow.web.inside.heard import sparkplug as page
from tests.collectors.driving import bound, ids_of, origin
from tests.collectors.sparkplug_parts import payload, press

NOW_NS = 2_000_000_000 * 1_000_000_000


def collector(*devices: BoundDevice, **settings: Any) -> SparkplugCollector:
    connection = SparkplugConnection(protocol="sparkplug", host="127.0.0.1", **settings)
    return SparkplugCollector(origin(), connection, devices, ids_of(devices), Counters())


class Wire:
    """Where a link would be: notes what is handed over, and never opens anything."""

    is_open = True

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    def publish(self, message: Outgoing) -> None:
        self.sent.append(message)


def looked_at(of: SparkplugCollector, seconds: int) -> list[int]:
    """Let gateway time pass second by second; return in which ones something was published."""
    wire, at = Wire(), []
    for second in range(1, seconds + 1):
        of._clock.anchor_ns += SECOND_NS
        of._watch(cast("Link", wire))
        at += [second] * len(wire.sent)
        wire.sent.clear()
    return at


def test_a_node_is_asked_with_longer_and_longer_pauses_and_an_absent_device_never() -> None:
    of = collector(press(), press("line", address="Hall1/press/line"), request_rebirth=True)
    asked = looked_at(of, 200)
    assert asked[:6] == [3, 7, 15, 31, 63, 123]  # the first look begins to wait
    assert of._rows._counters.links["furnace.press"].startswith("no birth certificate of Hall1/press is heard yet")
    of._take(["spBv1.0", "Hall1", "NBIRTH", "press"], known, False)
    assert looked_at(of, 200) == []
    links = of._rows._counters.links
    assert links == {"furnace.press": "", "furnace.line": links["furnace.line"]}
    gaps = of._rows.take()
    assert len(gaps) > 10  # a row each minute for what is not there
    of._take(["spBv1.0", "Hall1", "DDATA", "press", "line"], payload(1), False)
    assert looked_at(of, 10) == [3, 7]
    of._take(["spBv1.0", "Hall1", "NDEATH", "press"], payload(None), False)
    assert looked_at(of, 200) == []
    assert "is dead" in links["furnace.line"]


def test_a_device_that_is_not_born_with_its_node_is_stale() -> None:
    of = collector(press("line", address="Hall1/press/line"))
    of._take(["spBv1.0", "Hall1", "NBIRTH", "press"], known, False)
    looked_at(of, 9)
    assert of._rows._counters.links["furnace.line"] == ""
    looked_at(of, 3)
    assert of._rows._counters.links["furnace.line"] == "edge node Hall1/press is born, Hall1/press/line is not"


def metrics() -> list[dict[str, Any]]:
    unit = {"keys": ["engUnit"], "values": [{"type": 12, "string_value": "A"}]}
    member = {"name": "n", "datatype": 3, "int_value": 4}
    return [
        {"name": "Power", "alias": 3, "datatype": 2, "int_value": 2**32 - 5, "properties": unit},
        {"name": "On", "datatype": 11, "boolean_value": True},
        {"name": "Label", "datatype": 12, "string_value": "press é"},
        {"name": "Row", "datatype": 22, "bytes_value": b"\x01\xff"},
        {"name": "Motor", "datatype": 19, "template_value": {"metrics": [member]}},
        {"name": "Empty", "datatype": 10, "is_null": True},
    ]


def test_the_metrics_of_a_device_with_alias_type_value_unit_and_birth() -> None:
    points: dict[str, dict[str, Any]] = {
        "power": {"quantity": "power", "unit": "kW", "scale": 2.0, "sparkplug": {"metric": "Power"}},
        "n": {"quantity": "count", "unit": "1", "sparkplug": {"metric": "Motor/n"}},
        "none": {"quantity": "count", "unit": "1", "sparkplug": {"metric": "Absent"}},
    }
    device = bound("m", points, address="Hall1/press")
    of = collector(device)
    assert of.heard("furnace.m") == []
    of._take(["spBv1.0", "Hall1", "NBIRTH", "press"], payload(0, *metrics()), False)
    heard = {h.metric: h for h in of.heard("furnace.m")}
    told = {name: (h.alias, h.type, h.value, h.unit) for name, h in heard.items()}
    assert told == {
        "Power": (3, "Int16", "-5", "A"),
        "On": (None, "Boolean", "True", ""),
        "Label": (None, "String", "press é", ""),
        "Row": (None, "Int8Array", "2 bytes: 01 ff", ""),
        "Motor": (None, "Template", told["Motor"][2], ""),
        "Empty": (None, "Double", None, ""),
        "Motor/n": (None, "part", "4.0", ""),
    }
    assert heard["Power"].born_ns > 0
    shown = page.told(device, of.heard("furnace.m"), NOW_NS)
    power, n, none = shown["points"]
    assert (power["raw"], power["value"], power["type"]) == (-5.0, -10.0, "Int16")
    assert {r["path"] for r in power["readings"]} == {"Power", "On", "Motor/n"}
    assert [r["path"] for r in power["readings"] if r["configured"]] == ["Power"]
    assert n["value"] == 4.0
    assert none["value"] is None
    [message] = shown["messages"]
    assert message["topic"] == "Hall1/press"
    assert "Power (alias 3, Int16): -5 A" in message["payload"].splitlines()
    assert page.told(device, [], NOW_NS)["messages"] == []


levels = st.sampled_from(["spBv1.0", "Hall1", "press", "NBIRTH", "NDATA", "DDATA", "DBIRTH", "NDEATH", "line", "", "é"])
known = payload(0, *metrics())


@given(heard=st.lists(st.tuples(st.lists(levels, max_size=6), st.binary(max_size=60), st.integers(0, 60)), max_size=8))
def test_no_topic_and_no_payload_breaks_it(heard: list[tuple[list[str], bytes, int]]) -> None:
    of = collector(press(), press("line", address="Hall1/press/line"))
    birth = ["spBv1.0", "Hall1", "NBIRTH", "press"]
    for topic, noise, at in [(birth, b"", 0), *heard]:
        with contextlib.suppress(Rejected):
            of._take(topic, known[:at] + noise + known[at:], False)
        with contextlib.suppress(Rejected):
            of._take(["spBv1.0", "Hall1", "NDATA", "press"], noise, False)
    for name in ("furnace.press", "furnace.line"):
        of.heard(name)
