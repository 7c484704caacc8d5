"""A rule → what it watches and at what it fires, in a few words for a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from config.alerts import Budget, Deviation, GradeDrop, Health, IntensityAlert, RateOfChange, Rule, Threshold
from config.kpis import Figures


def watched(rule: Rule) -> str:
    """Return what a rule watches."""
    said = rule.model_dump()
    found = next((said[key] for key in ("window", "point", "device", "power", "meter") if said.get(key)), "")
    if isinstance(rule, Budget):
        return ", ".join(rule.points)
    return f"{rule.component} {rule.counter}" if isinstance(rule, Health) else str(found)


def limit(rule: Rule, found: Figures) -> str:
    """Return at what a rule fires."""
    return _SAID[rule.type](rule, _unit(rule, found))


def duration(seconds: float) -> str:
    """Return a time as a person writes it, e.g. `3 h`; "" for none."""
    for unit, length in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= length and seconds % (length / 2) == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s" if seconds else ""


def _unit(rule: Rule, found: Figures) -> str:
    figure = found.named(getattr(rule, "window", None) or "")
    return f" {figure.unit}" if figure and figure.unit != "1" else ""


def _threshold(rule: Threshold, unit: str) -> str:
    sign = ">" if rule.above is not None else "<"
    again = f", over at {rule.clear:g}" if rule.clear != rule.limit else ""
    return f"{sign} {rule.limit:g}{unit}{again}"


def _rate(rule: RateOfChange, unit: str) -> str:
    up = f"+{rule.rising_per_h:g}/h" if rule.rising_per_h else ""
    down = f"−{rule.falling_per_h:g}/h" if rule.falling_per_h else ""
    return f"{' or '.join(filter(None, (up, down)))} over {duration(rule.over_s)}"


def _deviation(rule: Deviation, unit: str) -> str:
    up = f"+{rule.over_percent:g} %" if rule.over_percent else ""
    down = f"−{rule.under_percent:g} %" if rule.under_percent else ""
    of = f"the baseline over {rule.driver}" if rule.driver else f"like days of {rule.learn_days} d"
    least = f", at least {rule.least:g}{unit}" if rule.least else ""
    return f"{' or '.join(filter(None, (up, down)))} of {of}{least}"


def _intensity(rule: IntensityAlert, unit: str) -> str:
    stated = f"{rule.idle_kw:g} kW · h + {rule.per_unit:g} kWh/t" if rule.idle_kw is not None else ""
    return f"+{rule.over_percent:g} % of {stated or f'the baseline of {rule.learn_days} d'}"


def _grade(rule: GradeDrop, unit: str) -> str:
    worse = f"worse than {rule.worse_than}" if rule.worse_than else ""
    return " or ".join(filter(None, (worse, "than mostly" if rule.dropped else "")))


def _health(rule: Health, unit: str) -> str:
    if rule.below is not None:
        return f"< {rule.below:g}"
    if rule.counter in ("rejected", "restarts"):
        return f"> {rule.above or 0:g} within {duration(rule.over_s)}"
    return f"> {rule.above:g}" if rule.above is not None else ""


_SAID: Final[dict[str, Callable[[Any, str], str]]] = {
    "threshold": _threshold,
    "rate_of_change": _rate,
    "stale": lambda rule, unit: f"silent for {duration(rule.after_s)}",
    "frozen": lambda rule, unit: f"unchanged for {duration(rule.after_s)}",
    "deviation": _deviation,
    "intensity": _intensity,
    "budget": lambda rule, unit: f"the month will pass {rule.limit:g} {'kWh' if rule.quantity == 'energy' else 'kg'}",
    "demand": lambda rule, unit: f"{rule.every} will end > {rule.limit_kw:g} kW",
    "grade": _grade,
    "calibration": lambda rule, unit: f"within {rule.days} d",
    "health": _health,
}
