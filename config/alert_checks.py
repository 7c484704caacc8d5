"""A plant → what its alerts refer to and is not there, or is not what such an alert judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from config.alerting import DISK, LEAST_GAUGES, has_due, meaningful
from config.alerts import (
    Budget,
    CalibrationDue,
    Demand,
    Deviation,
    Frozen,
    GradeDrop,
    Health,
    IntensityAlert,
    RateOfChange,
    Rule,
    Stale,
    Threshold,
)
from config.components import components
from config.explain import nearest
from config.kpis import Figures, energy_of, figures
from config.model import Asset, Device
from config.plant_checks import Finding, Loc, Plant
from config.type_alerts import alarms_of
from config.window_checks import Points, energy, points_of, refer, untold


def check_alerts(plant: Plant) -> Iterator[Finding]:
    """Yield everything wrong with alerts."""
    for path, _, asset in plant.assets():
        yield from _chosen(plant, path, asset)
    known = _Known.of(plant)
    for name, rule in plant.gateway.alerts.items():
        path = ("alerts", name)
        yield from _windows(known, path, rule)
        yield from _points(known, path, rule)
        if isinstance(rule, Stale | Frozen):
            yield from _device(known, path, rule)
        elif isinstance(rule, CalibrationDue):
            yield from _meter(plant, path, rule)
        elif isinstance(rule, Health):
            yield from _health(plant, path, rule)


@dataclass(frozen=True)
class _Known:
    """What rules may name; `hidden` tells what may stand in a block that is wrong itself."""

    plant: Plant
    points: Points
    devices: dict[str, Device]
    figures: Figures
    hidden: Callable[[str], bool]

    @classmethod
    def of(cls, plant: Plant) -> _Known:
        points = {name: points_of(plant, asset) for _, name, asset in plant.assets()}
        devices = {f"{asset}.{name}": device for _, asset, _, name, device in plant.devices()}
        return cls(plant, points, devices, figures(plant.gateway, points), untold(plant))

    def quantity(self, reference: str) -> str:
        """Return what a point shows, "" for what is no point."""
        asset, _, name = reference.partition(".")
        point = self.points.get(asset, {}).get(name)
        return point.quantity if point else ""


def _chosen(plant: Plant, path: Loc, asset: Asset) -> Iterator[Finding]:
    """Yield the names of alerts an asset asks for and nothing brings."""
    meters = plant.gateway.accounting.meters
    still = [name for name, device in asset.devices.items() if meaningful(plant.points(device).values())]
    brought = {*alarms_of(asset), *(f"{d}-stale" for d in asset.devices), *(f"{d}-frozen" for d in still)}
    brought |= {f"{name}-calibration" for name, m in meters.items() if (m.device or "").startswith(f"{path[-1]}.")}
    for index, alert in enumerate(asset.alerts if isinstance(asset.alerts, tuple) else ()):
        if alert not in brought:
            yield (*path, "alerts", index), f"nothing brings an alert '{alert}' here{nearest(alert, brought)}"


# ── figures ───────────────────────────────────────────────────────────────────────────────────────


def _windows(known: _Known, path: Loc, rule: Rule) -> Iterator[Finding]:
    """Yield the windows a rule names and nothing computes, or that are not what it judges."""
    names = known.plant.names("windows")
    for key in ("window", "driver", "waste"):
        window = getattr(rule, key, None)
        if window is None or (key == "waste" and known.quantity(window) == "power"):
            continue
        where = (*path, key)
        if known.figures.named(window):
            yield from _suits(known, where, rule, window)
        elif window not in names and not ("." in window and known.hidden(window)):
            yield where, _no_window(known, window, names)


def _no_window(known: _Known, window: str, names: Iterable[str]) -> str:
    asset, dot, kpi = window.partition(".")
    if not dot:
        return f"there is no window '{window}'{nearest(window, names)}"
    if quantity := known.quantity(window):
        return f"'{window}' shows {quantity}; what something wastes is a figure or a point in kW"
    why = next((f"; {left.why}" for left in known.figures.left if (left.asset, left.kpi) == (asset, kpi)), "")
    return f"asset '{asset}' has no figure '{kpi}'{why or nearest(window, known.figures.found)}"


def _suits(known: _Known, where: Loc, rule: Rule, window: str) -> Iterator[Finding]:
    """Yield why a figure is not what a rule judges."""
    figure = known.figures.named(window)
    if figure is None:
        return
    if where[-1] == "waste" and figure.unit != "kW":
        yield where, f"'{window}' is in {figure.unit}; what something wastes is a figure or a point in kW"
    elif isinstance(rule, GradeDrop) and not figure.grade:
        told = ((left.asset, left.kpi, left.why) for left in known.figures.grades)
        why = next((f": {why}" for asset, kpi, why in told if f"{asset}.{kpi}" == window and why), "")
        yield where, f"'{window}' has no grade{why}; watch it with above: or below:"
    elif isinstance(rule, IntensityAlert) and known.figures.named(energy_of(window)) is None:
        yield where, f"'{window}' is a formula; an alert of type intensity needs a window of type energy_intensity"
    elif isinstance(rule, Deviation) and where[-1] == "driver":
        judged = known.figures.named(rule.window)
        if judged and (judged.every, judged.during) != (figure.every, figure.during):
            yield where, f"'{window}' has other windows than '{rule.window}'; a driver has the same every: and during:"


# ── points ────────────────────────────────────────────────────────────────────────────────────────


def _points(known: _Known, path: Loc, rule: Rule) -> Iterator[Finding]:
    """Yield the points a rule names that are not there, or not what it judges."""
    for where, reference in _named(path, rule):
        if known.hidden(reference):
            continue
        if missing := refer(known.points, reference, where):
            yield from missing
        elif isinstance(rule, Demand) and known.quantity(reference) != "power":
            yield where, f"'{reference}' shows {known.quantity(reference)}; the demand is that of a power in kW"
        elif isinstance(rule, Budget):
            yield from energy(known.plant, known.points, reference, where)
        elif isinstance(rule, RateOfChange) and _is_state(known, reference):
            yield where, f"'{reference}' is a state; only what is measured rises or falls"


def _named(path: Loc, rule: Rule) -> Iterator[tuple[Loc, str]]:
    if isinstance(rule, Threshold | RateOfChange) and rule.point is not None:
        yield (*path, "point"), rule.point
    elif isinstance(rule, Demand):
        yield (*path, "power"), rule.power
    elif isinstance(rule, Budget):
        yield from (((*path, "points", index), point) for index, point in enumerate(rule.points))


def _is_state(known: _Known, reference: str) -> bool:
    asset, _, name = reference.partition(".")
    return known.points[asset][name].effective_kind == "state"


# ── devices, meters, the gateway's parts ──────────────────────────────────────────────────────────


def _device(known: _Known, path: Loc, rule: Stale | Frozen) -> Iterator[Finding]:
    where = (*path, "device")
    device = known.devices.get(rule.device)
    if known.hidden(rule.device):
        return
    if device is None:
        yield where, f"there is no device '{rule.device}'{nearest(rule.device, known.devices)}"
    elif isinstance(rule, Frozen) and not meaningful(known.plant.points(device).values()):
        message = f"has fewer than {LEAST_GAUGES} gauges; that a value stands still proves nothing. Watch it with stale"
        yield where, f"'{rule.device}' {message}"


def _meter(plant: Plant, path: Loc, rule: CalibrationDue) -> Iterator[Finding]:
    meters = plant.gateway.accounting.meters
    where = (*path, "meter")
    if not plant.is_whole("accounting"):
        return
    if rule.meter not in meters:
        yield where, f"the register has no meter '{rule.meter}'{nearest(rule.meter, meters)}"
    elif not has_due(meters[rule.meter]):
        yield where, f"nothing says when the calibration of '{rule.meter}' runs out; add due: in the register"


def _health(plant: Plant, path: Loc, rule: Health) -> Iterator[Finding]:
    parts = {*components(plant.gateway), DISK}
    wanted = "below" if rule.counter == "free_mb" else "above"
    other = "above" if wanted == "below" else "below"
    if rule.component not in parts:
        if all(plant.is_whole(block) for block in ("connections", "sinks")):
            message = f"the gateway has no part '{rule.component}'{nearest(rule.component, parts)}"
            yield (*path, "component"), message
    elif (rule.component == DISK) != (rule.counter == "free_mb"):
        yield (*path, "counter"), f"free_mb goes with component: {DISK}, and only with that"
    elif getattr(rule, other) is not None:
        yield (*path, other), f"{rule.counter} is watched with {wanted}:"
    elif getattr(rule, wanted) is None and rule.counter in ("backlog", "lag_s", "free_mb"):
        yield path, f"{rule.counter} needs its limit; add {wanted}:"
