"""Blocks of registers as they came, and each point by every type and order its words can have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from config.bindings import BoundDevice
from config.points import Point
from tanflow.web.inside.heard import when

if TYPE_CHECKING:
    from collectors.modbus_plan import Place
    from collectors.modbus_readings import Heard


def told(device: BoundDevice, heard: Sequence[Heard], now_ns: int) -> dict[str, Any]:
    """Return what is known of the points, and of what they were read from, as JSON-ready data."""
    from collectors.modbus_plan import place
    from collectors.modbus_readings import words

    blocks = [
        {
            "unit": h.read.unit,
            "function": h.read.table,
            "address": h.read.address,
            "words": words(h),
            **when(h.at_ns, now_ns),
        }
        for h in heard
    ]
    points = [
        _register(name, point, place(point.modbus, device.modbus), heard)
        for name, point in device.points.items()
        if point.modbus is not None
    ]
    return {"blocks": blocks, "points": points}


def _register(name: str, point: Point, spot: Place, heard: Sequence[Heard]) -> dict[str, Any]:
    """Return one point with its bytes and all that may be read there; the one it is read by is marked."""
    from collectors.modbus_plan import decode_text
    from collectors.modbus_readings import holds, is_configured, raw_of, readings

    block = next((h for h in heard if holds(h, spot)), None)
    raw = raw_of(block, spot) if block else None
    rows: list[dict[str, Any]] = [
        {
            "type": r.type,
            "order": r.order,
            "word_order": r.word_order,
            "byte_order": r.byte_order,
            "offset": r.offset,
            "bit": r.bit,
            "raw": r.value,
            "value": point.in_unit(r.value),
            "configured": is_configured(r, spot),
        }
        for r in (readings(block, spot) if block else [])
    ]
    value = next((row["value"] for row in rows if row["configured"]), None)
    if raw and spot.type == "string":
        value = decode_text(raw, spot.byte_order)
    return {
        "name": name,
        "address": spot.address,
        "function": spot.table,
        "type": spot.type,
        "word_order": spot.word_order,
        "byte_order": spot.byte_order,
        "bit": spot.bit,
        "raw_hex": raw.hex() if raw else None,
        "value": value,
        "unit": point.unit,
        "readings": rows,
    }
