"""Values decoded in columns are those the library decodes one by one, whatever the message; damage never passes."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from collectors.opcua_columns import Columns, columns_of
from collectors.opcua_fast import history_results, publish_result

V = ua.VariantType
INTEGERS = {
    V.SByte: (-(2**7), 2**7 - 1), V.Byte: (0, 2**8 - 1), V.Int16: (-(2**15), 2**15 - 1), V.UInt16: (0, 2**16 - 1),
    V.Int32: (-(2**31), 2**31 - 1), V.UInt32: (0, 2**32 - 1), V.Int64: (-(2**63), 2**63 - 1), V.UInt64: (0, 2**64 - 1),
}  # fmt: skip
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
# Microseconds since 1601: times of any century, about now, and those servers use for "none".
times = st.none() | st.one_of(
    st.integers(0, 265_046_774_399_000_000), st.integers(13_300_000_000_000_000, 13_400_000_000_000_000),
    st.just(0), st.just(11_644_473_600_000_000),
).map(lambda us: EPOCH + timedelta(microseconds=us))  # fmt: skip
statuses = st.none() | st.sampled_from([0, 0x80050000, 0x40900000, 0x00000480, 0x80000000, 0xFFFFFFFF]).map(
    ua.StatusCode
)


def numbers(kind: V) -> st.SearchStrategy[Any]:
    if kind == V.Boolean:
        return st.booleans()
    if kind in INTEGERS:
        return st.integers(*INTEGERS[kind])
    return st.floats(width=32 if kind == V.Float else 64)


plain_kinds = st.sampled_from([V.Boolean, *INTEGERS, V.Float, V.Double])
plain = plain_kinds.flatmap(lambda kind: numbers(kind).map(lambda value: ua.Variant(value, kind)))
odd = st.one_of(
    st.text(max_size=5).map(lambda text: ua.Variant(text, V.String)),
    st.lists(st.floats(), max_size=3).map(lambda values: ua.Variant(values, V.Double, is_array=True)),
    st.just(ua.Variant(datetime(2024, 1, 1, tzinfo=UTC), V.DateTime)),
    st.none(),
)


@st.composite
def runs(draw: st.DrawFn, odds: st.SearchStrategy[Any] = odd) -> list[ua.DataValue]:
    """Return values as servers send them: stretches of one type and shape, now and then something else."""
    values: list[ua.DataValue] = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(plain_kinds)
        status, source, server = draw(statuses), draw(times), draw(times)
        stretch = draw(st.lists(numbers(kind), min_size=1, max_size=5)) * draw(st.sampled_from([1, 1, 30]))
        values += [ua.DataValue(ua.Variant(number, kind), status, source, server) for number in stretch]
        if draw(st.booleans()):
            values.append(ua.DataValue(draw(plain | odds), draw(statuses), draw(times), draw(times)))
    return values


handles = st.integers(0, 2**32 - 1)


def message(values: list[ua.DataValue], first: int = 1) -> bytes:
    items = [ua.MonitoredItemNotification((first + i) % 2**32, value) for i, value in enumerate(values)]
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = 7
    response.Parameters.AvailableSequenceNumbers = [3, 4]
    response.Parameters.Results = [ua.StatusCode(0)]
    response.Parameters.NotificationMessage.SequenceNumber = 4
    response.Parameters.NotificationMessage.NotificationData = [ua.DataChangeNotification(items)]
    body: bytes = struct_to_binary(response)
    return body


def library(body: bytes) -> list[Columns]:
    response = struct_from_binary(ua.PublishResponse, ua.utils.Buffer(body))
    parts = response.Parameters.NotificationMessage.NotificationData or []
    return [columns_of((c.ClientHandle, c.Value) for c in part.MonitoredItems or ()) for part in parts]


def assert_same(mine: Columns, its: Columns) -> None:
    assert mine.index.tolist() == its.index.tolist()
    assert mine.time_ns.tolist() == its.time_ns.tolist()
    assert mine.status.tolist() == its.status.tolist()
    assert mine.kind.tolist() == its.kind.tolist()
    np.testing.assert_array_equal(mine.value, its.value)


@given(runs(), handles)
def test_what_is_decoded_in_columns_is_what_the_library_decodes(values: list[ua.DataValue], first: int) -> None:
    body = message(values, first)
    result = publish_result(body)
    (its,) = library(body)
    if result is not None:
        assert (result.SubscriptionId, result.NotificationMessage.SequenceNumber) == (7, 4)
        (mine,) = result.NotificationMessage.NotificationData
        assert_same(mine, its)
        assert not [data for row, data in its.odd if its.index[row] != 0]  # but the clock of the server
    else:
        assert its.odd


@given(runs(odds=plain))
def test_plain_numbers_are_always_decoded_in_columns(values: list[ua.DataValue]) -> None:
    assert publish_result(message(values)) is not None


def test_the_servers_clock_among_the_values() -> None:
    now = datetime(2024, 5, 6, 7, 8, 9, 123456, UTC)
    beat = ua.DataValue(ua.Variant(now, V.DateTime), None, now, now)
    number = ua.DataValue(ua.Variant(1.5, V.Double), None, now, now)
    assert publish_result(message([beat, number, number], 0)) is not None
    assert publish_result(message([number, beat, number], 0)) is None  # a time where a number belongs


@given(runs(odds=plain), st.data())
def test_damaged_messages_never_pass_with_another_value(values: list[ua.DataValue], data: st.DataObject) -> None:
    """Whatever is changed, cut or added: columns are what the library reads from the same bytes, or there are none."""
    body = bytearray(message(values))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)) | st.just(len(body)))
    damaged = bytes(body[:cut]) + data.draw(st.binary(max_size=3))
    result = publish_result(damaged)
    if result is not None:
        mine = result.NotificationMessage.NotificationData
        its = library(damaged)
        assert len(mine) == len(its)
        for one, other in zip(mine, its, strict=True):
            assert_same(one, other)


@given(st.binary(max_size=200))
def test_noise_is_no_message(body: bytes) -> None:
    assert publish_result(body) is None
    assert history_results(body) is None


@given(st.lists(runs(odds=plain), max_size=3), st.binary(max_size=8) | st.none())
def test_history_in_columns_is_what_the_library_decodes(nodes: list[list[ua.DataValue]], point: bytes | None) -> None:
    response = ua.HistoryReadResponse()
    response.Results = [ua.HistoryReadResult(ua.StatusCode(0), point, ua.HistoryData(values)) for values in nodes]
    body = struct_to_binary(response)
    results = history_results(body)
    assert results is not None
    its = struct_from_binary(ua.HistoryReadResponse, ua.utils.Buffer(body)).Results
    assert len(results) == len(its) == len(nodes)
    for position, (mine, other) in enumerate(zip(results, its, strict=True)):
        assert (mine.ContinuationPoint or None) == (other.ContinuationPoint or None)
        assert_same(mine.HistoryData, columns_of((position, value) for value in other.HistoryData.DataValues))


def test_a_message_of_another_server_byte_by_byte() -> None:
    """Laid out by hand from OPC UA Part 6: two Doubles with source time, and a status on the second."""
    ticks = 133_500_000_000_000_000
    first = struct.pack("<IBBdq", 5, 0x05, 11, 230.5, ticks)
    second = struct.pack("<IBBdIq", 6, 0x07, 11, -1.0, 0x80050000, ticks + 10_000_000)
    change = struct.pack("<i", 2) + first + second + struct.pack("<i", -1)
    body = (
        b"\x01\x00\x3d\x03" + struct.pack("<qIIBi", ticks, 9, 0, 0, -1) + b"\x00\x00\x00"
        + struct.pack("<Ii?Iqi", 1, -1, False, 12, ticks, 1)
        + b"\x01\x00\x2b\x03\x01" + struct.pack("<i", len(change)) + change
        + struct.pack("<ii", -1, -1)
    )  # fmt: skip
    result = publish_result(body)
    assert result is not None
    (columns,) = result.NotificationMessage.NotificationData
    assert columns.index.tolist() == [5, 6]
    assert columns.value.tolist() == [230.5, -1.0]
    assert columns.status.tolist() == [0, 0x80050000]
    assert columns.time_ns.tolist() == [1_705_526_400_000_000_000, 1_705_526_401_000_000_000]
    assert_same(columns, library(body)[0])


@pytest.mark.parametrize("size", [0, 1, 64, 65, 1_000, 5_000])
def test_long_runs(size: int) -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    values = [ua.DataValue(ua.Variant(float(i), V.Double), None, now, now) for i in range(size)]
    result = publish_result(message(values))
    assert result is not None
    assert result.NotificationMessage.NotificationData[0].value.tolist() == list(range(size))
