"""Configuration → the plan of a revision: the series of its devices, its figures, its alerts and the gateway's own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import orjson

from config.alerting import alerts_of
from config.bindings import BoundDevice
from config.components import components
from config.kpis import Figures
from config.model import Gateway
from pipeline.acts import ACT_KEY
from pipeline.alerts.compile import alert_specs
from pipeline.compile_device import DeviceSeries
from pipeline.compile_windows import figures_of, window_specs
from pipeline.heartbeat import FREE_KEY, GATEWAY, TICK_KEY, health_counters, health_key
from pipeline.keys import Keys
from pipeline.plan import Plan, tags_of
from pipeline.spec import Kind, Like, Spec
from pipeline.timelines import grid_timeline
from pipeline.trust import CLOCK_KEY


def compile_plan(gateway: Gateway, devices: Iterable[BoundDevice], base: Path = Path()) -> Plan:
    """Return the plan of a checked configuration; `base` is the folder its relative paths start from.

    Raises GatewayError for a window over energy that nothing computes.
    """
    plan, devices = Plan(), list(devices)
    plan.grid = plan.add(grid_timeline(gateway, gateway.site.region, gateway.factors.kind, base))
    tables = tuple(base / t for t in gateway.factors.tables)
    accounted: set[tuple[str, str]] = set()
    registered = {meter.device: meter for meter in gateway.accounting.meters.values() if meter.device}
    for device in devices:
        plan.specs += DeviceSeries(gateway, device, plan, accounted, tables, registered.get(device.key)).specs()
    plan.specs += _own(gateway)
    known = Keys(plan.specs.keys, np.arange(len(plan.specs), dtype=np.int32))
    found = figures_of(gateway, devices, known)
    plan.specs += window_specs(gateway, found)
    plan.specs += alert_specs(gateway, alerts_of(gateway, devices, found), known)
    plan.rules = _rules(gateway, found)
    return plan


def _rules(gateway: Gateway, found: Figures) -> bytes:
    said = gateway.model_dump(mode="json", include={"site": {"zone", "shifts"}, "windows": True, "alerts": True})
    said["figures"] = hashlib.sha256(" ".join(map(str, found)).encode()).hexdigest()
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def _own(gateway: Gateway) -> Iterator[Spec]:
    """Yield the gateway's own series: the tick and each component's counters."""
    tags = tags_of(gateway, asset=GATEWAY)
    yield Spec(TICK_KEY, tags, Like(GATEWAY, "tick", "1", Kind.STATE, "gateway", "tick_count"))
    yield Spec(ACT_KEY, tags, Like(GATEWAY, "act", "1", Kind.STATE, "gateway", "act"))
    yield Spec(CLOCK_KEY, tags, Like(GATEWAY, "health", "1", Kind.GAUGE, "gateway", "clock_offset_s"))
    yield Spec(FREE_KEY, tags, Like(GATEWAY, "health", "1", Kind.GAUGE, "gateway", "disk_free_mb"))
    for component in components(gateway):
        place = tags_of(gateway, asset=GATEWAY, device=component)
        for counter in health_counters(component):
            name = counter if counter in ("lag_s", "latency_s", "down") else f"{counter}_count"
            key = health_key(component, counter)
            yield Spec(key, place, Like(GATEWAY, "health", "1", Kind.GAUGE, "gateway", name))
