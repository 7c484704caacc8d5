"""A plant → every figure computed over windows: the user's own, and those its assets' types bring."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from config.asset_types import Grade, Kpi
from config.bindings import BoundDevice, series_key
from config.formula import Call, FormulaError, Name, Node, parse
from config.formula_plan import Expression
from config.formula_units import check
from config.grades import STANDARDS, Grading
from config.model import Asset, Gateway
from config.points import Point
from config.quantities import QUANTITIES
from config.vocabulary import Vocabulary, grading_of, grading_said
from config.windows import KEEP_H, During, EnergyIntensity, Formula, Window, minutes

GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of an asset: its plan, windows and limits; `quantity` and `name` make its series' key."""

    asset: str
    name: str
    plan: Expression
    unit: str
    quantity: str = "kpi"
    every: str = "60min"
    during: During = "always"
    grace_s: float = GRACE_S
    keep_h: float = KEEP_H
    sane: tuple[float, float] | None = None
    limits: tuple[float, float, float] | None = None  # of grades 1, 2, 3
    standard: str = ""

    @property
    def key(self) -> str:
        return series_key(self.asset, self.name, self.quantity)

    @property
    def completeness(self) -> str:
        return series_key(self.asset, self.name, "completeness")

    @property
    def grade(self) -> str:
        """The key of its grade, "" for none."""
        return series_key(self.asset, self.name, "grade") if self.limits else ""

    @property
    def window(self) -> str:
        """What an alert calls it: the window's name of one's own, asset.kpi of a type's."""
        return f"{self.asset}.{self.name}"


def energy_of(intensity: str) -> str:
    """Return what an alert calls the energy of a figure of energy per product, over the same windows [kWh]."""
    return f"{intensity}-energy"


def product_of(intensity: str) -> str:
    """Return what an alert calls the product of a figure of energy per product, over the same windows."""
    return f"{intensity}-product"


class Left(NamedTuple):
    """A figure an asset does not get, and why."""

    asset: str
    kpi: str
    why: str


class Graded(NamedTuple):
    """By which limits a figure is graded, or why by none."""

    asset: str
    kpi: str
    found: Grading
    of: Asset

    @property
    def why(self) -> str:
        """It in words, which a gateway that runs has no need of until it is asked."""
        return grading_said(self.of, self.found)


class Wrong(NamedTuple):
    """A figure of the user's that cannot be computed: its window, and why."""

    window: str
    why: str


@dataclass(slots=True)
class Figures:
    """All figures of a plant by what an alert calls them; what is left out, ungraded or wrong."""

    found: dict[str, Figure] = field(default_factory=dict)
    own: dict[str, Figure] = field(default_factory=dict)  # by the name of their window
    left: list[Left] = field(default_factory=list)
    grades: list[Graded] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)

    def __iter__(self) -> Iterator[Figure]:
        yield from self.own.values()
        yield from self.found.values()

    def named(self, window: str) -> Figure | None:
        """Return the figure an alert means."""
        return self.own.get(window) or self.found.get(window)


def points_of(devices: Collection[BoundDevice]) -> dict[str, dict[str, Point]]:
    """Return the points of every asset by full name."""
    points: dict[str, dict[str, Point]] = {}
    for device in devices:  # alike devices share one dict of points: it is copied only where there are more
        others = points.get(device.asset_name)
        points[device.asset_name] = others | device.points if others else device.points
    return points


def figures(
    gateway: Gateway, points: Mapping[str, Mapping[str, Point]], known: Collection[str] | None = None
) -> Figures:
    """Return every figure of a plant; `known` as in `Vocabulary`."""
    words, result = Vocabulary.of(gateway, points, known), Figures()
    for name, window in gateway.windows.items():
        asset = window.asset if isinstance(window, Formula) else window.product.partition(".")[0]
        try:
            result.own[name] = _own(words, asset, name, window)
        except FormulaError as error:
            result.wrong.append(Wrong(name, str(error) if isinstance(window, Formula) else error.why))
            continue
        for part in _parts(words, asset, name, window):
            if part.name in gateway.windows:
                why = f"'{name}' yields a figure of this name itself; call this window something else"
                result.wrong.append(Wrong(part.name, why))
            result.own[part.name] = part
    for asset in words.assets:
        _of_type(gateway, words, asset, result)
    return result


def _own(words: Vocabulary, asset: str, name: str, window: Window) -> Figure:
    during: During
    if isinstance(window, Formula):
        tree, unit, quantity, during, sane = parse(window.formula), window.unit, "kpi", window.during, window.sane
    else:
        tree, quantity, sane = _intensity(window), "energy_intensity", None
        unit, during = QUANTITIES[quantity].unit, "shifts" if window.shifts_only else "always"
    plan = check(tree, lambda word: words.resolve(asset, word), unit)
    return Figure(asset, name, plan, unit, quantity, window.every, during, window.grace_s, window.keep_h, sane)


def _parts(words: Vocabulary, asset: str, name: str, window: Window) -> Iterator[Figure]:
    """Yield what a window of energy per tonne is made of: its energy and its product, as figures of their own."""
    if isinstance(window, EnergyIntensity):
        energy, product = _intensity(window).arguments
        during: During = "shifts" if window.shifts_only else "always"
        for part, tree, unit in ((energy_of(name), energy, "kWh"), (product_of(name), product, "t")):
            plan = check(tree, lambda word: words.resolve(asset, word), unit)
            yield Figure(asset, part, plan, unit, "kpi", window.every, during, window.grace_s, window.keep_h)


def _intensity(window: EnergyIntensity) -> Call:
    """Return the formula of energy per tonne: (energy(a) + energy(b) …) / sum(product)."""
    first, *others = (Call("energy", (Name(point, 1),), 1) for point in window.energy)
    total: Node = first
    for one in others:
        total = Call("+", (total, one), 1)
    return Call("/", (total, Call("sum", (Name(window.product, 1),), 1)), 1)


# ── of asset types ────────────────────────────────────────────────────────────────────────────────


def _of_type(gateway: Gateway, words: Vocabulary, asset: str, result: Figures) -> None:
    kind, wanted = words.type_of(asset), words.assets[asset].kpis
    chosen = {n: k for n, k in kind.kpis.items() if (k.auto if wanted == "auto" else n in wanted)}
    missing = [r for r in kind.points.required if words.point_of(asset, r) is None]
    for name, kpi in chosen.items():
        why = _hours(gateway, kpi)
        if missing:
            why = f"'{asset}' shows no {', '.join(missing)}"
        plan = None if why else _first(words, asset, kpi)
        if isinstance(plan, str) or plan is None:
            result.left.append(Left(asset, name, plan or why))
            continue
        limits = _limits(words, asset, name, kpi.grade, result) if kpi.grade else None
        standard = kpi.grade.standard if kpi.grade and limits else ""
        figure = Figure(asset, name, plan, kpi.unit, every=kpi.every, during=kpi.during, sane=kpi.sane,
                        limits=limits, standard=standard)  # fmt: skip
        result.found[figure.window] = figure


def _hours(gateway: Gateway, kpi: Kpi) -> str:
    """Return why the site's hours have no windows for a figure, "" where they do."""
    shifts = gateway.site.shifts.values()
    if (kpi.every == "shift" or kpi.during != "always") and not shifts:
        return "the site states no shifts"
    if kpi.during == "off_shift" and len(set().union(*(minutes(s.start, s.end) for s in shifts))) == 1_440:
        return "the site's shifts leave no hour out"
    return ""


def _first(words: Vocabulary, asset: str, kpi: Kpi) -> Expression | str:
    """Return the plan of the first formula whose points and facts are there, else what each of them misses."""
    why: dict[str, None] = {}
    for formula in kpi.formulas:
        try:
            return check(parse(formula), lambda word: words.resolve(asset, word), kpi.unit)
        except FormulaError as error:
            why[error.why] = None
    return "; or ".join(why)


def _limits(
    words: Vocabulary, asset: str, name: str, grade: Grade, result: Figures
) -> tuple[float, float, float] | None:
    """Return the limits a figure is graded by; None with the reason in `result.grades`."""
    found = grading_of(words.assets[asset], grade)
    result.grades.append(Graded(asset, name, found, words.assets[asset]))
    return found.limits


def tolerance(figure: Figure) -> tuple[bool, float]:
    """Return whether a higher value is better, and the share beyond the limit that raises no alarm."""
    standard = STANDARDS[figure.standard]
    return standard.higher, standard.tolerance
