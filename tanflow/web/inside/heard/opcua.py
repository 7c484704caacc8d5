"""Each node with its type, status and value as the server wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from config.bindings import BoundDevice
from config.points import Point
from tanflow.web.inside.heard import when

if TYPE_CHECKING:
    from collectors.opcua_values import Heard


def told(device: BoundDevice, heard: Sequence[Heard], now_ns: int) -> dict[str, Any]:
    """Return what is known of the points, and of what they were read from, as JSON-ready data."""
    points = []
    for h in heard:
        came = h.at_ns > 0
        points.append(
            {
                "name": h.point,
                "node": h.node,
                "type": h.type or None,
                "raw": h.value if came else None,
                "status": h.status or None,
                "source_ns": h.source_ns or None,
                "value": _number(device.points[h.point], h.value) if came else None,
                "unit": device.points[h.point].unit,
                **(when(h.at_ns, now_ns) if came else {}),
            }
        )
    return {"blocks": [], "points": points}


def _number(point: Point, text: str) -> float | None:
    try:
        return point.in_unit({"True": 1.0, "False": 0.0}[text] if text in ("True", "False") else float(text))
    except ValueError:
        return None
