"""Syntax tree and what its names mean → a plan of sums over the window and arithmetic on them, units checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from config.formula import Call, FormulaError, Name, Node, Number
from config.formula_plan import (
    Amount,
    AmountOf,
    Apply,
    Constant,
    Expression,
    Input,
    Level,
    Meaning,
    Over,
    Resolve,
    Term,
)
from config.formula_typed import (
    Typed,
    added,
    alike,
    calculated,
    choice,
    combined,
    converted,
    described,
    levelled,
    logic,
    number,
    quantity,
)
from config.quantities import unit_of

WINDOW: Final = ("mean", "sum", "min", "max", "first", "last", "integral", "duration", "energy", "co2e")
SAMPLE: Final = ("if", "min", "max", "abs", "sqrt", "clip")
_ARITHMETIC: Final = ("+", "-", "*", "/", "^")
_LOGIC: Final = ("and", "or")
_COMPARE: Final = ("<", "<=", ">", ">=", "==", "!=")
_MOST_PARTS: Final = 5_000
_MOST_DEEP: Final = 260  # the longest single formula has 250
_COUNTS: Final = {"abs": (1, 1), "sqrt": (1, 1), "clip": (3, 3), "if": (2, 3), "min": (2, 9), "max": (2, 9)}


def check(tree: Node, resolve: Resolve, unit: str) -> Expression:
    """Return the plan of a formula whose value is in `unit`.

    Raises FormulaError where a name means nothing, a function does not fit or units do not, with both dimensions.
    """
    try:
        wanted = unit_of(unit)
    except ValueError as error:
        raise FormulaError(str(error), 1) from None
    checker = _Checker(resolve)
    found = checker.check(tree)
    if found.truth:
        raise FormulaError("the formula is a condition; write if(condition, a, b) or duration(condition)", 1)
    if found.celsius:
        raise FormulaError("the formula is a temperature in °C; take the difference of two, in K", 1)
    if found.unit.dimensionality != wanted.dimensionality:
        raise FormulaError(f"the formula gives {described(found.unit)}, but unit: says {described(wanted)}", 1)
    plan = converted(found.value, found.unit, wanted)
    if not checker.measured:
        raise FormulaError("the formula names no measured point", 1)
    return plan


@dataclass(slots=True)
class _Size:
    """What has been checked of a formula and of all it names, together: terms of terms multiply."""

    parts: int = 0
    deep: int = 0

    def enter(self, column: int) -> None:
        """Count one part more, within those that are not left yet; after an error nothing is counted any more."""
        self.parts += 1
        self.deep += 1
        if self.parts > _MOST_PARTS or self.deep > _MOST_DEEP:
            within = f"{_MOST_PARTS} parts, or {_MOST_DEEP} within each other"
            raise FormulaError(f"with the formulas it names it has more than {within}", column)


@dataclass(slots=True)
class _Checker:
    resolve: Resolve
    inside: bool = False  # the argument of a function over the window
    measured: bool = False
    terms: list[str] = field(default_factory=list)
    size: _Size = field(default_factory=_Size)

    def check(self, node: Node) -> Typed:
        self.size.enter(node.column)
        if isinstance(node, Number):
            found = number(node)
        elif isinstance(node, Name):
            found = self._name(node)
        elif node.function in WINDOW and not (node.function in _COUNTS and len(node.arguments) > 1):
            found = self._window(node)
        else:
            found = self._apply(node)
        self.size.deep -= 1
        return found

    # ── names ─────────────────────────────────────────────────────────────────────────────────────

    def _meaning(self, node: Name) -> Meaning:
        try:
            return self.resolve(node.text)
        except LookupError as error:
            raise FormulaError(str(error.args[0]), node.column) from None

    def _name(self, node: Name) -> Typed:
        meaning = self._meaning(node)
        if isinstance(meaning, Constant):
            return quantity(meaning.value, meaning.unit, node.column)
        if isinstance(meaning, Term):
            return self._term(node, meaning)
        self.measured = True
        if isinstance(meaning, Amount):
            if self.inside:
                message = f"'{node.text}' counts amounts and has no momentary value; write sum({node.text}) by itself"
                raise FormulaError(message, node.column)
            return Typed(Over("sum", AmountOf(meaning.key)), unit_of(meaning.unit))
        value = Input(meaning.key, meaning.hold_ns)
        unit, celsius = levelled(meaning.unit)
        return Typed(value if self.inside else Over("mean", value), unit, celsius)

    def _term(self, node: Name, meaning: Term) -> Typed:
        if node.text in self.terms or len(self.terms) > 8:
            raise FormulaError(f"'{node.text}' is made of itself", node.column)
        inner = _Checker(meaning.resolve, self.inside, terms=[*self.terms, node.text], size=self.size)
        try:
            found = inner.check(meaning.tree)
        except FormulaError as error:
            raise FormulaError(error.why, node.column) from None
        self.measured |= inner.measured
        return found

    # ── functions over the window ─────────────────────────────────────────────────────────────────

    def _window(self, node: Call) -> Typed:
        name = node.function
        if self.inside:
            raise FormulaError(f"{name}() is over the window and cannot stand within another such", node.column)
        if name == "duration" and not node.arguments:
            return Typed(Over("length", None), unit_of("h"))
        if len(node.arguments) != 1:
            raise FormulaError(f"{name}() takes one argument", node.column)
        (argument,) = node.arguments
        if name in ("sum", "energy", "co2e"):
            return self._amount(name, argument)
        self.inside = True
        found = self.check(argument)
        self.inside = False
        if found.truth != (name == "duration"):
            right = "a condition, e.g. duration(state == 2)" if name == "duration" else "a value, not a condition"
            raise FormulaError(f"{name}() takes {right}", node.column)
        if name == "duration":
            return Typed(Over("integral", found.value), unit_of("h"))
        if name == "integral":
            if found.celsius:
                raise FormulaError("a temperature in °C cannot be integrated; subtract another first", node.column)
            return Typed(Over("integral", found.value), combined("*", found.unit, unit_of("h")))
        return Typed(Over(name, found.value), found.unit, found.celsius)

    def _amount(self, name: str, argument: Node) -> Typed:
        if not isinstance(argument, Name):
            raise FormulaError(f"{name}() takes the name of one counter", argument.column)
        meaning = self._meaning(argument)
        if isinstance(meaning, Term):  # the sum of several counters, e.g. of a station's machines
            inner = _Checker(meaning.resolve, terms=[*self.terms, argument.text])
            return inner._amounts(name, meaning.tree)
        if name == "sum" and not isinstance(meaning, Amount):
            raise FormulaError(f"'{argument.text}' is no counter; write mean() or integral()", argument.column)
        followed = {"energy": meaning.energy, "co2e": meaning.co2e} if isinstance(meaning, Amount | Level) else {}
        key = meaning.key if name == "sum" and isinstance(meaning, Amount) else followed.get(name, "")
        if not key:
            what = "kWh" if name == "energy" else "kg CO₂e"
            message = f"no {what} follow from '{argument.text}'; name the point its asset is accounted by"
            raise FormulaError(message, argument.column)
        self.measured = True
        unit = meaning.unit if name == "sum" and isinstance(meaning, Amount) else "kWh" if name == "energy" else "kg"
        return Typed(Over("sum", AmountOf(key)), unit_of(unit))

    def _amounts(self, name: str, tree: Node) -> Typed:
        if isinstance(tree, Name):
            return self._amount(name, tree)
        if isinstance(tree, Call) and tree.function == "+":
            left, right = (self._amounts(name, part) for part in tree.arguments)
            return added("+", left, right, tree.column)
        raise FormulaError(f"{name}() takes the name of one counter", tree.column)

    # ── arithmetic ────────────────────────────────────────────────────────────────────────────────

    def _apply(self, node: Call) -> Typed:
        name = node.function
        if name not in (*SAMPLE, *_ARITHMETIC, *_COMPARE, *_LOGIC):
            known = ", ".join(sorted({*WINDOW, *SAMPLE}))
            raise FormulaError(f"there is no function '{name}'; known: {known}", node.column)
        low, high = _COUNTS.get(name, (1, 2))
        if not low <= len(node.arguments) <= high:
            raise FormulaError(f"{name}() takes {low}{f' to {high}' if high > low else ''} arguments", node.column)
        given = [self.check(argument) for argument in node.arguments]
        if name in _LOGIC:
            return logic(name, given, node.column)
        if name == "if":
            return choice(given, node.column)
        if any(g.truth for g in given):
            raise FormulaError(f"'{name}' takes values, not conditions", node.column)
        if name in _COMPARE:
            left, right = alike(name, given, node.column)
            return Typed(Apply(name, (left.value, right.value)), unit_of("1"), truth=True)
        return calculated(name, given, node.column)
