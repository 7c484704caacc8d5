"""Payload paths, numbers, times and topic filters: known answers, and properties over arbitrary ones."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.mqtt_payload import compile_path, decode, find, number_reader
from collectors.mqtt_time import time_parser
from collectors.mqtt_topics import Routes, covers, matcher
from config.errors import GatewayError, Rejected
from config.protocols.mqtt import MqttConnection
from tests.collectors.driving import bound, ids_of

NUMBER = number_reader(None)
CONNECTION = MqttConnection(protocol="mqtt", host="broker")
KEYS = st.text(min_size=1, max_size=8).filter(lambda k: "\\" not in k)
STEPS = st.lists(st.one_of(KEYS, st.integers(0, 3)), max_size=5)
LEVELS = st.lists(st.sampled_from(["a", "b", "", "c1"]), min_size=1, max_size=4)
FILTERS = st.builds(
    lambda levels, tail: "/".join([*levels, *tail]),
    st.lists(st.sampled_from(["a", "b", "", "+"]), min_size=1, max_size=4),
    st.sampled_from([[], ["#"]]),
).filter(bool)


@given(STEPS, st.floats(allow_nan=False, allow_infinity=False))
def test_a_path_finds_what_was_put_there(steps: list[str | int], value: float) -> None:
    document: Any = value
    for step in reversed(steps):
        document = {step: document} if isinstance(step, str) else [None] * step + [document]
    path = ".".join(s.replace(".", "\\.") if isinstance(s, str) else str(s) for s in steps)
    assert NUMBER(find(decode(json.dumps(document).encode()), compile_path(path))) == value


@given(st.binary(max_size=64), st.text(max_size=12))
def test_any_payload_is_a_number_or_rejected(payload: bytes, path: str) -> None:
    with contextlib.suppress(Rejected, LookupError):
        assert isinstance(NUMBER(find(decode(payload), compile_path(path))), float)


@pytest.mark.parametrize(
    ("payload", "value"),
    [(b"21.5", 21.5), (b" +007.50\n", 7.5), (b".5", 0.5), (b"1e3", 1000.0), (b"true", 1.0),
     (b"18446744073709551615", 2.0**64)],
)  # fmt: skip
def test_plain_numbers(payload: bytes, value: float) -> None:
    assert NUMBER(decode(payload)) == value


@pytest.mark.parametrize(
    "payload", [b"", b"nan", b"inf", b"1_000", b"21,5", b"on", b'"21.5"', b"[1]", b"1e999", "٣".encode()]
)
def test_what_is_no_number(payload: bytes) -> None:
    with pytest.raises(Rejected):
        NUMBER(decode(payload))


def test_obis_codes_are_keys_with_dots() -> None:
    assert find({"1-0:1.8.0": {"value": 3}}, compile_path("1-0:1\\.8\\.0.value")) == 3


@given(st.datetimes(datetime(1970, 1, 2), datetime(2262, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_iso_times_round_trip(stamp: datetime, offset_min: int) -> None:
    local = stamp.replace(tzinfo=UTC) + timedelta(minutes=offset_min)
    sign = "+" if offset_min >= 0 else "-"
    text = local.replace(tzinfo=None).isoformat() + f"{sign}{abs(offset_min) // 60:02}:{abs(offset_min) % 60:02}"
    expected = (stamp - datetime(1970, 1, 1)) // timedelta(microseconds=1) * 1000
    assert time_parser("iso")(text) == expected


@given(st.integers(1000, 2**62))
def test_counted_times_are_exact(time_ns: int) -> None:
    assert time_parser("ns")(time_ns) == time_ns
    assert time_parser("s")(f"{time_ns // 10**9}.{time_ns % 10**9:09}") == time_ns
    assert time_parser("us")(time_ns // 1000) == time_ns // 1000 * 1000


@given(st.integers(1, 4 * 10**12))
def test_a_float_of_milliseconds_keeps_them(milliseconds: int) -> None:
    assert time_parser("s")(milliseconds / 1000) == milliseconds * 1_000_000


def test_times_of_known_instants() -> None:
    assert time_parser("iso")("2024-05-01T12:00:00Z") == 1_714_564_800 * 10**9
    assert time_parser("iso")("2024-05-01 12:00:00.25") == 1_714_564_800 * 10**9 + 250_000_000
    assert time_parser("s")(1_714_564_800) == 1_714_564_800 * 10**9
    assert time_parser("ms")("1714564800000") == 1_714_564_800 * 10**9


@pytest.mark.parametrize("form", ["iso", "s", "ms", "us", "ns"])
@pytest.mark.parametrize(
    "value",
    ["yesterday", None, True, [], {}, -1, 0, 2**70, "9999-99-99", "NaN", "Infinity", "1e999999999", "1e-400", 1e-300],
)
def test_what_is_no_time(form: str, value: Any) -> None:
    with pytest.raises(Rejected):
        time_parser(form)(value)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "matches"),
    [  # MQTT 5.0, 4.7.1.2, 4.7.1.3 and 4.7.2: the standard's own examples
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("#", "sport/tennis", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/uptime", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/uptime", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
    ],
)
def test_topic_filters(topic_filter: str, topic: str, matches: bool) -> None:
    assert bool(matcher(topic_filter).fullmatch(topic)) is matches


@given(FILTERS, FILTERS, LEVELS)
def test_a_covering_filter_takes_every_topic_of_the_covered(wide: str, narrow: str, levels: list[str]) -> None:
    topic = "/".join(levels)
    if covers(wide, narrow) and matcher(narrow).fullmatch(topic):
        assert matcher(wide).fullmatch(topic)


@given(FILTERS)
def test_a_filter_covers_itself_and_is_covered_by_all(topic_filter: str) -> None:
    assert covers(topic_filter, topic_filter)
    assert covers("#", topic_filter)


@pytest.mark.parametrize("topic_filter", ["", "a/#/b", "a#", "a/b+", "#/a"])
def test_what_is_no_filter_is_told_with_its_point(topic_filter: str) -> None:
    device = bound("m", {"x": {"quantity": "count", "unit": "1", "mqtt": {}}}, address=topic_filter)
    with pytest.raises(GatewayError, match=r"furnace\.m\.x: .* is not a topic filter"):
        Routes([device], ids_of([device]), CONNECTION, lambda: 0)
