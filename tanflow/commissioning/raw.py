"""What a collector heard of a device → the raw bytes of one of its points, as a person compares them with a manual."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from config.bindings import BoundDevice

_LONGEST: Final = 32  # characters


class Raw(NamedTuple):
    """Of a point: its raw bytes as text, its characters where it is text, and how long the answer took [s]."""

    shown: str = ""
    text: str = ""
    took_s: float = math.nan


def raw_of(device: BoundDevice, name: str, heard: Sequence[Any]) -> Raw:
    """Return what has been heard of a point, raw."""
    protocol = device.points[name].protocol
    tellers: dict[str, Callable[[BoundDevice, str, Sequence[Any]], Raw]] = {
        "modbus": _modbus,
        "mqtt": _mqtt,
        "dlt645": _dlt645,
        "sparkplug": _sparkplug,
    }
    if heard:
        return tellers.get(protocol, _named)(device, name, heard)
    return Raw()


def _modbus(device: BoundDevice, name: str, heard: Sequence[Any]) -> Raw:
    from collectors.modbus_frames import BITS
    from collectors.modbus_plan import decode_text, place
    from collectors.modbus_readings import holds, raw_of

    point = device.points[name].modbus
    assert point is not None
    spot = place(point, device.modbus)
    block = next((h for h in heard if holds(h, spot)), None)
    if block is None:
        return Raw()
    if spot.table in BITS:
        bit = spot.address - block.read.address
        return Raw(str(block.data[bit // 8] >> bit % 8 & 1), "", block.took_s)
    raw = raw_of(block, spot) or b""
    text = (decode_text(raw, spot.byte_order) or "(empty)") if spot.type == "string" else ""
    return Raw(raw.hex(" ", 2), text, block.took_s)


def _mqtt(device: BoundDevice, name: str, heard: Sequence[Any]) -> Raw:
    from collectors.mqtt_topics import matcher
    from config.protocols.mqtt import filter_of

    topic = matcher(filter_of(device, name)[1])
    last = max((h for h in heard if topic.fullmatch(h.topic)), key=lambda h: h.at_ns, default=None)
    return Raw(_short(last.payload.decode("utf-8", "backslashreplace")) if last else "")


def _dlt645(device: BoundDevice, name: str, heard: Sequence[Any]) -> Raw:
    point = device.points[name].dlt645
    assert point is not None
    answer = next((h for h in heard if h.identifier.upper() == point.data.upper()), None)
    return Raw(_short(answer.data.hex(" ")), "", answer.took_s) if answer else Raw()


def _sparkplug(device: BoundDevice, name: str, heard: Sequence[Any]) -> Raw:
    point = device.points[name].sparkplug
    assert point is not None
    metric = next((h for h in heard if h.metric == point.metric), None)
    return Raw(f"{metric.type} {metric.value}" if metric else "")


def _named(device: BoundDevice, name: str, heard: Sequence[Any]) -> Raw:
    """Of protocols whose `heard` is by point: bytes in `data`, `raw` or `frame`, or the value as it was said."""
    for one in heard:
        if getattr(one, "point", None) == name:
            for attribute in ("data", "raw", "frame", "value"):
                found = getattr(one, attribute, None)
                if found not in (None, "", b""):
                    return Raw(_short(found.hex(" ") if isinstance(found, bytes) else str(found)))
    return Raw()


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
