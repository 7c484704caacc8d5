"""Expressions with their units → sums, products, choices of them in one unit; what does not fit is refused."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from config.formula import FormulaError, Number
from config.formula_plan import Apply, Const, Expression
from config.quantities import unit_of

if TYPE_CHECKING:
    import pint


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression and its unit; `celsius` is a temperature on the Celsius scale, `truth` a condition."""

    value: Expression
    unit: pint.Unit
    celsius: bool = False
    truth: bool = False

    @property
    def constant(self) -> float | None:
        return self.value.value if isinstance(self.value, Const) else None

    def __str__(self) -> str:
        if self.truth:
            return "a condition"
        return "°C" if self.celsius else described(self.unit)


def described(unit: pint.Unit) -> str:
    """Return a unit with its dimension, e.g. `kW [mass·length²/time³]`."""
    if unit.dimensionless:
        return f"{unit:~P} (a plain number)" if f"{unit:~}" else "a plain number"
    dimension = f"{unit.dimensionality:P}".replace("[", "").replace("]", "")
    return f"{unit:~P} [{dimension}]"


def calculated(name: str, given: list[Typed], column: int) -> Typed:
    """Return what a function or an operator of arithmetic makes of values, in its unit."""
    if name in ("min", "max", "clip"):
        same = alike(name, given, column)
        return Typed(Apply(name, tuple(s.value for s in same)), same[0].unit, same[0].celsius)
    if name == "-" and len(given) == 1:
        name, given = "*", [Typed(Const(-1.0), unit_of("1")), *given]
    if name in ("+", "-"):
        return added(name, given[0], given[1], column)
    if any(g.celsius for g in given):
        raise FormulaError(f"'{name}' cannot take a temperature in °C; subtract another temperature first", column)
    if name == "abs":
        return Typed(Apply(name, (given[0].value,)), given[0].unit)
    if name == "sqrt":
        return Typed(Apply(name, (given[0].value,)), _powered(given[0].unit, 0.5))
    if name == "^":
        return _raised(given[0], given[1], column)
    return Typed(Apply(name, (given[0].value, given[1].value)), combined(name, given[0].unit, given[1].unit))


def _raised(base: Typed, exponent: Typed, column: int) -> Typed:
    """Return base ^ exponent; a measured exponent needs a base that is a plain number."""
    if not exponent.unit.dimensionless:
        raise FormulaError(f"an exponent is a plain number, not {exponent}", column)
    power = converted(exponent.value, exponent.unit, unit_of("1"))
    if base.unit.dimensionless:
        return Typed(Apply("^", (converted(base.value, base.unit, unit_of("1")), power)), unit_of("1"))
    if not isinstance(power, Const):
        raise FormulaError(f"only a plain number can be raised to a measured power, not {base}", column)
    return Typed(Apply("^", (base.value, power)), _powered(base.unit, power.value))


@cache
def combined(sign: str, one: pint.Unit, other: pint.Unit) -> pint.Unit:
    """Return the unit of a product or a quotient."""
    result: Any = one * other if sign == "*" else one / other
    found: pint.Unit = result
    return found


@cache
def _powered(unit: pint.Unit, power: float) -> pint.Unit:
    raised: Any = unit**power
    found: pint.Unit = raised
    return found


def added(name: str, left: Typed, right: Typed, column: int) -> Typed:
    """Return left ± right; of temperatures in °C only a difference, or one shifted by kelvin, means anything."""
    celsius = left.celsius
    if left.celsius and right.celsius:
        if name == "+":
            raise FormulaError("two temperatures in °C cannot be added; take their difference or min, max", column)
        celsius = False
    elif right.celsius:
        raise FormulaError("a temperature in °C cannot be added to or taken from a difference; write it first", column)
    right = _converted(right, left, name, column)
    return Typed(Apply(name, (left.value, right.value)), left.unit, celsius)


def alike(name: str, given: Iterable[Typed], column: int) -> list[Typed]:
    """Return all in the unit of the first."""
    first, *others = given
    if any(o.celsius != first.celsius for o in others):
        raise FormulaError(f"'{name}' takes either temperatures in °C or differences in K, not both", column)
    return [first, *(_converted(o, first, name, column) for o in others)]


def _converted(one: Typed, like: Typed, name: str, column: int) -> Typed:
    if one.unit.dimensionality != like.unit.dimensionality:
        raise FormulaError(f"'{name}' cannot put {like} and {one} together", column)
    return Typed(converted(one.value, one.unit, like.unit), like.unit, one.celsius)


def logic(name: str, given: list[Typed], column: int) -> Typed:
    """Return conditions joined by `and` or `or`."""
    if not all(g.truth for g in given):
        raise FormulaError(f"'{name}' joins conditions, e.g. power > 5 kW {name} state == 2", column)
    return Typed(Apply(name, tuple(g.value for g in given)), unit_of("1"), truth=True)


def choice(given: list[Typed], column: int) -> Typed:
    """Return if(condition, a, b) in the unit of a; without b it is nothing where the condition does not hold."""
    condition, *values = given
    if not condition.truth:
        raise FormulaError(f"if() takes a condition first, not {condition}", column)
    if any(v.truth for v in values):
        raise FormulaError("if() chooses among values, not conditions", column)
    same = alike("if", values, column)
    otherwise = same[1].value if len(same) > 1 else Const(math.nan)
    return Typed(Apply("if", (condition.value, same[0].value, otherwise)), same[0].unit, same[0].celsius)


def number(node: Number) -> Typed:
    """Return a number as it stands in a formula, with the unit behind it."""
    return quantity(node.value, node.unit or "1", node.column)


def quantity(value: float, unit: str, column: int) -> Typed:
    """Return a constant in a unit; raises FormulaError where nobody knows it."""
    try:
        known, celsius = levelled(unit)
    except ValueError as error:
        hint = "; put a blank between a unit and what it is divided by" if "/" in unit else ""
        raise FormulaError(f"{error}{hint}", column) from None
    return Typed(Const(value), known, celsius)


def levelled(unit: str) -> tuple[pint.Unit, bool]:
    """Return (unit, whether it is the Celsius scale, counted in kelvin); a difference of °C is kelvin."""
    if unit in ("degC", "°C"):
        return unit_of("K"), True
    return unit_of("K" if unit == "delta_degC" else unit), False


def converted(value: Expression, given: pint.Unit, wanted: pint.Unit) -> Expression:
    """Return an expression in another unit of its dimension."""
    return _scaled(value, _factor(given, wanted))


@cache
def _factor(given: pint.Unit, wanted: pint.Unit) -> float:
    return 1.0 if given == wanted and str(given) == str(wanted) else float((1.0 * given).to(wanted).magnitude)


def _scaled(value: Expression, factor: float) -> Expression:
    if abs(factor - 1.0) < 1e-12:
        return value
    if isinstance(value, Const):
        return Const(value.value * factor)
    inverse = 1.0 / factor  # 60 min an hour: a division by 60 is exact where a product with 1/60 is not
    if abs(inverse - round(inverse)) < 1e-9 and factor < 1.0:
        return Apply("/", (value, Const(float(round(inverse)))))
    return Apply("*", (value, Const(factor)))
