"""The metrics of the last birth certificate with their last values, and the points they feed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from config.bindings import BoundDevice
from tanflow.web.encode import iso
from tanflow.web.inside.heard import when

if TYPE_CHECKING:
    from collectors.sparkplug import Heard

_LEAVES: Final = 200  # metrics of a birth that are listed


def told(device: BoundDevice, heard: Sequence[Heard], now_ns: int) -> dict[str, Any]:
    """Return the metrics of the last birth certificate with their last values, and the points they feed."""
    numbers = {h.metric: raw for h in heard[:_LEAVES] if (raw := _raw(h)) is not None}
    points = []
    for name, point in device.points.items():
        if point.sparkplug is None:
            continue
        metric = next((h for h in heard if h.metric == point.sparkplug.metric), None)
        raw = _raw(metric) if metric else None
        readings = [
            {"path": path, "raw": number, "value": point.in_unit(number), "configured": path == point.sparkplug.metric}
            for path, number in numbers.items()
        ]
        points.append(
            {
                "name": name,
                "path": point.sparkplug.metric,
                "type": metric.type if metric else None,
                "raw": raw,
                "value": None if raw is None else point.in_unit(raw),
                "unit": point.unit,
                "readings": readings,
            }
        )
    metrics = [h._asdict() | {"born": iso(np.array([h.born_ns]))[0]} for h in heard]
    return {"blocks": [], "messages": _births(device, heard, now_ns), "metrics": metrics, "points": points}


def _births(device: BoundDevice, heard: Sequence[Heard], now_ns: int) -> list[dict[str, Any]]:
    """Return the metrics as one text, each with its alias, type, value and unit, as a message is shown."""
    if not heard:
        return []
    lines = [
        f"{h.metric} (alias {'none' if h.alias is None else h.alias}, {h.type}): {h.value} {h.unit}".rstrip()
        for h in heard[:_LEAVES]
    ]
    born = {"topic": device.device.address, "payload": "\n".join(lines), "retained": False}
    return [born | when(max(max(h.at_ns, h.born_ns) for h in heard), now_ns)]


def _raw(metric: Heard) -> float | None:
    """Return the value of a metric as a number; None where it is none."""
    if metric.value is None or metric.type in ("String", "Text", "UUID"):
        return None
    try:
        return {"True": 1.0, "False": 0.0}[metric.value] if metric.type == "Boolean" else float(metric.value)
    except (KeyError, ValueError):
        return None
