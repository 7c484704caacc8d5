"""Factor tables → timelines by the rule the user states; a step that the rule does not really cover says fallback."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final, Literal

import numpy as np

from config.factor_tables import FuelRow, GridRow
from config.points import GasReference
from pipeline.factors import FactorTimeline, Provenance

_EVER: Final = np.iinfo(np.int64).min
_ZERO_CELSIUS_K: Final = 273.15
Rule = Literal["latest_published", "same_year"]
Variant = Literal["exact", "latest", "fallback"]


def _ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000


def _published(row: GridRow) -> date:
    """Return the publication day; where only year or month is known, the last day it can have been out by."""
    parts = [int(p) for p in row.published_on.split("-") if p]
    if not parts:
        return row.valid_to
    if len(parts) == 3:
        return date(*parts)
    return date(parts[0], parts[1], 28) if len(parts) == 2 else date(parts[0], 12, 31)


def _provenance(row: GridRow | FuelRow, variant: Variant) -> Provenance:
    return Provenance(
        row.publisher, row.publication, row.data_year, row.published_on, row.gas, row.source, variant
    )  # fmt: skip


def grid(name: str, rows: Sequence[GridRow], rule: Rule) -> FactorTimeline:
    """Return the timeline [kg/kWh] of a region's rows.

    same_year: a row holds in its own period; outside all periods the nearest earlier one serves as a fallback.
    latest_published: at each instant the newest data year published by then; before the first, that one as a fallback.
    """
    steps = _same_year(rows) if rule == "same_year" else _latest(rows)
    merged = [s for i, s in enumerate(steps) if i == 0 or s[1:] != steps[i - 1][1:]]
    return FactorTimeline(
        name,
        "kg/kWh",
        np.array([s for s, _, _ in merged], np.int64),
        np.array([row.value for _, row, _ in merged]),
        tuple(_provenance(row, variant) for _, row, variant in merged),
    )


def _same_year(rows: Sequence[GridRow]) -> list[tuple[int, GridRow, Variant]]:
    ordered = sorted(rows, key=lambda r: (r.valid_from, r.published_on))
    steps: list[tuple[int, GridRow, Variant]] = [(_EVER, ordered[0], "fallback")]
    for row, after in zip(ordered, [*ordered[1:], None], strict=True):
        steps.append((_ns(row.valid_from), row, "exact"))
        end = _ns(row.valid_to) + 86_400_000_000_000
        if after is None or _ns(after.valid_from) > end:
            steps.append((end, row, "fallback"))
    return steps


def _latest(rows: Sequence[GridRow]) -> list[tuple[int, GridRow, Variant]]:
    ordered = sorted(rows, key=lambda r: (_published(r), r.valid_from))
    steps: list[tuple[int, GridRow, Variant]] = [(_EVER, ordered[0], "fallback")]
    newest = ordered[0]
    for row in ordered:
        if row.valid_from >= newest.valid_from:
            newest = row
        steps.append((_ns(_published(row)), newest, "latest"))
    return steps


def fuel(name: str, row: FuelRow, reference: GasReference | None) -> FactorTimeline:
    """Return the constant timeline of a carrier [kg per unit]; a gas volume is brought to the factor's reference.

    m³(factor) = m³(meter) · (T_factor/T_meter) · (p_meter/p_factor), ideal gas.
    """
    return _constant(name, row.unit, row.value * _to_reference(row, reference), row)


def content(name: str, row: FuelRow, reference: GasReference | None) -> FactorTimeline:
    """Return the constant timeline of a carrier's net calorific value [kWh per unit of the meter]."""
    return _constant(name, "kWh/m3", row.kwh_per_unit * _to_reference(row, reference), row)


def _constant(name: str, unit: str, value: float, row: FuelRow) -> FactorTimeline:
    return FactorTimeline(name, unit, np.array([_EVER], np.int64), np.array([value]), (_provenance(row, "exact"),))


def _to_reference(row: FuelRow, meter: GasReference | None) -> float:
    factor = row.reference
    if factor is None:
        return 1.0
    if meter is None:
        raise ValueError(f"a volume of {row.carrier} needs its reference temperature and pressure")
    temperature = (factor.celsius + _ZERO_CELSIUS_K) / (meter.celsius + _ZERO_CELSIUS_K)
    return temperature * (meter.kpa / factor.kpa)
