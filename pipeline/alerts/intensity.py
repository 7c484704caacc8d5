"""Energy and product of windows against the baseline of their production → judgements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.alerts import IntensityAlert
from config.kpis import energy_of, product_of
from pipeline.alerts.by_window import ByWindow, Told, Verdict
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.expected import HOUR_NS, Learner, Line
from pipeline.alerts.judged import BETWEEN, FALSE, TRUE
from pipeline.consume import State


@dataclass(frozen=True, slots=True)
class Intensity:
    """One alert: energy per product above (idle_kw · h / product + per_unit) · (1 + over), clear below (1 + clear).

    A line that is not stated is learned; until it is, nothing is said. A window with too little product says nothing,
    but teaches what idling takes. excess = (energy − idle_kw · h − per_unit · product) / h [kW].
    """

    alert: int
    key: str
    of: str
    parts: Mapping[str, int]
    stated: Line | None
    learner: Learner
    over: float
    clear: float
    min_product: float
    min_completeness: float

    def judge(self, learned: State, told: Told) -> tuple[State, Verdict | None]:
        if told.parts["share"] < self.min_completeness:
            return learned, None
        energy, product, hours = told.parts["energy"], told.parts["product"], told.span / HOUR_NS
        line = self.stated or self.learner.line(learned)
        if line is None:
            return self.learner.learned(learned, told.end, energy, product, hours), None
        if product <= 0 or product < self.min_product:
            return learned, None
        expected = line.energy(product, hours)
        high, clear = expected * (1 + self.over), expected * (1 + self.clear)
        truth = TRUE if energy > high else FALSE if energy < clear or energy <= clear == high else BETWEEN
        excess = max(0.0, energy - expected) / hours
        return learned, Verdict(truth, energy / product, high / product, excess)

    def say(self, learned: State) -> str:
        return "" if self.stated else self.learner.say(learned)


def rule_of(number: int, key: str, rule: IntensityAlert, context: Context) -> Intensity:
    """Return how an alert of this kind judges."""
    figure, energy, product = (context.figure(f(rule.window)) for f in (str, energy_of, product_of))
    ids, over = context.ids, rule.over_percent / 100
    stated = None if rule.idle_kw is None or rule.per_unit is None else Line(rule.idle_kw, rule.per_unit)
    return Intensity(
        alert=number,
        key=key,
        of=f"{energy.key} {product.key} {figure.every} {figure.during}",
        parts={"energy": ids[energy.key], "product": ids[product.key], "share": ids[figure.completeness]},
        stated=stated,
        learner=Learner(rule.learn_days, over),
        over=over,
        clear=over / 2 if rule.clear_percent is None else rule.clear_percent / 100,
        min_product=rule.min_product,
        min_completeness=rule.min_completeness,
    )


def build(alerts: Sequence[Numbered], context: Context) -> ByWindow:
    """Return the condition of all rules of this kind."""
    return ByWindow([rule_of(number, alert.key, alert.rule, context) for number, alert in alerts])
