"""Rules, and what assets' types bring → every alert of a plant: one rule at one asset."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final, Generic, TypeVar

from config.alerts import Budget, CalibrationDue, Demand, Frozen, Health, RateOfChange, Rule, Stale, Threshold
from config.bindings import BoundDevice, series_key
from config.kpis import Figures
from config.meters import Meter
from config.model import Gateway
from config.points import Point
from config.type_alerts import type_alerts

R = TypeVar("R", covariant=True)
GATEWAY: Final = "gateway"
DISK: Final = "disk"  # stands where a component does: the disk of the data directory
LEAST_GAUGES: Final = 2
# (least [s], periods, of a device whose period nobody states [s])
_SILENT: Final = (300.0, 20.0, 3_600.0)
_STILL: Final = (900.0, 60.0, 10_800.0)
_LONGEST_S: Final = 86_400.0
# What never rests while there is supply; pressures and temperatures of a machine at rest do.
_RESTLESS: Final = ("voltage", "frequency")


@dataclass(frozen=True, slots=True)
class Alert(Generic[R]):
    """A rule at an asset; together with the asset its name is the key of its series."""

    asset: str
    name: str
    rule: R

    @property
    def key(self) -> str:
        return series_key(self.asset, self.name, "alert")


def alerts_of(gateway: Gateway, devices: Collection[BoundDevice], found: Figures) -> list[Alert[Rule]]:
    """Return all alerts of a plant: the user's rules, then what types bring, save where a rule has that name."""
    own = [Alert(asset_of(gateway, rule, found), name, rule) for name, rule in gateway.alerts.items()]
    taken = {alert.key for alert in own}
    return own + [alert for alert in _brought(gateway, devices, found) if alert.key not in taken]


def asset_of(gateway: Gateway, rule: Rule, found: Figures) -> str:
    """Return the asset a rule is about."""
    if isinstance(rule, Stale | Frozen):
        return rule.device.partition(".")[0]
    if isinstance(rule, RateOfChange):
        return rule.point.partition(".")[0]
    if isinstance(rule, Demand):
        return rule.power.partition(".")[0]
    if isinstance(rule, Budget):
        return rule.points[0].partition(".")[0]
    if isinstance(rule, Health):
        return GATEWAY
    if isinstance(rule, CalibrationDue):
        return _asset_of_meter(gateway, rule.meter)
    if isinstance(rule, Threshold) and rule.point is not None:
        return rule.point.partition(".")[0]
    figure = found.named(rule.window or "")
    return figure.asset if figure else GATEWAY


# ── what needs no rule of the user's ──────────────────────────────────────────────────────────────


def stale_after_s(gateway: Gateway, device: BoundDevice) -> float:
    """Return after what silence a device is stale: by the shortest rule for it, else by how often it is read."""
    own = [r.after_s for r in gateway.alerts.values() if isinstance(r, Stale) and r.device == device.key]
    return min(own, default=_after_s(gateway, device, *_SILENT))


def meaningful(points: Iterable[Point]) -> bool:
    """Return whether values that stand still say that a device is frozen: one gauge alone may rest."""
    return sum(point.effective_kind == "gauge" for point in points) >= LEAST_GAUGES


def has_due(meter: Meter) -> bool:
    """Return whether anything ever says when a meter's calibration runs out."""
    return bool(meter.due or any(event.due for event in meter.events))


def _brought(gateway: Gateway, devices: Collection[BoundDevice], found: Figures) -> Iterator[Alert[Rule]]:
    """Yield the alerts that need no rule of the user's, as far as their assets want them."""
    wanted = {device.asset_name: device.asset.alerts for device in devices}
    of_types = (Alert(*told) for told in type_alerts(gateway, found))
    every = chain(of_types, _of_devices(gateway, devices), _of_meters(gateway), _of_gateway(gateway))
    for alert in every:
        chosen = wanted.get(alert.asset, "auto")
        if chosen == "auto" or (chosen != "none" and alert.name in chosen):
            yield alert


def _of_devices(gateway: Gateway, devices: Collection[BoundDevice]) -> Iterator[Alert[Rule]]:
    told = {(type(rule), rule.device) for rule in gateway.alerts.values() if isinstance(rule, Stale | Frozen)}
    for device in devices:
        if (Stale, device.key) not in told:
            after_s = _after_s(gateway, device, *_SILENT)
            yield Alert(
                device.asset_name, f"{device.name}-stale", Stale(type="stale", device=device.key, after_s=after_s)
            )
        if (Frozen, device.key) not in told and _tellingly_still(device):
            after_s = _after_s(gateway, device, *_STILL)
            rule = Frozen(type="frozen", device=device.key, after_s=after_s)
            yield Alert(device.asset_name, f"{device.name}-frozen", rule)


def _tellingly_still(device: BoundDevice) -> bool:
    """Return whether a frozen device is told: where supply shows that it lives, or its asset asks for it."""
    points, chosen = device.points.values(), device.asset.alerts
    named = isinstance(chosen, tuple) and f"{device.name}-frozen" in chosen
    return meaningful(points) and (named or any(point.quantity in _RESTLESS for point in points))


def _after_s(gateway: Gateway, device: BoundDevice, least_s: float, periods: float, unpaced_s: float) -> float:
    """Return so many periods of a device, within bounds; of one that speaks when it likes, `unpaced_s`."""
    connection = gateway.connections[device.device.connection]
    paced = device.device.every_s
    if paced is None and (
        connection.protocol in ("modbus", "dlt645") or (connection.protocol == "opcua" and connection.mode == "poll")
    ):
        paced = connection.every_s
    return unpaced_s if paced is None else min(max(least_s, periods * paced), _LONGEST_S)


def _of_meters(gateway: Gateway) -> Iterator[Alert[Rule]]:
    told = {rule.meter for rule in gateway.alerts.values() if isinstance(rule, CalibrationDue)}
    for name, meter in gateway.accounting.meters.items():
        if name not in told and has_due(meter):
            rule = CalibrationDue(type="calibration", meter=name)
            yield Alert(_asset_of_meter(gateway, name), f"{name}-calibration", rule)


def _of_gateway(gateway: Gateway) -> Iterator[Alert[Rule]]:
    """Yield what the gateway says of itself."""
    rules: dict[str, Health] = {}
    for component in (*(f"collector.{name}" for name in gateway.connections), *(f"sink.{n}" for n in gateway.sinks)):
        name = component.replace(".", "-")
        rules[f"{name}-down"] = Health(type="health", component=component, hold_s=300.0)
        rules[f"{name}-rejected"] = Health(type="health", component=component, counter="rejected", severity="info")
        if component.startswith("sink."):
            rules[f"{name}-behind"] = Health(type="health", component=component, counter="lag_s", above=600.0)
    low_mb = 2.0 * gateway.data.min_free_mb
    rules["disk-low"] = Health(type="health", component=DISK, counter="free_mb", below=low_mb, severity="critical")
    told = {(rule.component, rule.counter) for rule in gateway.alerts.values() if isinstance(rule, Health)}
    for name, rule in rules.items():
        if (rule.component, rule.counter) not in told:
            yield Alert(GATEWAY, name, rule)


def _asset_of_meter(gateway: Gateway, meter: str) -> str:
    return (gateway.accounting.meters[meter].device or GATEWAY).partition(".")[0]
