"""What the names of a formula can mean, and the plan it becomes: sums over the window and arithmetic on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from config.formula import Node

# ── what a name can mean ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Level:
    """A gauge or state: holds from sample to sample, at most `hold_ns`; `energy` and `co2e` as for an amount."""

    key: str
    unit: str
    hold_ns: int
    energy: str = ""
    co2e: str = ""


@dataclass(frozen=True, slots=True)
class Amount:
    """What a counter yields for each interval; `energy` and `co2e` are the series that follow from it, "" for none."""

    key: str
    unit: str
    energy: str = ""
    co2e: str = ""


@dataclass(frozen=True, slots=True)
class Constant:
    """A fact of the asset."""

    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Term:
    """A formula under a name; its own names mean what `resolve` says."""

    tree: Node
    resolve: Resolve


Meaning = Level | Amount | Constant | Term
Resolve = Callable[[str], Meaning]  # raises LookupError with a sentence

# ── the plan ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Const:
    value: float


@dataclass(frozen=True, slots=True)
class Input:
    """The momentary value of a level."""

    key: str
    hold_ns: int


@dataclass(frozen=True, slots=True)
class AmountOf:
    """The amounts of a series of intervals."""

    key: str


@dataclass(frozen=True, slots=True)
class Over:
    """What becomes of a signal over the window: mean, sum, min, max, first, last, integral [unit·h]; or length [h]."""

    how: str
    signal: Expression | AmountOf | None


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or function of values: + - * / ^ < <= > >= == != and or if min max abs sqrt clip."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Const | Input | Over | Apply
