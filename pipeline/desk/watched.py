"""Alerts of a configuration → what the desk knows of each: where it belongs, its words and its series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from config.alerting import Alert
from config.alerts import (
    Budget,
    CalibrationDue,
    Demand,
    Frozen,
    GradeDrop,
    Health,
    RateOfChange,
    Rule,
    Severity,
    Stale,
    Threshold,
)
from config.quantities import QUANTITIES
from pipeline.alerts.compile import part_key
from pipeline.alerts.context import Context
from pipeline.clock import SECOND_NS

_WINDOW_S: Final = {"15min": 900, "30min": 1_800, "60min": 3_600, "shift": 43_200, "day": 90_000, "month": 2_682_000}
_FRESH_S: Final = 900  # of what is no window: while it lasts it is told each minute
_HEALTH: Final = {"lag_s": "s", "free_mb": "MB"}


@dataclass(frozen=True, slots=True)
class Watched:
    """One alert: the ids of its series, and how long an excess counts when no newer one comes [ns]."""

    asset: str
    area: str
    name: str
    kind: str
    severity: Severity
    advice: str
    unit: str
    fresh_ns: int
    state: int
    value: int
    limit: int
    excess: int

    @property
    def key(self) -> str:
        return f"{self.asset}.{self.name}"


def watched(context: Context) -> dict[str, Watched]:
    """Return what is watched, by asset.name."""
    areas = {asset: area for area, there in context.config.areas.items() for asset in there.assets}
    found = [_watched(alert, areas.get(alert.asset, ""), context) for alert in context.alerts]
    return {one.key: one for one in found}


def _watched(alert: Alert[Rule], area: str, context: Context) -> Watched:
    rule, ids = alert.rule, context.ids
    figure = context.figures.named(getattr(rule, "window", None) or "")
    fresh_s = (2 * _WINDOW_S[figure.every] if figure else 0) + _FRESH_S
    return Watched(
        asset=alert.asset,
        area=area,
        name=alert.name,
        kind=rule.type,
        severity=rule.severity,
        advice=rule.advice,
        unit=unit_of(rule, context),
        fresh_ns=fresh_s * SECOND_NS,
        **{part: ids[part_key(alert, key)] for part, key in _PARTS.items()},
    )


_PARTS: Final[Mapping[str, str]] = {
    "state": "alert", "value": "alert_value", "limit": "alert_limit", "excess": "alert_excess",
}  # fmt: skip


def unit_of(rule: Rule, context: Context) -> str:
    """Return the unit of an alert's value and limit, "" for a plain number."""
    plain: dict[type[Any], str] = {Stale: "s", Frozen: "s", Demand: "kW", GradeDrop: "", CalibrationDue: "d"}
    if type(rule) in plain:
        return plain[type(rule)]
    if isinstance(rule, Budget):
        return "kWh" if rule.quantity == "energy" else "kg"
    if isinstance(rule, Health):
        return _HEALTH.get(rule.counter, "")
    if isinstance(rule, RateOfChange):
        return f"{_of_point(rule.point, context)}/h"
    if isinstance(rule, Threshold) and rule.point is not None:
        return _of_point(rule.point, context)
    figure = context.figures.named(getattr(rule, "window", None) or "")
    return figure.unit if figure else ""


def _of_point(reference: str, context: Context) -> str:
    return QUANTITIES[context.points[reference].quantity].unit
