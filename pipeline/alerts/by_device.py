"""Rules about whole devices → columns by alert, and which series belongs to which device."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from config.bindings import series_key
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.judged import Floats, Ints, Judged, Places
from pipeline.clock import SECOND_NS
from pipeline.figures import digest

UNKNOWN: Final = -1  # truth of an alert nothing has been judged of yet


def judged_at(row: int, time_ns: int, alerts: Ints, truth: Ints, value: Floats, limit: Floats) -> Judged:
    """Return judgements of n alerts at one row, that cost nothing anyone knows."""
    n = len(alerts)
    return Judged(
        alerts, np.full(n, row), np.full(n, time_ns), truth.astype(np.int64), value, limit, np.full(n, np.nan)
    )


def numbered(alerts: Sequence[Numbered]) -> tuple[dict[str, int], dict[str, Any]]:
    """Return the number of each device that alerts are about, and columns by alert: alerts, device, after_ns, of."""
    devices: dict[str, int] = {}
    for _, alert in alerts:
        devices.setdefault(alert.rule.device, len(devices))
    return devices, {
        "alerts": np.array([number for number, _ in alerts]),
        "device": np.array([devices[alert.rule.device] for _, alert in alerts]),
        "after_ns": np.array([round(alert.rule.after_s * SECOND_NS) for _, alert in alerts]),
        "of": digest(" ".join(f"{alert.key} {alert.rule.device} {alert.rule.after_s}" for _, alert in alerts)),
    }


def places_of(devices: Mapping[str, int], context: Context, kinds: Collection[str]) -> Places:
    """Return the number of its device for each measured series of some kinds."""
    found = {}
    for device in (d for d in context.devices if d.key in devices):
        for name, point in device.points.items():
            if point.effective_kind in kinds:
                key = series_key(device.asset_name, name, point.quantity)
                found[context.ids[key]] = devices[device.key]
    return Places(found)
