"""Bodies of PublishResponse and HistoryReadResponse → columns, where all values are plain numbers; else None.

In a run of values with the same encoding mask and type each takes the same bytes, so a run is one strided view of the
message (OPC UA Part 6, 5.2.2.16 and 5.2.2.17). What a byte leaves open (arrays, text, no value, picoseconds,
diagnostics, faults) is the library's to decode: None is never wrong, only slower.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from asyncua import ua

from collectors.opcua_columns import Columns, joined

_FORMATS: Final = {
    ua.VariantType.Boolean: "u1", ua.VariantType.SByte: "i1", ua.VariantType.Byte: "u1", ua.VariantType.Int16: "<i2",
    ua.VariantType.UInt16: "<u2", ua.VariantType.Int32: "<i4", ua.VariantType.UInt32: "<u4",
    ua.VariantType.Int64: "<i8", ua.VariantType.UInt64: "<u8", ua.VariantType.Float: "<f4",
    ua.VariantType.Double: "<f8", ua.VariantType.DateTime: "<i8",
}  # fmt: skip
_BY_BYTE: Final = {kind.value: form for kind, form in _FORMATS.items()}
_BOOLEAN: Final = ua.VariantType.Boolean.value
_DATE_TIME: Final = ua.VariantType.DateTime.value
_VALUE, _STATUS, _SOURCE, _SERVER = 0x01, 0x02, 0x04, 0x08  # bits of a DataValue's mask that are known here
_WINDOW: Final = 64  # values first looked at for one run; a longer run is looked for in longer windows
_EPOCH_TICKS: Final = 116_444_736_000_000_000  # 100 ns from 1601 to 1970
_LATEST_TICKS: Final = 189_025_920_000_000_000  # 2200-01-01: what nanoseconds in 64 bits hold, with room


def _id(node: int) -> bytes:
    return b"\x01\x00" + struct.pack("<H", node)  # a NodeId of namespace 0 in its four-byte form


_PUBLISH: Final = _id(ua.ObjectIds.PublishResponse_Encoding_DefaultBinary)
_CHANGE: Final = _id(ua.ObjectIds.DataChangeNotification_Encoding_DefaultBinary)
_HISTORY: Final = _id(ua.ObjectIds.HistoryReadResponse_Encoding_DefaultBinary)
_DATA: Final = _id(ua.ObjectIds.HistoryData_Encoding_DefaultBinary)
_NOTHING: Final = b"\x00\x00\x00"  # an ExtensionObject without a body


class _Unlike(Exception):
    """The bytes are not of the plain form."""


class _Reader:
    """A place in a message that moves on; raises _Unlike or struct.error where the message is not of the form."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def skip(self, size: int) -> None:
        self.at += size

    def u32(self) -> int:
        (number,) = struct.unpack_from("<I", self.body, self.at)
        self.at += 4
        return int(number)

    def count(self) -> int:
        (number,) = struct.unpack_from("<i", self.body, self.at)
        self.at += 4
        if number < -1:  # −1 is none; what else is meant by it the library may say
            raise _Unlike
        return max(0, int(number))

    def expect(self, wanted: bytes) -> None:
        if self.body[self.at : self.at + len(wanted)] != wanted:
            raise _Unlike
        self.at += len(wanted)

    def none(self) -> None:
        """Pass over an array that must be empty."""
        if self.count():
            raise _Unlike

    def header(self, response: bytes) -> None:
        """Pass over the header of a response that went well and says nothing else."""
        self.expect(response)
        self.skip(12)  # time and handle
        if self.u32():
            raise _Unlike
        self.expect(b"\x00")  # diagnostics
        self.none()
        self.expect(_NOTHING)

    def extension(self, kind: bytes) -> int:
        """Enter an ExtensionObject; return where its body ends."""
        self.expect(kind + b"\x01")
        size = self.count()
        if self.at + size > len(self.body):
            raise _Unlike
        return self.at + size

    def end(self, at: int) -> None:
        if self.at != at:
            raise _Unlike


def publish_result(body: bytes) -> ua.PublishResult | None:
    """Return a PublishResponse's parameters with `Columns` as notifications; items are the client handles."""
    reader = _Reader(body)
    try:
        reader.header(_PUBLISH)
        subscription = reader.u32()
        reader.skip(4 * reader.count())  # sequence numbers that could be had again
        reader.skip(1)
        sequence = reader.u32()
        reader.skip(8)
        changes = [_changes(reader) for _ in range(reader.count())]
        reader.skip(4 * reader.count())  # what became of acknowledgements
        reader.none()
        reader.end(len(body))
    except (_Unlike, struct.error):
        return None
    message = ua.NotificationMessage(SequenceNumber=sequence, NotificationData=changes)
    return ua.PublishResult(SubscriptionId=subscription, NotificationMessage=message)


def history_results(body: bytes) -> list[ua.HistoryReadResult] | None:
    """Return a HistoryReadResponse's results with `Columns` as data; items are the positions in the request."""
    reader = _Reader(body)
    try:
        reader.header(_HISTORY)
        results = [_result(reader, position) for position in range(reader.count())]
        reader.none()
        reader.end(len(body))
    except (_Unlike, struct.error):
        return None
    return results


def _changes(reader: _Reader) -> Columns:
    end = reader.extension(_CHANGE)
    runs = _runs(reader, reader.count(), end, 4)
    reader.none()
    reader.end(end)
    return _columns(runs, [run["handle"].astype(np.int64) for run in runs])


def _result(reader: _Reader, position: int) -> ua.HistoryReadResult:
    status = ua.StatusCode(reader.u32())
    size = reader.count()
    point = reader.body[reader.at : reader.at + size]
    reader.skip(size)
    if reader.body.startswith(_NOTHING, reader.at):
        reader.skip(len(_NOTHING))
        return ua.HistoryReadResult(status, point, _columns([], []))
    end = reader.extension(_DATA)
    runs = _runs(reader, reader.count(), end, 0)
    reader.end(end)
    return ua.HistoryReadResult(status, point, _columns(runs, [np.full(len(run), position) for run in runs]))


@cache
def _layout(mask: int, kind: int, lead: int) -> np.dtype[np.void] | None:
    """Return how a value lies in the message after `lead` bytes (its handle), or None where its length is open."""
    form = _BY_BYTE.get(kind)
    if form is None or not mask & _VALUE or mask & ~(_VALUE | _STATUS | _SOURCE | _SERVER):
        return None
    fields = [("handle", "<u4")] if lead else []
    fields += [("mask", "u1"), ("kind", "u1"), ("value", form)]
    fields += [(n, f) for n, f, bit in (("status", "<u4", _STATUS), ("source", "<i8", _SOURCE)) if mask & bit]
    fields += [("server", "<i8")] if mask & _SERVER else []
    return np.dtype(fields)


def _runs(reader: _Reader, count: int, end: int, lead: int) -> list[npt.NDArray[np.void]]:
    """Return `count` values as runs of equal ones: where the first of a run ends the second begins, and so on."""
    runs, window = [], _WINDOW
    while count:
        if reader.at + lead + 2 > end:
            raise _Unlike
        mask, kind = reader.body[reader.at + lead], reader.body[reader.at + lead + 1]
        layout = _layout(mask, kind, lead)
        fits = min(count, window, (end - reader.at) // layout.itemsize) if layout is not None else 0
        if not fits:
            raise _Unlike
        run = np.frombuffer(reader.body, layout, fits, reader.at)
        same = (run["mask"] == mask) & (run["kind"] == kind)
        length = fits if same.all() else int(same.argmin())
        if kind == _DATE_TIME and not (lead and not run["handle"][:length].any()):
            raise _Unlike  # only the server's own clock may be a time: handle 0
        runs.append(run[:length])
        reader.skip(length * run.itemsize)
        count -= length
        window = window * 8 if length == fits else _WINDOW
    return runs


def _columns(runs: Sequence[npt.NDArray[np.void]], index: Sequence[npt.NDArray[np.int64]]) -> Columns:
    if not runs:
        nothing = np.empty(0, np.int64)
        return Columns(nothing, nothing, np.empty(0), nothing, np.empty(0, np.uint8))
    return joined([_run(run, of) for run, of in zip(runs, index, strict=True)])


def _run(run: npt.NDArray[np.void], index: npt.NDArray[np.int64]) -> Columns:
    names, kind = run.dtype.names or (), int(run["kind"][0])
    value = run["value"]
    if kind == _DATE_TIME:
        number = np.full(len(run), np.nan)
    else:
        number = (value != 0 if kind == _BOOLEAN else value).astype(np.float64)
    nothing = np.zeros(len(run), np.int64)
    server = _nanoseconds(run["server"]) if "server" in names else nothing
    time_ns = server
    if "source" in names:
        time_ns = _nanoseconds(run["source"])
        time_ns = np.where(time_ns == 0, server, time_ns)
    status = run["status"].astype(np.int64) if "status" in names else nothing
    return Columns(index, time_ns, number, status, np.full(len(run), kind, np.uint8))


def _nanoseconds(ticks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return times of the wire [100 ns since 1601] in ns since 1970, to the microsecond; 0 for what is no time."""
    sane = (ticks >= _EPOCH_TICKS) & (ticks < _LATEST_TICKS)
    return np.where(sane, (ticks - _EPOCH_TICKS) // 10 * 1000, 0)
