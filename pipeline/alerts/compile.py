"""Alerts of a configuration → their series, and the stage that judges them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache

from config.alerting import Alert
from config.alerts import Budget, Rule
from config.bindings import series_key
from config.errors import GatewayError
from config.kpis import Figures
from config.model import Gateway
from config.quantities import QUANTITIES
from pipeline.alerts.context import Context
from pipeline.alerts.kinds import conditions
from pipeline.alerts.stage import STAGE, Alerts, Slot
from pipeline.batch import ALERT
from pipeline.clock import SECOND_NS
from pipeline.figures import digest
from pipeline.spec import Kind, Like, Spec

# quantity of an alert's series → what it is in the database
_PARTS = {"alert": "alert_state", "alert_value": "value", "alert_limit": "limit", "alert_excess": "excess_kw"}


# what of a rule says what is judged; its limits and times may change while it fires
_WATCHED = ("window", "point", "device", "power", "points", "quantity", "meter", "component", "counter", "driver")
_MINUTES = {"15min": 15, "30min": 30, "60min": 60}
_TOLD_S = 30.0  # from the tick that ends a grace until the window's rows are committed and read


def part_key(alert: Alert[Rule], quantity: str) -> str:
    """Return the key of one of an alert's series: its state is `alert`, then `alert_value`, `_limit`, `_excess`."""
    return series_key(alert.asset, alert.name, quantity)


def alert_specs(gateway: Gateway, alerts: Sequence[Alert[Rule]], known: Collection[str]) -> Iterator[Spec]:
    """Yield the series of every alert; raises GatewayError for a budget of what no series of `known` counts."""
    for alert in alerts:
        _countable(alert, known)
        about = {"site": gateway.site.name, "asset": alert.asset, "alert": alert.name, "severity": alert.rule.severity}
        tags = tuple(sorted(about.items()))
        for quantity in _PARTS:
            yield Spec(part_key(alert, quantity), tags, _like(quantity))


def _countable(alert: Alert[Rule], known: Collection[str]) -> None:
    rule = alert.rule
    if not isinstance(rule, Budget):
        return
    for point in rule.points:
        asset, _, name = point.partition(".")
        if series_key(asset, name, rule.quantity) not in known:
            what = "kWh" if rule.quantity == "energy" else "kg CO₂e"
            message = f"no {what} follow from '{point}'; name the point its asset is accounted by"
            raise GatewayError(f"alerts.{alert.name}.points: {message}")


@cache
def _like(quantity: str) -> Like:
    """Return what all alerts' series of one quantity are: there may be thousands."""
    kind = Kind.STATE if quantity == "alert" else Kind.GAUGE
    return Like(STAGE, quantity, QUANTITIES[quantity].unit, kind, "alert", _PARTS[quantity], stratum=ALERT)


def alert_stage(alerts: Sequence[Alert[Rule]], context: Context) -> Alerts:
    """Return the stage of all alerts."""
    slots = [_slot(alert, context) for alert in alerts]
    return Alerts(slots, conditions(alerts, context), context.tick)


def _slot(alert: Alert[Rule], context: Context) -> Slot:
    ids = context.ids
    waste = getattr(alert.rule, "waste", None)
    return Slot(
        alert.key,
        _hold_ns(alert.rule, context.figures),
        ids[alert.key],
        ids[part_key(alert, "alert_value")],
        ids[part_key(alert, "alert_limit")],
        ids[part_key(alert, "alert_excess")],
        waste=context.power(waste) if waste else -1,
        fresh_ns=_fresh_ns(alert.rule, context.figures),
        of=digest(f"{alert.rule.type} {[getattr(alert.rule, name, None) for name in _WATCHED]}"),
    )


def _fresh_ns(rule: Rule, figures: Figures) -> int:
    """Return until when a window's judgement stands: until the next one is told; 0 for what is no part of an hour."""
    figure = figures.named(getattr(rule, "window", None) or "")
    if figure is None or figure.every not in _MINUTES:
        return 0
    return int((_MINUTES[figure.every] * 60 + figure.grace_s + 2 * _TOLD_S) * SECOND_NS)


def _hold_ns(rule: Rule, figures: Figures) -> int:
    """Return how long a rule must be true.

    What became of the hold's last window is known only after its grace, which does not count.
    """
    figure = figures.named(getattr(rule, "window", None) or "")
    grace_s = figure.grace_s + _TOLD_S if figure and rule.hold_s else 0.0
    return int((rule.hold_s + grace_s) * SECOND_NS)
