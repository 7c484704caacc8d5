"""Devices on Sparkplug B, their collector at work, and messages made with Google's protobuf from the specification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from collectors.sparkplug import SparkplugCollector
from config.bindings import BoundDevice
from config.protocols.sparkplug import SparkplugConnection
from pipeline.counters import Counters
from tests.collectors.driving import Driven, bound, ids_of, origin
from tests.services.mosquitto import Mosquitto

POWER = "furnace.power.power"
ENERGY = "furnace.energy.energy_index"
POINTS = {
    "power": {"quantity": "power", "unit": "kW", "sparkplug": {"metric": "Power"}},
    "energy": {"quantity": "energy_index", "unit": "kWh", "sparkplug": {"metric": "Energy/Total"}},
}

# Messages as the specification nests them (3.0.0, 6.4), independent of how the collector declares them.
_F = descriptor_pb2.FieldDescriptorProto
_SPEC = {
    "Payload": [("timestamp", 1, "UINT64"), ("metrics", 2, "*Metric"), ("seq", 3, "UINT64"), ("uuid", 4, "STRING"),
                ("body", 5, "BYTES")],
    "Metric": [("name", 1, "STRING"), ("alias", 2, "UINT64"), ("timestamp", 3, "UINT64"), ("datatype", 4, "UINT32"),
               ("is_historical", 5, "BOOL"), ("is_transient", 6, "BOOL"), ("is_null", 7, "BOOL"),
               ("properties", 9, "PropertySet"), ("int_value", 10, "|UINT32"), ("long_value", 11, "|UINT64"),
               ("float_value", 12, "|FLOAT"), ("double_value", 13, "|DOUBLE"), ("boolean_value", 14, "|BOOL"),
               ("string_value", 15, "|STRING"), ("bytes_value", 16, "|BYTES"), ("dataset_value", 17, "|DataSet"),
               ("template_value", 18, "|Template")],
    "PropertySet": [("keys", 1, "*STRING"), ("values", 2, "*PropertyValue")],
    "PropertyValue": [("type", 1, "UINT32"), ("is_null", 2, "BOOL"), ("int_value", 3, "|UINT32"),
                      ("long_value", 4, "|UINT64"), ("float_value", 5, "|FLOAT"), ("double_value", 6, "|DOUBLE"),
                      ("boolean_value", 7, "|BOOL"), ("string_value", 8, "|STRING"),
                      ("propertyset_value", 9, "|PropertySet")],
    "Template": [("version", 1, "STRING"), ("metrics", 2, "*Metric"), ("template_ref", 4, "STRING"),
                 ("is_definition", 5, "BOOL")],
    "DataSet": [("num_of_columns", 1, "UINT64"), ("columns", 2, "*STRING"), ("types", 3, "*UINT32"),
                ("rows", 4, "*Row")],
    "Row": [("elements", 1, "*DataSetValue")],
    "DataSetValue": [("int_value", 1, "|UINT32"), ("long_value", 2, "|UINT64"), ("float_value", 3, "|FLOAT"),
                     ("double_value", 4, "|DOUBLE"), ("boolean_value", 5, "|BOOL"), ("string_value", 6, "|STRING")],
}  # fmt: skip


def _reference() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="reference.proto", package="reference", syntax="proto2")
    for name, fields in _SPEC.items():
        message = file.message_type.add(name=name)
        if any("|" in kind for _, _, kind in fields):
            message.oneof_decl.add(name="value")
        for field, number, kind in fields:
            plain = kind.strip("*|")
            described = message.field.add(name=field, number=number, label=3 if kind.startswith("*") else 1)
            if plain in _SPEC:
                described.type, described.type_name = _F.TYPE_MESSAGE, f".reference.{plain}"
            else:
                described.type = _F.Type.Value(f"TYPE_{plain}")
            if kind.startswith("|"):
                described.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"reference.{n}")) for n in _SPEC}


REFERENCE = _reference()


def payload(seq: int | None, *metrics: dict[str, Any], timestamp: int = 1_700_000_000_000) -> bytes:
    """Return a message of metrics given by the fields of the reference."""
    message = REFERENCE["Payload"](timestamp=timestamp, metrics=[REFERENCE["Metric"](**m) for m in metrics])
    if seq is not None:
        message.seq = seq
    return bytes(message.SerializeToString())


def press(name: str = "press", points: dict[str, Any] | None = None, **device: Any) -> BoundDevice:
    return bound(name, points or POINTS, **({"address": "Hall1/press"} | device))


class Host:
    """A Sparkplug collector on a broker, with what it counts."""

    def __init__(self, broker: Mosquitto, *devices: BoundDevice, **settings: Any) -> None:
        self.counters = Counters()
        self.devices: Sequence[BoundDevice] = devices or (press(),)
        self.ids = ids_of(self.devices)
        self.connection = SparkplugConnection(protocol="sparkplug", host=broker.host, port=broker.port, **settings)
        self.collector = SparkplugCollector(origin(), self.connection, self.devices, self.ids, self.counters)

    def run(self, commit_s: float = 0.0) -> Driven:
        return Driven(self.collector, self.ids, commit_s=commit_s)

    @property
    def is_open(self) -> bool:
        return self.collector._link is not None and self.collector._link.is_open
