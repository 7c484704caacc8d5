"""Bytes of a Sparkplug B message → its metrics; whatever the bytes, the work is bounded and what is wrong is said.

Field numbers: Eclipse Sparkplug 3.0.0, 6.4 (Google Protocol Buffers, version 2). Nested messages are declared as bytes,
which look the same on the wire: each level is decoded when somebody wants it, and no deeper than is allowed here. Where
a field holds 32 bits it is read with 64, so that what does not fit is seen instead of cut.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from collectors.sparkplug_types import DATASET, TEMPLATE, Typed
from config.errors import Rejected

MOST_BYTES: Final = 4 << 20  # of one message, unpacked
MOST_METRICS: Final = 50_000  # of one message, members of templates included
_PACKED: Final = b"SPBV1.0_COMPRESSED"  # Cirrus Link's compression: the message is in `body`, zlib or gzip

_VALUES: Final = {"long": "uint64", "float": "float", "double": "double", "boolean": "bool", "string": "bytes"}
_WIRE: Final[dict[str, dict[str, tuple[int, str]]]] = {
    "Payload": {
        "timestamp": (1, "uint64"), "metrics": (2, "bytes*"), "seq": (3, "uint64"),
        "uuid": (4, "bytes"), "body": (5, "bytes"),
    },
    "Metric": {
        "name": (1, "bytes"), "alias": (2, "uint64"), "timestamp": (3, "uint64"), "datatype": (4, "uint64"),
        "is_historical": (5, "bool"), "is_null": (7, "bool"), "properties": (9, "bytes"),
        "int": (10, "uint64|"), "long": (11, "uint64|"), "float": (12, "float|"), "double": (13, "double|"),
        "boolean": (14, "bool|"), "string": (15, "bytes|"), "bytes": (16, "bytes|"), "dataset": (17, "bytes|"),
        "template": (18, "bytes|"),
    },
    "PropertySet": {"keys": (1, "bytes*"), "values": (2, "bytes*")},
    "PropertyValue": {
        "type": (1, "uint64"), "is_null": (2, "bool"), "int": (3, "uint64|"),
        **{name: (number, f"{kind}|") for number, (name, kind) in enumerate(_VALUES.items(), start=4)},
    },
    "Template": {"metrics": (2, "bytes*"), "is_definition": (5, "bool")},
    "DataSet": {"columns": (2, "bytes*"), "types": (3, "uint64*"), "rows": (4, "bytes*")},
    "Row": {"elements": (1, "bytes*")},
    "DataSetValue": {
        "int": (1, "uint64|"),
        **{name: (number, f"{kind}|") for number, (name, kind) in enumerate(_VALUES.items(), start=2)},
    },
}  # fmt: skip


def _classes() -> dict[str, Any]:
    """Return a message class for each entry of _WIRE; `*` is repeated, `|` a member of the oneof `value`."""
    file = FileDescriptorProto(name="sparkplug_b.proto", package="sparkplug", syntax="proto2")
    for name, fields in _WIRE.items():
        message = DescriptorProto(name=name)
        for field, (number, kind) in fields.items():
            described = message.field.add(name=field, number=number, label=3 if kind.endswith("*") else 1)
            described.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.rstrip('*|').upper()}")
            if kind.endswith("|"):
                described.oneof_index = 0
        if any(kind.endswith("|") for _, kind in fields.values()):
            message.oneof_decl.add(name="value")
        file.message_type.append(message)
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"sparkplug.{name}")) for name in _WIRE}


_CLASSES: Final = _classes()


class Metric(NamedTuple):
    """One metric of a message; `typed` is its value as it stands there, `alias` −1 and `time_ms` 0 where absent."""

    name: str
    alias: int
    time_ms: int
    typed: Typed
    historical: bool
    null: bool
    properties: bytes


class Payload(NamedTuple):
    """One message; `seq` is −1 where it has none, `time_ms` 0; `raw` are its metrics, not decoded yet."""

    time_ms: int
    seq: int
    raw: tuple[bytes, ...]

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics; raises Rejected at the first that is none."""
        return map(_metric, self.raw)


def decode(data: bytes) -> Payload:
    """Return the message in `data`; raises Rejected with a sentence."""
    payload = parse("Payload", _bounded(data))
    if payload.uuid == _PACKED:
        payload = parse("Payload", _unpack(payload.body))
    if len(payload.metrics) > MOST_METRICS:
        raise Rejected(f"{len(payload.metrics)} metrics in one message; {MOST_METRICS} are read at most")
    seq = payload.seq if payload.HasField("seq") else -1
    if seq > 255:
        raise Rejected(f"sequence number {seq}; it runs from 0 to 255")
    return Payload(payload.timestamp, seq, tuple(payload.metrics))


def properties(data: bytes, *keys: str) -> dict[str, Typed]:
    """Return the properties of a metric that are asked for, but those that are null or sets. Raises Rejected."""
    found = parse("PropertySet", data)
    stated = dict(zip(found.keys[:], found.values[:], strict=False))  # the others are not looked into
    taken: dict[str, Typed] = {}
    for key in keys:
        if (raw := stated.get(key.encode())) is not None:
            value = parse("PropertyValue", raw)
            if field := value.WhichOneof("value"):
                taken[key] = Typed(value.type, field, getattr(value, field))
    return taken


def _metric(raw: bytes) -> Metric:
    found = parse("Metric", raw)
    return described(found, text(found.name))


def described(found: Any, name: str) -> Metric:
    """Return a parsed metric by a name that need not be the one it carries."""
    field = found.WhichOneof("value")
    return Metric(
        name,
        found.alias if found.HasField("alias") else -1,
        found.timestamp,
        Typed(_kind(found.datatype, field), field or "", getattr(found, field) if field else None),
        found.is_historical,
        found.is_null or field is None,
        found.properties,
    )


def _kind(stated: int, field: str | None) -> int:
    """Return the data type; the two that have a field of their own need not be stated."""
    return stated or {"template": TEMPLATE, "dataset": DATASET}.get(field or "", 0)


def parse(name: str, data: bytes) -> Any:
    """Return the message `name` of the specification that stands in `data`. Raises Rejected."""
    try:
        return _CLASSES[name].FromString(data)
    except DecodeError as error:
        raise Rejected(f"not a Sparkplug B message: {name} cannot be decoded") from error


def text(data: bytes) -> str:
    """Return a name. Raises Rejected."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Rejected(f"a name that is not UTF-8: {data[:40]!r}") from error


def _bounded(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise Rejected(f"a message of {len(data)} bytes; {MOST_BYTES} are read at most")
    return data


def _unpack(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either header, zlib or gzip
    try:
        data = unpacker.decompress(body, MOST_BYTES + 1)
    except zlib.error as error:
        raise Rejected(f"a compressed message that cannot be unpacked: {error}") from error
    return _bounded(data)
