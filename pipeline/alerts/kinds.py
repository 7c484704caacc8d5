"""Kinds of rules → how each is judged; a new kind is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from config.alerting import Alert
from config.alerts import Rule
from pipeline.alerts import (
    budget,
    calibration,
    demand,
    deviation,
    frozen,
    grade,
    health,
    intensity,
    rate_of_change,
    stale,
    threshold,
)
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.judged import Condition

Build = Callable[[Sequence[Numbered], Context], Condition]
KINDS: Final[dict[str, Build]] = {
    "threshold": threshold.build,
    "stale": stale.build,
    "frozen": frozen.build,
    "calibration": calibration.build,
    "health": health.build,
    "rate_of_change": rate_of_change.build,
    "demand": demand.build,
    "budget": budget.build,
    "deviation": deviation.build,
    "intensity": intensity.build,
    "grade": grade.build,
}


def conditions(alerts: Sequence[Alert[Rule]], context: Context) -> dict[str, Condition]:
    """Return the condition of each kind that is used, with all alerts of that kind."""
    by_kind: dict[str, list[Numbered]] = {}
    for number, alert in enumerate(alerts):
        by_kind.setdefault(alert.rule.type, []).append((number, alert))
    return {kind: KINDS[kind](mine, context) for kind, mine in by_kind.items()}
