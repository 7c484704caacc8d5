"""The plan of a formula → one function over numpy columns; what cannot be computed is NaN, never an exception."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from config.formula_plan import Apply, Const, Expression, Input, Over

Column = npt.NDArray[np.float64]
Function = Callable[[Any], Any]  # columns of the leaves → column


def leaves(tree: Expression) -> list[Input | Over]:
    """Return what a plan is computed from, each once, in the order it is first met."""
    found: dict[Input | Over, None] = {}
    open_: list[Expression] = [tree]
    while open_:
        node = open_.pop()
        if isinstance(node, Apply):
            open_ += reversed(node.arguments)
        elif not isinstance(node, Const):
            found[node] = None
    return list(found)


def compiled(tree: Expression, columns: Sequence[Input | Over]) -> Function:
    """Return the function that computes `tree` from one column for each of `columns`, all of one length.

    Division by zero, a root of a negative number, overflow and anything made of NaN are NaN. A condition is 1, 0
    or, where one side is unknown, NaN; `if` of an unknown condition is NaN.
    """
    compute = _compile(tree, {leaf: at for at, leaf in enumerate(columns)})

    def run(values: Any) -> Any:
        with np.errstate(all="ignore"):
            return compute(values)

    return run


def _compile(tree: Expression, places: dict[Input | Over, int]) -> Function:
    if isinstance(tree, Const):
        constant = np.float64(tree.value)
        return lambda columns: constant
    if isinstance(tree, Apply):
        operate, parts = _OPERATIONS[tree.function], [_compile(a, places) for a in tree.arguments]
        return lambda columns: operate(*(part(columns) for part in parts))
    place = places[tree]
    return lambda columns: columns[place]


def _known(result: Any) -> Any:
    return np.where(np.isfinite(result), result, np.nan)


def _divide(one: Any, other: Any) -> Any:
    return _known(np.divide(one, other))


def _raise(one: Any, other: Any) -> Any:
    unknown = np.isnan(one) | np.isnan(other)  # NaN^0 and 1^NaN are 1 to IEEE 754
    return np.where(unknown, np.nan, _known(np.power(one, other)))


def _compare(test: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda one, other: np.where(np.isnan(one) | np.isnan(other), np.nan, test(one, other))


def _choose(condition: Any, then: Any, otherwise: Any) -> Any:
    return np.where(np.isnan(condition), np.nan, np.where(condition != 0.0, then, otherwise))


def _least(*values: Any) -> Any:
    return np.minimum.reduce(np.broadcast_arrays(*values))


def _most(*values: Any) -> Any:
    return np.maximum.reduce(np.broadcast_arrays(*values))


_OPERATIONS: Final[dict[str, Callable[..., Any]]] = {
    "+": lambda one, other: _known(np.add(one, other)),
    "-": lambda one, other: _known(np.subtract(one, other)),
    "*": lambda one, other: _known(np.multiply(one, other)),
    "/": _divide,
    "^": _raise,
    "<": _compare(np.less),
    "<=": _compare(np.less_equal),
    ">": _compare(np.greater),
    ">=": _compare(np.greater_equal),
    "==": _compare(np.equal),
    "!=": _compare(np.not_equal),
    "and": np.minimum,
    "or": np.maximum,
    "if": _choose,
    "min": _least,
    "max": _most,
    "abs": np.abs,
    "sqrt": lambda value: _known(np.sqrt(value)),
    "clip": lambda value, low, high: np.minimum(np.maximum(value, low), high),
}
