"""Entries and definitions → the first contradiction between them in words: what cannot be true of any ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from carbon.compute import weigh
from carbon.entries import Entries
from carbon.factor import GASES, Factor
from carbon.ledger.definitions import Definitions

WEIGHED = ("energy", *GASES, "biogenic")


class PerUnit:
    """Kilograms and energy per unit of all factors, as arrays by factor number; the last row is of no factor."""

    def __init__(self) -> None:
        self._table = np.zeros((1, len(WEIGHED)))

    def of(self, factors: Mapping[int, Factor]) -> npt.NDArray[np.float64]:
        """Return [kWh, kg by gas, kg biogenic] per unit, one row a factor."""
        if len(self._table) != len(factors) + 1:
            rows = [(f.kwh, *f.kg, f.biogenic) for _, f in sorted(factors.items())]
            self._table = np.array([*rows, (0.0,) * len(WEIGHED)])
        return self._table


def contradiction(entries: Entries, defined: Definitions, per_unit: PerUnit | None = None) -> str:
    """Return what is wrong with entries, "" where nothing is.

    Their numbers are defined, spans are positive and covered at most once, and every energy and every kilogram is what
    compute.weigh makes of amount and factor; without a factor there is none.
    """
    if not len(entries):
        return ""
    known: dict[str, dict[int, Any]] = {
        "line": defined.lines.by_number,
        "factor": defined.factors.by_number,
        "meter": defined.meters.by_number,
    }
    for name, things in known.items():
        numbers = getattr(entries, name)
        if not (0 if name == "line" else -1) <= int(numbers.min()) <= int(numbers.max()) < len(things):
            return f"an entry names a {name} that is not defined"
    if (entries.span_ns <= 0).any() or ((entries.covered_ns < 0) | (entries.covered_ns > entries.span_ns)).any():
        return "an entry spans no time, or data stands for more time than it spans"
    table = (per_unit or PerUnit()).of(defined.factors.by_number)
    for i, name in enumerate(WEIGHED):
        if not np.array_equal(getattr(entries, name), weigh(entries.amount, table[entries.factor, i])):
            row = int(np.flatnonzero(getattr(entries, name) != weigh(entries.amount, table[entries.factor, i]))[0])
            line = defined.lines.by_number[int(entries.line[row])].key
            return f"{name} of {line} does not follow from its amount and factor"
    return ""
