"""What only the whole program can check of a configuration: addresses, series, secrets; and what it amounts to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from carbon.factors.steam import mistake_of
from config.bindings import BoundDevice, bind
from config.errors import ConfigError
from config.kpis import Figures, figures, points_of
from config.load import Loaded, located
from config.plant_checks import Finding
from pipeline.compile import compile_plan
from tanflow.commissioning import records
from tanflow.planned import Planned


def check_more(loaded: Loaded) -> Planned:
    """Return the plan of all series with every factor; raises ConfigError or GatewayError, before any I/O."""
    if findings := list(_impossible(loaded)):
        raise ConfigError(located(loaded.path, findings))
    return Planned.of(loaded.gateway, loaded.templates, loaded.path.parent)


def _impossible(loaded: Loaded) -> Iterator[Finding]:
    """Yield periods no bus can keep, and states of steam and hot water that are none."""
    devices = list(bind(loaded.gateway, loaded.templates))
    yield from _overloaded(loaded, devices)
    for device in devices:
        for name, point in device.points.items():
            state = point.steam or point.hot_water
            if state is not None and (message := mistake_of(state)):
                at = ("areas", device.area, "assets", device.asset_name, "devices", device.name)
                yield (*at, "points", name, "steam" if point.steam else "hot_water"), message


def _overloaded(loaded: Loaded, devices: list[BoundDevice]) -> Iterator[Finding]:
    for of_protocol in _budgets(loaded):
        from collectors.line_budget import overloads

        yield from overloads(of_protocol(loaded.gateway, devices))


def _buses(loaded: Loaded, devices: list[BoundDevice]) -> Iterator[str]:
    for of_protocol in _budgets(loaded):
        from collectors.line_budget import words

        yield from (f"  {line}" for bus in of_protocol(loaded.gateway, devices) for line in words(bus))


def _budgets(loaded: Loaded) -> Iterator[Any]:
    """Yield what knows the buses of each protocol that has any; a protocol nobody configured is not imported."""
    spoken = {connection.protocol for connection in loaded.gateway.connections.values()}
    if "modbus" in spoken:
        from collectors import modbus_budget

        yield modbus_budget.buses
    if "dlt645" in spoken:
        from collectors import dlt645_budget

        yield dlt645_budget.buses


def summary(loaded: Loaded) -> str:
    """Return what the configuration amounts to, and which figures its assets get, are graded by, or miss."""
    gateway = loaded.gateway
    devices = list(bind(gateway, loaded.templates))
    points = sum(len(d.points) for d in devices)
    assets = sum(len(a.assets) for a in gateway.areas.values())
    many = (assets, "asset"), (len(devices), "device"), (points, "point"), (len(gateway.connections), "connection")
    counts = ", ".join(_count(*one) for one in (*many, (len(gateway.sinks), "sink")))
    known = {spec.key for spec in compile_plan(gateway, devices, loaded.path.parent).specs}
    found = figures(gateway, points_of(devices), known)
    register = records.Register.of(gateway, time.time_ns())
    to_compare = records.summary(loaded.path.parent / gateway.data.dir, devices, register)
    valid = f"{loaded.path}: valid — {counts}"
    return "\n".join([valid, *_buses(loaded, devices), *_figures(found), *([to_compare] if to_compare else [])])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _figures(found: Figures) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for figure in found:
        names.setdefault(figure.asset, []).append(figure.name)
    graded = {(one.asset, one.kpi): one.why for one in found.grades}
    for asset, figures_ in names.items():
        yield f"  {asset}: {', '.join(figures_)}"
        yield from (f"    {name}: {why}" for name in figures_ if (why := graded.get((asset, name))))
    for asset, kpi, why in found.left:
        yield f"  {asset}: no {kpi}: {why}"
