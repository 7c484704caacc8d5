"""Figures against what is expected of them by like days or by a driver → judgements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.alerts import Deviation
from config.kpis import Figure
from pipeline.alerts.by_window import ByWindow, Told, Verdict
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.expected import HOUR_NS, Learner, LikeDays, Line, power_of
from pipeline.alerts.judged import FALSE, TRUE
from pipeline.consume import State


@dataclass(frozen=True, slots=True)
class Band:
    """How far a value may be from the expected one; percent None: so far one likes."""

    over_percent: float | None
    under_percent: float | None
    least: float

    def judge(self, value: float, expected: float, width: float = 0.0) -> tuple[int, float]:
        """Return the truth, and the limit on the side the value is on.

        A side's limit is expected ± max(percent of it, width, least).
        """
        above = value >= expected
        percent = self.over_percent if above else self.under_percent
        if percent is None:
            return FALSE, expected
        allowed = max(abs(expected) * percent / 100, width, self.least)
        limit = expected + allowed if above else expected - allowed
        return (TRUE if abs(value - expected) > allowed else FALSE), limit


@dataclass(frozen=True, slots=True)
class FromCurve:
    """One alert on like days: beyond the percentage of their median *and* 3 · 1.4826 · MAD *and* `least`.

    What deviates is not learned (`LikeDays.learned`): a fault that lasts would become what is expected.
    """

    alert: int
    key: str
    of: str
    parts: Mapping[str, int]
    band: Band
    days: LikeDays
    unit: str
    min_completeness: float

    def judge(self, learned: State, told: Told) -> tuple[State, Verdict | None]:
        if told.parts["share"] < self.min_completeness:
            return learned, None
        value, (day, slot) = told.parts["value"], self.days.place(told.end, told.span)
        like = self.days.like(learned, day, slot)
        if like is None:
            return self.days.learned(learned, day, slot, value, deviates=False), None
        truth, limit = self.band.judge(value, like.median, like.width)
        learned = self.days.learned(learned, day, slot, value, deviates=truth == TRUE)
        return learned, Verdict(truth, value, limit, _excess(self.unit, value - like.median, told.span))

    def say(self, learned: State) -> str:
        return self.days.say(learned)


@dataclass(frozen=True, slots=True)
class FromBaseline:
    """One alert on a line over a driver: expected = idle · hours + slope · driver, of a power its mean."""

    alert: int
    key: str
    of: str
    parts: Mapping[str, int]
    band: Band
    learner: Learner
    unit: str
    min_completeness: float

    def judge(self, learned: State, told: Told) -> tuple[State, Verdict | None]:
        if min(told.parts["share"], told.parts["driver_share"]) < self.min_completeness:
            return learned, None
        value, driver, hours = told.parts["value"], told.parts["driver"], told.span / HOUR_NS
        line = self.learner.line(learned)
        if line is None:
            amount = value * hours if self.unit == "kW" else value
            return self.learner.learned(learned, told.end, amount, driver, hours), None
        expected = self._expected(line, driver, hours)
        truth, limit = self.band.judge(value, expected)
        return learned, Verdict(truth, value, limit, _excess(self.unit, value - expected, told.span))

    def _expected(self, line: Line, driver: float, hours: float) -> float:
        amount = line.energy(driver, hours)
        return amount / hours if self.unit == "kW" else amount

    def say(self, learned: State) -> str:
        return self.learner.say(learned)


def _excess(unit: str, difference: float, span_ns: int) -> float:
    """Return what a value costs beyond the expected one [kW]; what is below it costs nothing that is known."""
    return power_of(unit, difference, span_ns) if difference >= 0 else float("nan")


def rule_of(number: int, key: str, rule: Deviation, context: Context) -> FromCurve | FromBaseline:
    """Return how an alert of this kind judges."""
    figure = context.figure(rule.window)
    band = Band(rule.over_percent, rule.under_percent, rule.least)
    parts = {"value": context.ids[figure.key], "share": context.ids[figure.completeness]}
    if rule.driver is None:
        of = f"{_told(figure)} {context.zone.key}"
        days = LikeDays(context.zone, figure.every, rule.learn_days)
        return FromCurve(number, key, of, parts, band, days, figure.unit, rule.min_completeness)
    driver = context.figure(rule.driver)
    parts |= {"driver": context.ids[driver.key], "driver_share": context.ids[driver.completeness]}
    of = f"{_told(figure)} over {_told(driver)}"
    allowed = min(p for p in (rule.over_percent, rule.under_percent) if p is not None) / 100
    learner = Learner(rule.learn_days, allowed)
    return FromBaseline(number, key, of, parts, band, learner, figure.unit, rule.min_completeness)


def _told(figure: Figure) -> str:
    return f"{figure.key} {figure.unit} {figure.every} {figure.during}"


def build(alerts: Sequence[Numbered], context: Context) -> ByWindow:
    """Return the condition of all rules of this kind."""
    return ByWindow([rule_of(number, alert.key, alert.rule, context) for number, alert in alerts])
