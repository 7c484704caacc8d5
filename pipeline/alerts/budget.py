"""Amounts of the calendar month → judgements whether its projection crosses what was planned for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from config.alerts import Budget
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.judged import AGAIN_NS, BETWEEN, FALSE, TRUE, Judged, Row, Watchers
from pipeline.batch import Batch
from pipeline.calendar import DAY_NS, Calendar
from pipeline.consume import State

NAN: Final = float("nan")
_BIN_NS: Final = DAY_NS // 4  # of the time the rate is a mean of
_BINS: Final = 28  # seven days, so that each day of the week is in it once
_OVER: Final = 0.98  # of the limit: below this the plan holds again
_HOUR_NS: Final = DAY_NS // 24


class Plan(NamedTuple):
    """One alert: the series of its amounts, the limit of a month, and when the first projection is made."""

    alert: int
    key: str
    amounts: tuple[int, ...]
    limit: float
    after_ns: int
    is_energy: bool


@dataclass(frozen=True)
class Budgets:
    """All alerts of budgets: value = so far + Σ mean rate of the last seven days · time left, by point.

    The mean is over covered time, a day of it at least, of this month only; what an amount's interval has of another
    month is not counted. Before `after_days` only what has been used already is compared. Judged with one tick a
    minute; over with the month.
    State: {"month": [start, end], "so_far": {series: amount}, "latest": {series: end of its newest
    interval}, "bins": {series: [[bin, amount, covered ns], …]}, "judged": minute}; series as text, as JSON has them.
    """

    plans: Sequence[Plan]
    calendar: Calendar
    tick: int

    @cached_property
    def _watched(self) -> Watchers[Plan]:
        return Watchers((series, plan) for plan in self.plans for series in (*plan.amounts, self.tick))

    def fold(self, state: State, batch: Batch) -> tuple[State, Judged | None]:
        rows = self._watched.good(batch)
        if not len(rows):
            return state, None
        month = _Month(self, state)
        for row in rows.tolist():
            at, series = int(batch.time_ns[row]), int(batch.series[row])
            month.until(at, row)
            if series == self.tick:
                month.judge(at, row)
            else:
                month.add(series, at, int(batch.span_ns[row]), float(batch.value[row]))
        return month.state, Judged.of(month.told) if month.told else None


class _Month:
    """One batch's way through the month; `told` are judgements."""

    def __init__(self, budgets: Budgets, state: State) -> None:
        self._budgets = budgets
        fresh: State = {"month": [0, 0], "so_far": {}, "latest": {}, "bins": {}, "judged": 0}
        self.state = fresh | state
        for part in ("so_far", "latest", "bins"):
            self.state[part] = dict(self.state[part])
        self.told: list[Row] = []

    def until(self, at: int, row: int) -> None:
        """Begin the month an instant lies in, where the one before is over."""
        _, end = self.state["month"]
        if at <= end:
            return
        if end:
            self.told += [(p.alert, row, end, FALSE, NAN, p.limit, NAN) for p in self._budgets.plans]
        month = self._budgets.calendar.around(at)
        self.state |= {"month": [*(month or (at, at))], "so_far": {}, "latest": {}, "bins": {}}

    def add(self, series: int, at: int, span: int, amount: float) -> None:
        """Count what of an amount fell in this month, spread evenly over its interval."""
        begin, end = max(at - span, self.state["month"][0]), at
        if end <= self.state["month"][0]:
            return
        mine = amount * (end - begin) / span if span else amount
        so_far, latest, bins = self.state["so_far"], self.state["latest"], self.state["bins"]
        name = str(series)
        so_far[name] = so_far.get(name, 0.0) + mine
        latest[name] = max(latest.get(name, 0), end)
        bins[name] = _binned(bins.get(name, []), begin, end, mine)

    def judge(self, now: int, row: int) -> None:
        """Judge every budget with the first tick of a minute."""
        if now // AGAIN_NS == self.state["judged"]:
            return
        self.state["judged"] = now // AGAIN_NS
        for plan in self._budgets.plans:
            so_far = sum(self.state["so_far"].get(str(series), 0.0) for series in plan.amounts)
            projected = so_far + self._expected(plan, now)
            hours = (self.state["month"][1] - now) / _HOUR_NS
            excess = max(0.0, projected - plan.limit) / hours if plan.is_energy and hours > 0 else NAN
            truth = TRUE if projected > plan.limit else FALSE if projected <= _OVER * plan.limit else BETWEEN
            self.told.append((plan.alert, row, now, truth, projected, plan.limit, excess))

    def _expected(self, plan: Plan, now: int) -> float:
        """Return what the rest of the month brings at the mean rate; nothing is projected too early."""
        start, end = self.state["month"]
        if now - start < plan.after_ns:
            return 0.0
        total = 0.0
        for series in map(str, plan.amounts):
            recent = [b for b in self.state["bins"].get(series, []) if b[0] > now // _BIN_NS - _BINS]
            covered = sum(b[2] for b in recent)
            # A gateway that begins within a month knows no day of it yet.
            if covered >= max(1, min(plan.after_ns, DAY_NS)):
                total += sum(b[1] for b in recent) / covered * (end - self.state["latest"][series])
        return total


def _binned(bins: list[Any], begin: int, end: int, amount: float) -> list[Any]:
    """Return the bins with an amount spread over the time it fell in; those nobody asks for any more are left out."""
    if bins and begin >= bins[-1][0] * _BIN_NS and end < (bins[-1][0] + 1) * _BIN_NS:
        number, share, covered = bins[-1]
        return [*bins[:-1], [number, share + amount, covered + end - begin]]
    last = max(end // _BIN_NS, bins[-1][0] if bins else 0)
    found = {number: [share, covered] for number, share, covered in bins if number > last - _BINS - 1}
    for number in range(max(begin // _BIN_NS, last - _BINS), end // _BIN_NS + 1):
        part = min(end, (number + 1) * _BIN_NS) - max(begin, number * _BIN_NS)
        share, covered = found.get(number, (0.0, 0))
        found[number] = [share + amount * part / (end - begin) if end > begin else amount, covered + part]
    return [[number, *found[number]] for number in sorted(found)]


def build(alerts: Sequence[Numbered], context: Context) -> Budgets:
    """Return the condition of all rules of this kind."""
    plans = []
    for number, alert in alerts:
        rule: Budget = alert.rule
        amounts = tuple(context.point(point, rule.quantity) for point in rule.points)
        after_ns = round(rule.after_days * DAY_NS)
        plans.append(Plan(number, alert.key, amounts, rule.limit, after_ns, rule.quantity == "energy"))
    return Budgets(plans, Calendar(context.zone, "month"), context.tick)
