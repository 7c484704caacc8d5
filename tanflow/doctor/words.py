"""Spans and sizes → the words of a finding."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ((172_800.0, 86_400.0, "days"), (7_200.0, 3_600.0, "h"), (120.0, 60.0, "min"), (0.0, 1.0, "s"))


def span(seconds: float) -> str:
    """Return a span in a unit a person would take."""
    _, size, name = next(unit for unit in _UNITS if abs(seconds) >= unit[0])
    return f"{seconds / size:.0f} {name}"


def megabytes(size: float) -> str:
    """Return a size."""
    return f"{size / 1e6:,.0f} MB" if size < 1e10 else f"{size / 1e9:,.0f} GB"
