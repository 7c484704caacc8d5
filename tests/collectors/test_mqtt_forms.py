"""Payloads in every form → rows: against payloads written here by hand, and whatever else may come."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.mqtt import Heard, MqttCollector
from collectors.mqtt_payload import MOST, number_reader
from collectors.mqtt_time import time_parser
from config.bindings import BoundDevice
from config.errors import GatewayError, Rejected
from config.protocols.mqtt import MqttConnection, form_of
from pipeline.counters import Counters
from pipeline.quality import GOOD, STALE, UNCERTAIN
from simulators.serve_mqtt import encode
from tanflow.web.inside.heard import mqtt as page
from tests.collectors.driving import bound, ids_of, origin

SECOND_NS = 10**9
START_S = 1_700_000_000
FLOATS = st.floats(-1e12, 1e12, allow_nan=False)
SAMPLES = st.lists(st.tuples(st.integers(0, 10**8), FLOATS, FLOATS), max_size=20, unique_by=lambda s: s[0])
FORMS: list[dict[str, Any]] = [
    {"path": "data[*].a", "time_path": "data[*].t", "time_format": "ms"},
    {"path": "[*].0", "time_path": "[*].1"},
    {"path": "a[*]", "time_path": "t[*]", "time_format": "s"},
    {"payload": "csv", "path": "a", "time_path": "t", "time_format": "us"},
    {"payload": "csv", "path": "0", "time_path": "2", "time_format": "s", "separator": ";", "text": "decimal_comma"},
    {"payload": "csv", "path": "1", "text": "on_off"},
    {"payload": "number", "text": "decimal_comma"},
    {"path": "x.y", "time_path": "t", "time_zone": "Europe/Berlin"},
    {"path": "x", "text": "number"},
]


def meter(*forms: dict[str, Any], **device: Any) -> BoundDevice:
    """Return a device with points p0, p1 … of these forms."""
    points = {f"p{i}": {"quantity": "count", "unit": "1", "mqtt": form} for i, form in enumerate(forms)}
    return bound("meter", points, **{"address": "works/meter", **device})


class Desk:
    """A collector without a broker: messages are handed to it, rows taken from it."""

    def __init__(self, device: BoundDevice, **connection: Any) -> None:
        self.ids = ids_of([device])
        said = MqttConnection.model_validate({"protocol": "mqtt", "host": "broker", **connection})
        self.collector = MqttCollector(origin(), said, [device], self.ids, Counters())
        self.rejects: list[str] = []

    def take(self, payload: bytes | str, topic: str = "works/meter", *, retained: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else payload.encode()
        self.collector._accept(topic, data, retained)
        self.batch = self.collector._rows.take()
        self.rejects = [reject.reason for reject in self.batch.rejects]

    def rows(self, point: str = "p0") -> list[tuple[float, float]]:
        """Return (time [s], value) of a point's rows of the last message."""
        mine = np.flatnonzero(self.batch.series == self.ids[f"furnace.{point}.count"])
        return [(int(self.batch.time_ns[i]) / SECOND_NS, float(self.batch.value[i])) for i in mine]

    def values(self, point: str = "p0") -> list[float]:
        return [value for _, value in self.rows(point)]

    def quality(self, point: str = "p0") -> list[int]:
        return [int(q) for q in self.batch.quality[self.batch.series == self.ids[f"furnace.{point}.count"]]]


def expected(samples: Sequence[tuple[int, float, float]], column: int) -> list[tuple[float, float]]:
    return [(float(START_S + s[0]), s[column]) for s in samples]


@given(SAMPLES)
def test_a_list_of_samples_is_as_many_rows(samples: list[tuple[int, float, float]]) -> None:
    form = {"time_path": "data[*].t", "time_format": "ms"}
    desk = Desk(meter({"path": "data[*].v.a", **form}, {"path": "data[*].v.b", **form}))
    elements = ", ".join(f'{{"t": {START_S + t}000, "v": {{"a": {a!r}, "b": {b!r}}}}}' for t, a, b in samples)
    desk.take(f'{{"data": [{elements}], "id": 7}}')
    assert desk.rows("p0") == expected(samples, 1)
    assert desk.rows("p1") == expected(samples, 2)
    assert desk.rejects == []


@given(SAMPLES)
def test_lists_side_by_side(samples: list[tuple[int, float, float]]) -> None:
    form = {"time_path": "t[*]", "time_format": "s"}
    desk = Desk(meter({"path": "a[*]", **form}, {"path": "b[*]", **form}))
    t, a, b = ("[" + ",".join(str(s[i] + (START_S if i == 0 else 0)) for s in samples) + "]" for i in range(3))
    desk.take(f'{{"t": {t}, "a": {a}, "b": {b}}}')
    assert desk.rows("p0") == expected(samples, 1)
    assert desk.rows("p1") == expected(samples, 2)


@given(SAMPLES, st.sampled_from([",", ";", "|", "tab"]), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_lines_of_csv(samples: list[tuple[int, float, float]], separator: str, header: bool, end: str) -> None:
    names = ("time", "a", "b") if header else ("0", "1", "2")
    form = {"payload": "csv", "separator": separator, "time_path": names[0], "time_format": "s"}
    desk = Desk(meter({"path": names[1], **form}, {"path": names[2], **form}))
    lines = [(str(START_S + t), repr(a), repr(b)) for t, a, b in samples]
    between = "\t" if separator == "tab" else separator
    desk.take(end.join(between.join(line) for line in ([("time", "a", "b")] if header else []) + lines))
    assert desk.rows("p0") == expected(samples, 1)
    assert desk.rows("p1") == expected(samples, 2)


@pytest.mark.parametrize(
    ("form", "payload", "values"),
    [
        ({"payload": "csv", "path": "1"}, "23.5,231.2", [231.2]),
        ({"payload": "csv", "path": "P (kW)"}, 'id,"P (kW)"\n"a,b",5', [5.0]),
        ({"payload": "csv", "path": "0", "separator": ";", "text": "decimal_comma"}, "23,5;1", [23.5]),
        ({"payload": "number"}, " 23.5\n", [23.5]),
        ({"payload": "number", "text": "decimal_comma"}, "23,5", [23.5]),
        ({"payload": "number", "text": "on_off"}, "ON", [1.0]),
        ({"path": "on", "text": "on_off"}, '{"on": "false"}', [0.0]),
        ({"path": "on", "text": "on_off"}, '{"on": true}', [1.0]),
        ({"path": "x", "text": "number"}, '{"x": "-1.5e3"}', [-1500.0]),
        ({"path": "{point}.v"}, '{"p0": {"v": 4}}', [4.0]),
        ({"path": "{point}.v", "key": "1-0:1.8.0"}, '{"1-0:1.8.0": {"v": 5}}', [5.0]),
        ({"path": "x"}, '{"x": null}', [math.nan]),
        ({"payload": "csv", "path": "0"}, ",5", [math.nan]),
    ],
)
def test_one_value(form: dict[str, Any], payload: str, values: list[float]) -> None:
    desk = Desk(meter(form))
    desk.take(payload)
    assert desk.values() == pytest.approx(values, nan_ok=True)
    assert desk.rejects == []


@pytest.mark.parametrize(
    ("form", "payload", "reason"),
    [
        ({"path": "[*].v"}, '[{"v": 1}, {"v": 2}]', "2 values and no time for each"),
        ({"path": "a[*]", "time_path": "t[*]"}, '{"a": [1, 2], "t": ["2024-01-01"]}', "2 values and 1 times"),
        ({"path": "a[*]", "time_path": "t[*]"}, '{"a": {}, "t": []}', "a JSON object, where [*] is of a list"),
        ({"path": "a[*]", "time_path": "t[*]"}, '{"t": []}', "its list is missing"),
        ({"path": "[*].v", "time_path": "[*].t"}, '[{"v": 1}]', "has no time"),
        ({"path": "[*]", "time_path": "[*]"}, json.dumps([0] * (MOST + 1)), "10001 elements are more than"),
        ({"payload": "csv", "path": "a"}, "a,b\n23,5,1", "other columns than the header"),
        ({"payload": "csv", "path": "a"}, "a,a\n1,2", "the same name"),
        ({"payload": "csv", "path": "0"}, '"1', "not CSV"),
        ({"payload": "csv", "path": "0"}, b"\xff", "not text"),
        ({"payload": "csv", "path": "0"}, "1\n2", "2 values and no time for each"),
        ({"payload": "number"}, "23,5", "is the text '23,5', not a number"),
        ({"payload": "number"}, "1e999", "more than a number may be"),
        ({"payload": "number", "text": "decimal_comma"}, "1.234,5", "not a number"),
        ({"payload": "number", "text": "on_off"}, "maybe", "not on or off"),
        ({"path": "x"}, '{"x": "21.5"}', "is a text, not a number"),
        ({"path": "x"}, "[" * 100_000 + "]" * 100_000, "neither JSON nor a number"),
        ({"path": "x", "text": "number"}, '{"x": "١"}', "not a number"),
    ],
)
def test_what_is_refused_says_why(form: dict[str, Any], payload: bytes | str, reason: str) -> None:
    desk = Desk(meter(form))
    desk.take(payload)
    assert desk.values() == []
    assert len(desk.rejects) == 1
    assert reason in desk.rejects[0]


def test_an_element_that_cannot_be_read_spoils_no_other() -> None:
    desk = Desk(meter({"path": "[*].v", "time_path": "[*].t", "time_format": "s"}))
    desk.take('[{"t": 100, "v": 1}, {"t": "x", "v": 2}, {"t": 300}, {"t": "400", "v": 4}]')
    assert desk.rows() == [(100.0, 1.0), (400.0, 4.0)]
    assert "p0 [1] its time 'x' is not a number; p0 [2] missing in the payload" in desk.rejects[0]


def test_names_in_a_topic_level() -> None:
    device = meter({}, {"key": "P-1"}, address="works/{asset}/{device}/{point}")
    desk = Desk(device)
    assert desk.collector._routes.filters == ["works/furnace/meter/P-1", "works/furnace/meter/p0"]
    desk.take("1", "works/furnace/meter/p0")
    assert (desk.values("p0"), desk.values("p1")) == ([1.0], [])
    desk.take("2", "works/furnace/meter/P-1")
    assert (desk.values("p0"), desk.values("p1")) == ([], [2.0])


def test_what_a_point_leaves_out_is_as_its_connection_says() -> None:
    own = {"payload": "json", "path": "v", "time_path": "{point}", "time_format": "s"}
    desk = Desk(meter({"path": "1"}, own), payload="csv", time_path="0", time_format="ms")
    desk.take("100000,7")
    assert desk.rows("p0") == [(100.0, 7.0)]
    desk.take('{"v": 8, "p1": 200}')
    assert desk.rows("p1") == [(200.0, 8.0)]


def test_a_shared_subscription_is_asked_for_with_its_group_and_matched_without() -> None:
    desk = Desk(meter({}), share="gateways")
    assert desk.collector._routes.filters == ["$share/gateways/works/meter"]
    desk.take("5")
    assert desk.values() == [5.0]
    assert desk.collector._routes.devices_of("$share/gateways/works/meter") == [0]
    assert Desk(meter({}, address="$share/g/works/+")).collector._routes.filters == ["$share/g/works/+"]
    with pytest.raises(GatewayError):
        Desk(meter({}, address="$share/g/"))


def test_a_retained_message_with_a_time_of_its_own_is_judged_by_it() -> None:
    desk = Desk(meter({"path": "v", "time_path": "t", "time_format": "s"}))
    newest = np.full(200, 500 * SECOND_NS)
    desk.collector.resume([], newest)
    desk.take('{"t": 500, "v": 1}', retained=True)
    assert desk.rows() == []  # taken before
    desk.take('{"t": 501, "v": 2}', retained=True)
    assert desk.rows() == [(501.0, 2.0)]
    assert desk.quality() == [GOOD]
    desk.take('{"v": 3}', retained=True)
    assert desk.quality() == [UNCERTAIN | STALE]
    assert desk.rejects == []


# ── times ─────────────────────────────────────────────────────────────────────────────────────────


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), st.sampled_from(["Europe/Berlin", "Asia/Shanghai"]))
def test_a_local_time_is_read_as_its_zone_showed_it(shown: datetime, zone: str) -> None:
    try:
        at_ns = time_parser("iso", zone)(shown.isoformat())
    except Rejected:  # left out in spring: it shows another time when it is converted there and back
        there = shown.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).astimezone(ZoneInfo(zone))
        assert there.replace(tzinfo=None) != shown
        return
    # What a clock of the zone shows at that moment, by seconds since 1970, is what was written.
    moment = datetime.fromtimestamp(at_ns // SECOND_NS, ZoneInfo(zone)).replace(tzinfo=None)
    assert moment == shown.replace(microsecond=0)
    assert at_ns % SECOND_NS == shown.microsecond * 1000


def test_the_hour_that_comes_twice_is_the_one_nearer_to_now() -> None:
    """On 2025-10-26 clocks in Berlin went from 03:00 CEST back to 02:00 CET, at 01:00 UTC."""
    turn_s = 1_761_440_400
    for now_s, meant_s in ((turn_s - 1_700, turn_s - 1_800), (turn_s + 1_900, turn_s + 1_800)):
        parse = time_parser("iso", "Europe/Berlin", partial(int, now_s * SECOND_NS))
        assert parse("2025-10-26T02:30:00") == meant_s * SECOND_NS
    with pytest.raises(Rejected, match="does not exist in Europe/Berlin"):
        time_parser("iso", "Europe/Berlin")("2025-03-30T02:30:00")
    assert time_parser("iso", "Europe/Berlin")("2025-03-30T00:30:00Z") == 1_743_294_600 * SECOND_NS


# ── whatever comes ────────────────────────────────────────────────────────────────────────────────

CELLS = st.one_of(st.none(), st.booleans(), st.integers(), FLOATS, st.text(max_size=8))
DOCUMENTS = st.recursive(
    CELLS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", "t", "x", "y", "data"]), inner, max_size=4)
    ),
    max_leaves=12,
)
PAYLOADS = st.one_of(st.binary(max_size=80), st.text(max_size=80).map(str.encode), DOCUMENTS.map(
    lambda d: json.dumps(d).encode()
))  # fmt: skip


@given(st.sampled_from(FORMS), PAYLOADS, st.booleans())
def test_no_payload_breaks_it_or_becomes_a_wrong_number(form: dict[str, Any], payload: bytes, retained: bool) -> None:
    desk = Desk(meter(form))
    desk.take(payload, retained=retained)
    assert all(value != value or math.isfinite(value) for value in desk.values())
    assert desk.values() or desk.rejects or form.get("path", "").count("[*]") or form.get("payload") == "csv"


@given(st.text("0123456789+-.,eE _infa\u0661", max_size=12))
def test_text_is_a_number_only_where_arithmetic_agrees(text: str) -> None:
    for form, point in (("number", "."), ("decimal_comma", ",")):
        try:
            value = number_reader(form)(text)
        except Rejected:
            continue
        if value == value:
            assert (",." if point == "." else ".,")[0] not in text
            assert value == float(Decimal(text.strip().replace(point, ".")))


@pytest.mark.parametrize("form", FORMS[:5], ids=str)
def test_simulated_devices_publish_in_the_form_that_is_read(form: dict[str, Any]) -> None:
    device = meter(form)
    point = device.points["p0"].mqtt
    assert point is not None
    meant = form_of(point, MqttConnection(protocol="mqtt", host="broker"), "p0")
    desk = Desk(device)
    desk.take(encode([(meant, 2.5)], START_S * SECOND_NS, 7))
    assert desk.rows() == [(START_S, 2.5)]


# ── what is told of them ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("form", "payload", "path", "value"),
    [
        ({"path": "data[*].v", "time_path": "data[*].t"}, b'{"data": [{"v": 1}, {"v": 2}]}', "data[*].v", 2.0),
        ({"payload": "csv", "path": "kw", "separator": ";", "text": "decimal_comma"}, b"t;kw\n1;3,5", "kw", 3.5),
        ({"payload": "number", "text": "on_off"}, b"on", "", 1.0),
        ({"path": "{point}.v"}, b'{"p0": {"v": 4}}', "p0.v", 4.0),
        ({"path": "x"}, b'{"y": 1}', "x", None),
    ],
)
def test_the_page_shows_what_a_form_finds(form: dict[str, Any], payload: bytes, path: str, value: float | None) -> None:
    device = meter(form)
    connection = MqttConnection(protocol="mqtt", host="broker")
    told = page.told(connection, device, [Heard("works/meter", payload, False, 1)], 2)
    (point,) = told["points"]
    assert (point["path"], point["raw"]) == (path, value)
    assert [r["raw"] for r in point["readings"] if r["configured"]] == ([] if value is None else [value])
