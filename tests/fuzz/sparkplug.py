"""Messages of Sparkplug B, one after another: rows, gaps or dead letters, nothing else; no work without bound."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from collectors.sparkplug import SparkplugCollector
from collectors.sparkplug_members import Sought, members
from collectors.sparkplug_payload import decode, properties
from collectors.sparkplug_points import quality_bits
from collectors.sparkplug_types import number, shown
from config.errors import Rejected
from config.protocols.sparkplug import SparkplugConnection
from pipeline.counters import Counters
from tests.collectors.driving import bound, ids_of, origin

LARGEST: Final = 2_000
_KINDS: Final = ("NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH", "NCMD")
_POINTS: Final[dict[str, dict[str, Any]]] = {
    "power": {"quantity": "power", "unit": "kW", "sparkplug": {"metric": "Power"}},
    "energy": {"quantity": "energy_index", "unit": "kWh", "sparkplug": {"metric": "Energy/Total"}},
    "third": {"quantity": "count", "unit": "1", "sparkplug": {"metric": "Array[3]"}},
    "cell": {"quantity": "count", "unit": "1", "sparkplug": {"metric": "Table/col[0]"}},
}
_DEVICES: Final = [
    bound("press", _POINTS, address="Hall1/press"),
    bound("line", _POINTS, asset="oven", address="Hall1/press/line"),
]
_IDS: Final = ids_of(_DEVICES)
_SOUGHT: Final = Sought.of({"Table/col[0]", "Energy/Total", "a/b/c"})


def target(data: bytes) -> None:
    """Each message: a byte of its kind, two of its size, its payload."""
    asyncio.run(_heard(data))


async def _heard(data: bytes) -> None:
    said = SparkplugConnection.model_validate({"protocol": "sparkplug", "host": "broker"})
    collector = SparkplugCollector(origin(), said, _DEVICES, _IDS, Counters())
    at = 0
    while at + 3 <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 3], "big")
        payload = data[at + 3 : at + 3 + size]
        at += 3 + size
        _looked_at(payload)
        name = _KINDS[kind % len(_KINDS)]
        levels = ["spBv1.0", "Hall1", name, "press", *(["line"] if name[0] == "D" else [])]
        try:
            collector._take(levels, payload, kind >= 250)
        except Rejected as error:
            assert len(str(error)) < 1_000
        collector._rows.take()


def _looked_at(payload: bytes) -> None:
    """Ask of a payload all that a person who looks at it may be shown."""
    try:
        for metric in decode(payload).metrics():
            assert len(shown(metric.typed)) < 200
            members(metric, _SOUGHT)
            found = properties(metric.properties, "Quality", "engUnit")
            quality_bits(int(number(found["Quality"])) if "Quality" in found else 192)
            number(metric.typed)
    except Rejected:
        return
