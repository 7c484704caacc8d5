"""Asset types as data: every `*.yaml` in this folder says what a kind of machine shows, and what is made of it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from config.alerts import Deviation, GradeDrop, IntensityAlert, Rule, Severity, Threshold
from config.errors import ConfigError, Problem
from config.formula import parse
from config.grades import STANDARDS
from config.quantities import QUANTITIES
from config.strict import Name, Strict
from config.windows import During, Every, fits

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]  # can stand in a formula
_RULES: Final[dict[str, type[Threshold | Deviation | IntensityAlert | GradeDrop]]] = {
    "threshold": Threshold,
    "deviation": Deviation,
    "intensity": IntensityAlert,
    "grade": GradeDrop,
}
_NOT_OF_RULES: Final = {"kpi", "waste", "alone", "unless", "hold_h", "source"}
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Role(Strict):
    """A part a point plays: what it measures, and the names it goes by in templates, best first."""

    quantity: str
    names: Annotated[tuple[Name, ...], Field(min_length=1)]
    note: str = ""


class Points(Strict):
    required: dict[Word, Role] = {}
    optional: dict[Word, Role] = {}


class Fact(Strict):
    """What the asset must state because no device shows it: a number in `unit`, or one of some words."""

    unit: str = ""
    one_of: tuple[str, ...] = ()
    default: float | None = None
    note: str = ""


class Grade(Strict):
    """The standard a figure is graded by; `where` says which fact stands for each column of its table."""

    standard: str
    where: dict[str, str]  # column → fact, or 'word'


class Kpi(Strict):
    """A figure over windows; of several formulas the first whose points the asset has is taken."""

    formula: str | Annotated[tuple[str, ...], Field(min_length=1)]
    unit: str
    every: Every = "60min"
    during: During = "always"
    sane: tuple[float, float] | None = None  # a value outside is told as uncertain
    grade: Grade | None = None
    auto: bool = True  # part of `kpis: auto`
    note: str = ""

    @property
    def formulas(self) -> tuple[str, ...]:
        return (self.formula,) if isinstance(self.formula, str) else self.formula


class Alarm(Strict):
    """What is worth an alert in practice: a rule of one of four kinds on a figure of the type, with where it is from.

    What a kind does not know is refused as in a rule of the user's; `waste` is a figure of the type in kW. It is not
    for a machine that states a fact of `unless`, nor, with `alone`, for a member: its station or plant tells it of all.
    """

    kpi: Name
    type: Literal["threshold", "deviation", "intensity", "grade"] = "threshold"
    above: float | None = None
    below: float | None = None
    clear_below: float | None = None
    clear_above: float | None = None
    over_percent: float | None = None
    under_percent: float | None = None
    least: float | None = None
    learn_days: int | None = None
    min_product: float | None = None
    worse_than: int | None = None
    dropped: bool | None = None
    typical_days: int | None = None
    waste: Name | None = None
    alone: bool = False
    unless: dict[Word, str] = {}
    hold_h: float = 0.0
    severity: Severity = "warning"
    advice: str = ""
    source: Annotated[str, StringConstraints(min_length=1)]

    def rule(self, asset: str, waste: bool = True) -> Rule:
        """Return the rule of an asset; without its waste where the asset has no such figure. Raises ValidationError."""
        said: dict[str, Any] = self.model_dump(exclude=_NOT_OF_RULES, exclude_unset=True)
        if self.waste and waste:
            said["waste"] = f"{asset}.{self.waste}"
        window = f"{asset}.{self.kpi}"
        return _RULES[self.type].model_validate(
            said | {"type": self.type, "window": window, "hold_s": self.hold_h * 3_600}
        )


class AssetType(Strict):
    """A kind of machine. That the units of its formulas fit is known where they are used: units cost memory.

    `of_members`: names that, where the asset has no such point, mean the sum over its members; all of them must have
    it, or any.
    """

    id: Word
    title: str
    simulator: tuple[str, ...] = ()  # models in simulators/ that behave like one
    points: Points = Points()
    of_members: dict[Word, Literal["all", "any"]] = {}
    facts: dict[Word, Fact] = {}
    terms: dict[Word, str] = {}  # formulas under a name, for use in others
    kpis: dict[Name, Kpi] = {}
    alarms: dict[Name, Alarm] = {}

    @property
    def roles(self) -> dict[str, Role]:
        return self.points.required | self.points.optional

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [*self.points.required, *self.points.optional, *self.facts, *self.terms]
        doubled = {n for n in names if names.count(n) > 1}
        if doubled:
            raise ValueError(f"given twice: {', '.join(sorted(doubled))}")
        if unknown := {role.quantity for role in self.roles.values()} - set(QUANTITIES):
            raise ValueError(f"unknown quantity: {', '.join(unknown)}")
        if any(bool(fact.unit) == bool(fact.one_of) for fact in self.facts.values()):
            raise ValueError("a fact has either a unit or a list of words")
        return self

    @model_validator(mode="after")
    def _watchable(self) -> Self:
        for name, alarm in self.alarms.items():
            for kpi in (alarm.kpi, alarm.waste or alarm.kpi):
                if kpi not in self.kpis:
                    raise ValueError(f"alarm '{name}' watches a KPI that is not there: {kpi}")
            if alarm.type == "grade" and not self.kpis[alarm.kpi].grade:
                raise ValueError(f"alarm '{name}' watches the grade of a KPI that has none: {alarm.kpi}")
            if alarm.waste and self.kpis[alarm.waste].unit != "kW":
                raise ValueError(f"alarm '{name}': what it wastes is told in kW")
            alarm.rule("asset")  # what is wrong with it as a rule is told here
        return self

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for text in (*self.terms.values(), *(f for kpi in self.kpis.values() for f in kpi.formulas)):
            parse(text)
        for kpi in self.kpis.values():
            fits(kpi.every, kpi.during)
            if kpi.grade and kpi.grade.standard not in STANDARDS:
                raise ValueError(f"unknown standard '{kpi.grade.standard}'")
        return self


@cache
def load_all() -> dict[str, AssetType]:
    """Return every shipped asset type by its id; raises ConfigError for a file that is none."""
    types: dict[str, AssetType] = {}
    problems: list[Problem] = []
    for file in sorted((f for f in files(__name__).iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name):
        try:
            found = AssetType.model_validate(yaml.load(file.read_text("utf-8"), _LOADER))
        except (yaml.YAMLError, ValidationError) as error:
            problems.append(Problem(file.name, 1, "", f"not an asset type: {error}"))
            continue
        if file.name != f"{found.id}.yaml":
            problems.append(Problem(file.name, 1, "id", f"must be the file's name, not '{found.id}'"))
        types[found.id] = found
    if problems:
        raise ConfigError(problems)
    return types
