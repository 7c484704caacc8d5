"""Bodies of OPC UA responses: what is decoded in columns is what the library decodes, or it is left to it."""

from __future__ import annotations

from typing import Final

from asyncua import ua
from asyncua.ua.ua_binary import struct_from_binary

from collectors.opcua_columns import columns_of
from collectors.opcua_fast import history_results, publish_result
from tests.collectors.test_opcua_fast import assert_same, library

LARGEST: Final = 1_000


def target(data: bytes) -> None:
    published = publish_result(data)
    if published is not None:
        mine, its = published.NotificationMessage.NotificationData, library(data)
        assert len(mine) == len(its)
        for one, other in zip(mine, its, strict=True):
            assert_same(one, other)
    results = history_results(data)
    if results is not None:
        theirs = struct_from_binary(ua.HistoryReadResponse, ua.utils.Buffer(data)).Results or []
        assert len(results) == len(theirs)
        for position, (read, other) in enumerate(zip(results, theirs, strict=True)):
            values = other.HistoryData.DataValues if isinstance(other.HistoryData, ua.HistoryData) else []
            assert_same(read.HistoryData, columns_of((position, value) for value in values or []))
