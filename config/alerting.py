"""Rules, and what assets' types bring → every alert of a plant: one rule at one asset."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from config.alerts import Budget, CalibrationDue, Demand, Frozen, Health, RateOfChange, Rule, Stale, Threshold
from config.bindings import BoundDevice, series_key
from config.kpis import Figures
from config.model import Gateway

R = TypeVar("R", covariant=True)
GATEWAY = "gateway"


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
        return (gateway.accounting.meters[rule.meter].device or GATEWAY).partition(".")[0]
    if isinstance(rule, Threshold) and rule.point is not None:
        return rule.point.partition(".")[0]
    figure = found.named(rule.window or "")
    return figure.asset if figure else GATEWAY


def _brought(gateway: Gateway, devices: Collection[BoundDevice], found: Figures) -> Iterator[Alert[Rule]]:
    """Yield the alerts that need no rule of the user's."""
    return iter(())
