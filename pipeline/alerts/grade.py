"""Grades of figures against the worst that is borne, and against what they mostly were → judgements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from config.alerts import GradeDrop
from config.errors import GatewayError
from pipeline import quality as q
from pipeline.alerts.by_window import ByWindow, Told, Verdict
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.judged import FALSE, TRUE
from pipeline.clock import SECOND_NS
from pipeline.consume import State

_GRADES: Final = 4
_LEAST_DAYS: Final = 3  # with grades, before one is typical


@dataclass(frozen=True, slots=True)
class Grade:
    """One alert: true where the grade is worse than `worse_than`, or than the median of the last `typical_days` (a
    higher number is worse). The limit is the grade it should not be worse than. A senseless figure has no grade.

    State: {"days": [[ordinal of the local day, [how many windows of grade 1, 2, 3, 4]]]}.
    """

    alert: int
    key: str
    of: str
    parts: Mapping[str, int]
    worse_than: int | None
    typical_days: int
    dropped: bool
    min_completeness: float
    zone: ZoneInfo

    def judge(self, learned: State, told: Told) -> tuple[State, Verdict | None]:
        if told.parts["share"] < self.min_completeness or told.quality & q.RANGE:
            return learned, None
        grade, day = int(told.parts["grade"]), self._day(told)
        limits = [g for g in (self.worse_than, self._typical(learned, day)) if g is not None]
        learned = self._learned(learned, told.end, day, grade)
        if not limits:
            return learned, None
        truth = TRUE if grade > min(limits) else FALSE
        return learned, Verdict(truth, float(grade), float(min(limits)), float("nan"))

    def _day(self, told: Told) -> int:
        start = (told.end - told.span) // SECOND_NS
        return datetime.fromtimestamp(start, UTC).astimezone(self.zone).date().toordinal()

    def _typical(self, learned: State, day: int) -> int | None:
        """Return the median grade of earlier days; None where it does not matter or too few are known."""
        days = [counts for d, counts in learned.get("days", ()) if 0 < day - d <= self.typical_days]
        if not self.dropped or len(days) < _LEAST_DAYS:
            return None
        each = [sum(column) for column in zip(*days, strict=True)]
        return next(g for g in range(1, _GRADES + 1) if 2 * sum(each[:g]) >= sum(each))

    def _learned(self, learned: State, end_ns: int, day: int, grade: int) -> State:
        """Return the state with one window more; a window told again replaces what it said before."""
        days = {d: list(c) for d, c in learned.get("days", ()) if day - d <= self.typical_days}
        counts = days.setdefault(day, [0] * _GRADES)
        if learned.get("last", [0])[0] == end_ns:
            counts[learned["last"][1] - 1] -= 1
        counts[grade - 1] += 1
        return {"days": [[d, c] for d, c in sorted(days.items())], "last": [end_ns, grade]}

    def say(self, learned: State) -> str:
        if not self.dropped:
            return ""
        days = len(learned.get("days", ()))
        return f"{days} days with grades known" + ("" if days >= _LEAST_DAYS else f"; a drop needs {_LEAST_DAYS}")


def rule_of(number: int, key: str, rule: GradeDrop, context: Context) -> Grade:
    """Return how an alert of this kind judges. Raises GatewayError for a figure without a grade."""
    figure, ids = context.figure(rule.window), context.ids
    if not figure.grade:
        raise GatewayError(f"alerts: '{rule.window}' has no grade")
    parts = {"grade": ids[figure.grade], "share": ids[figure.completeness]}
    return Grade(
        number,
        key,
        f"{figure.grade} {figure.standard} {figure.limits}",
        parts,
        rule.worse_than,
        rule.typical_days,
        rule.dropped,
        rule.min_completeness,
        context.zone,
    )


def build(alerts: Sequence[Numbered], context: Context) -> ByWindow:
    """Return the condition of all rules of this kind."""
    return ByWindow([rule_of(number, alert.key, alert.rule, context) for number, alert in alerts])
