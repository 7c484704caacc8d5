"""Text of a KPI formula: a plan whose value is a column of numbers, or an error that says at which column."""

from __future__ import annotations

from typing import Final

import numpy as np

from config.formula import FormulaError, parse
from config.formula_units import check
from pipeline.formula import compiled, leaves
from tests.pipeline.test_formula import meaning

LARGEST: Final = 2_200
_UNITS: Final = ("kW", "kWh/m3", "1", "%", "K", "kWh", "kg", "m3/h", "t/h")
_ROWS: Final = 7


def target(data: bytes) -> None:
    """The first byte chooses the unit, the rest is the formula."""
    text = data[1:].decode("utf-8", "replace")
    try:
        plan = check(parse(text), meaning, _UNITS[(data[0] if data else 0) % len(_UNITS)])
    except FormulaError as error:
        assert 1 <= error.column <= 2_001
        assert len(str(error)) < 4_000
        return
    columns = leaves(plan)
    rows = np.tile(np.array([0.0, 1.5, -3.0, np.nan, 1e308, 7.0, 1e-300]), (len(columns), 1))
    value = np.broadcast_to(compiled(plan, columns)(list(rows)), _ROWS)
    assert not np.isinf(value).any()
