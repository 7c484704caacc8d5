"""Payloads of Sparkplug B: known answers of others, any message against Google's protobuf, any bytes at all."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors.sparkplug_members import Sought, members
from collectors.sparkplug_payload import MOST_BYTES, MOST_METRICS, Payload, decode, properties
from collectors.sparkplug_publish import parse_state, rebirth, state
from collectors.sparkplug_types import NAMES, Typed, elements, number, split_index
from config.errors import Rejected
from tests.collectors.sparkplug_parts import REFERENCE, payload
from tests.interop import saw

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "sparkplug" / "payload_vectors.json").read_text())
KIND = {name: kind for kind, name in enumerate(NAMES)}


@pytest.mark.parametrize("vector", VECTORS, ids=[v["name"] for v in VECTORS])
def test_payloads_of_others(vector: dict[str, Any]) -> None:
    decoded = decode(base64.b64decode(vector["base64"]))
    metrics = list(decoded.metrics())
    assert len(metrics) == vector["metric_count"]
    assert decoded.time_ms == 1_750_855_643_474
    values = [m for m in metrics if m.typed.kind == KIND["Double"]]
    assert all(math.isfinite(number(m.typed)) for m in values)
    if vector["name"] == "NBIRTH_V1":
        assert [(m.name, m.alias, number(m.typed)) for m in metrics] == [
            ("bdSeq", 1, 88.0), ("Node Control/Rebirth", 2, 0.0), ("Temperature", 100, 21.5),
        ]  # fmt: skip


def test_all_payloads_of_others_are_read() -> None:
    counts = [len(list(decode(base64.b64decode(v["base64"])).metrics())) for v in VECTORS]
    assert counts == [v["metric_count"] for v in VECTORS]
    told = f"{len(counts)} payloads, {sum(counts)} metrics"
    saw("Sparkplug B", "payloads of benthos-umh@acf99b9 (Go)", "NBIRTH, NDATA, NDEATH decoded", told)


# As the specification encodes them (3.0.0, 6.4.16).
ARRAYS = [
    ("Int8Array", "EF7B", [-17, 123]),
    ("Int16Array", "D08A3075", [-30000, 30000]),
    ("Int32Array", "FFFFFFFF44BEBA12", [-1, 314228292]),
    ("UInt8Array", "17FA", [23, 250]),
    ("UInt16Array", "1E00F0FF", [30, 65520]),
    ("FloatArray", struct.pack("<2f", 1.25, -89.5).hex(), [1.25, -89.5]),
    ("DoubleArray", struct.pack("<2d", 12.3, 0.1).hex(), [12.3, 0.1]),
    ("BooleanArray", "0C00000034D0", [0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1]),
    ("DateTimeArray", "C7D0907524010000", [1256102875335]),
    ("Int32Array", "", []),
]


@pytest.mark.parametrize(("name", "data", "expected"), ARRAYS)
def test_arrays(name: str, data: str, expected: list[float]) -> None:
    assert elements(Typed(KIND[name], "bytes", bytes.fromhex(data))).tolist() == expected


@pytest.mark.parametrize(
    ("name", "data"), [("Int16Array", b"abc"), ("BooleanArray", b"\x09\0\0\0\0"), ("BooleanArray", b"\0\0"),
                       ("StringArray", b"a\0"), ("BooleanArray", b"\xff\xff\xff\xff\0")]
)  # fmt: skip
def test_arrays_that_are_none(name: str, data: bytes) -> None:
    with pytest.raises(Rejected):
        elements(Typed(KIND[name], "bytes", data))


@given(bits=st.sampled_from([8, 16, 32, 64]), data=st.data())
def test_signed_integers_in_every_width_that_encoders_use(bits: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(-(1 << bits - 1), (1 << bits - 1) - 1))
    width = data.draw(st.sampled_from([w for w in (8, 16, 32, 64) if w >= bits]))
    kind = KIND[f"Int{bits}"]
    assert number(Typed(kind, "long", value % (1 << width))) == float(value)


@given(bits=st.sampled_from([8, 16, 32, 64]), stands=st.integers(0, 2**64 - 1))
def test_an_integer_is_never_cut_to_its_type(bits: int, stands: int) -> None:
    for name, lowest, beyond in (("UInt", 0, 1 << bits), ("Int", -(1 << bits - 1), 1 << bits - 1)):
        try:
            value = int(number(Typed(KIND[f"{name}{bits}"], "long", stands)))
        except Rejected:
            continue
        if bits < 64:
            assert lowest <= value < beyond
            assert value in {stands, *(stands - (1 << width) for width in (8, 16, 32, 64))}


@pytest.mark.parametrize(
    ("typed", "words"),
    [(Typed(KIND["String"], "string", b"1"), "is a String, not a number"),
     (Typed(KIND["Bytes"], "bytes", b"1"), "is a Bytes, not a number"),
     (Typed(KIND["Int8"], "int", 300), "is said to be Int8, but 300 does not fit"),
     (Typed(KIND["UInt32"], "long", 2**32), "does not fit"),
     (Typed(KIND["Double"], "long", 3), "is said to be Double, but its value stands as long"),
     (Typed(0, "long", 3), "has no data type"), (Typed(99, "long", 3), "is a data type 99, not a number"),
     (Typed(KIND["Int8Array"], "bytes", b"1"), "name one element"),
     (Typed(KIND["Template"], "template", b""), "name one member")],
)  # fmt: skip
def test_what_is_no_number_says_why(typed: Typed, words: str) -> None:
    with pytest.raises(Rejected, match=words.replace("[", r"\[")):
        number(typed)


names = st.text(st.characters(codec="utf-8", exclude_characters="/[]"), min_size=1, max_size=8)
unsigned32, unsigned64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
plain_values = st.one_of(
    st.fixed_dictionaries({"int_value": unsigned32, "datatype": st.sampled_from([1, 2, 3, 5, 6, 7])}),
    st.fixed_dictionaries({"long_value": unsigned64, "datatype": st.sampled_from([4, 7, 8, 13])}),
    st.fixed_dictionaries({"float_value": st.floats(width=32), "datatype": st.just(9)}),
    st.fixed_dictionaries({"double_value": st.floats(), "datatype": st.just(10)}),
    st.fixed_dictionaries({"boolean_value": st.booleans(), "datatype": st.just(11)}),
    st.fixed_dictionaries({"string_value": names, "datatype": st.sampled_from([12, 14, 15])}),
    st.fixed_dictionaries({"bytes_value": st.binary(max_size=9), "datatype": st.integers(17, 34)}),
    st.fixed_dictionaries({"is_null": st.just(True)}),
)
heads = st.fixed_dictionaries(
    {}, optional={"name": names, "alias": unsigned64, "timestamp": unsigned64, "is_historical": st.booleans()}
)
plain = st.builds(lambda head, value: head | value, heads, plain_values)


@given(metrics=st.lists(plain, max_size=12), seq=st.none() | st.integers(0, 255), timestamp=unsigned64)
def test_any_message_is_read_as_googles_protobuf_reads_it(
    metrics: list[dict[str, Any]], seq: int | None, timestamp: int
) -> None:
    data = payload(seq, *metrics, timestamp=timestamp)
    reference = REFERENCE["Payload"].FromString(data)
    decoded = decode(data)
    assert (decoded.time_ms, decoded.seq) == (reference.timestamp, -1 if seq is None else seq)
    for mine, theirs in zip(decoded.metrics(), reference.metrics, strict=True):
        assert mine.name == theirs.name
        assert mine.alias == (theirs.alias if theirs.HasField("alias") else -1)
        assert (mine.time_ms, mine.historical) == (theirs.timestamp, theirs.is_historical)
        field = theirs.WhichOneof("value")
        assert mine.null == (theirs.is_null or field is None)
        if field:
            assert mine.typed.field == field.removesuffix("_value")
            value = getattr(theirs, field)
            value = value.encode() if isinstance(value, str) else value
            assert mine.typed.value == value or (isinstance(value, float) and math.isnan(value))
            assert mine.typed.kind == theirs.datatype


def test_what_is_too_much_is_refused() -> None:
    with pytest.raises(Rejected, match="metrics in one message"):
        decode(b"\x12\x00" * (MOST_METRICS + 1))
    with pytest.raises(Rejected, match="read at most"):
        decode(b"\0" * (MOST_BYTES + 1))


def test_a_compressed_message_is_unpacked_but_not_without_end() -> None:
    import gzip
    import zlib

    plain_message = payload(3, {"name": "a", "datatype": 9, "float_value": 1.0})
    for body in (gzip.compress(plain_message), zlib.compress(plain_message)):
        outer = REFERENCE["Payload"](uuid="SPBV1.0_COMPRESSED", body=body).SerializeToString()
        assert decode(outer) == decode(plain_message)
    for body, words in ((zlib.compress(b"\0" * 10 * MOST_BYTES), "read at most"), (b"no", "cannot be unpacked")):
        with pytest.raises(Rejected, match=words):
            decode(REFERENCE["Payload"](uuid="SPBV1.0_COMPRESSED", body=body).SerializeToString())


def everything(decoded: Payload) -> None:
    for metric in decoded.metrics():
        for read in (number, elements):
            with contextlib.suppress(Rejected):
                read(metric.typed)
        if metric.typed.field in ("template", "dataset"):
            members(metric, Sought.of([f"{metric.name}/a", f"{metric.name}/a[0]"]))
        properties(metric.properties, "Quality", "engUnit")


@given(st.binary(max_size=300))
@example(b"\x12\x02\x0a\xff")
@example(b"\x12\x04\x0a\x02\xff\xfe")
@example(b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        everything(decode(data))
    except Rejected:
        return


@given(vector=st.sampled_from(VECTORS), data=st.data())
def test_damaged_messages_are_read_or_refused(vector: dict[str, Any], data: st.DataObject) -> None:
    raw = bytearray(base64.b64decode(vector["base64"]))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        everything(decode(bytes(raw[: data.draw(st.integers(0, len(raw)))])))
    except Rejected:
        return


def test_the_request_for_birth_is_what_others_understand() -> None:
    message = rebirth("Hall1", "press", 1_700_000_000_000)
    assert (message.topic, message.qos, message.retain) == ("spBv1.0/Hall1/NCMD/press", 0, False)
    read = REFERENCE["Payload"].FromString(message.payload)
    assert read.timestamp == 1_700_000_000_000
    assert not read.HasField("seq")
    [metric] = read.metrics
    assert (metric.name, metric.datatype, metric.boolean_value) == ("Node Control/Rebirth", KIND["Boolean"], True)


def test_state_is_json_and_read_back() -> None:
    message = state("host", True, 5)
    assert message == ("spBv1.0/STATE/host", b'{"online":true,"timestamp":5}', 1, True)
    assert parse_state(message.payload) == (True, 5)
    for old in (b"OFFLINE", b"{}", b"[]", b'{"online":true,"timestamp":null}'):
        with pytest.raises(Rejected):
            parse_state(old)


def test_state_of_sparkplug_2_is_one_word() -> None:
    assert state("host", True, 5, 2) == ("STATE/host", b"ONLINE", 1, True)
    assert parse_state(state("host", False, 5, 2).payload, 2) == (False, 0)
    with pytest.raises(Rejected):
        parse_state(b'{"online":true,"timestamp":5}', 2)


def test_an_index_stands_in_brackets_at_the_end() -> None:
    assert split_index("a/b[12]") == ("a/b", 12)
    assert split_index("a[1]b") == ("a[1]b", None)
    assert split_index("a") == ("a", None)
