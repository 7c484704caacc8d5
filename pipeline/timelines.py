"""Factor tables → timelines by the rule the user states; a step that the rule does not really cover says fallback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from config.factor_tables import GridRow, grid_rows
from config.fuels import Calorific, FuelError, FuelRow, emission, units_per
from config.model import Gateway
from config.points import GasReference
from config.sourced import Sourced
from pipeline.factors import FactorTimeline, Provenance
from pipeline.hourly_factors import over

_EVER: Final = np.iinfo(np.int64).min
Rule = Literal["latest_published", "same_year"]
Variant = Literal["exact", "latest", "fallback"]


def grid_timeline(gateway: Gateway, region: str, kind: str, base: Path = Path()) -> FactorTimeline:
    """Return the timeline of a region [kg/kWh] as a configuration wants it: its series where they reach, else tables.

    `base` is the folder relative paths start from. Raises LookupError where neither knows the region and kind, and
    ConfigError for a file that cannot be used or publishers left to choose from.
    """
    factors, zone = gateway.factors, gateway.site.zone
    name = f"{region} {kind}"
    rows = grid_rows(region, kind, [base / table for table in factors.tables], factors.publishers)
    annual = grid(name, rows, factors.rule, zone) if rows else None
    series = [s for s in factors.series if (s.region, s.kind) == (region, kind)]
    if series:
        return over(name, [s.model_copy(update={"file": base / s.file}) for s in series], annual, zone)
    if annual is None:
        raise LookupError(f"no {kind} grid factor is known for region '{region}'")
    return annual


def grid(name: str, rows: Sequence[GridRow], rule: Rule, zone: str = "UTC") -> FactorTimeline:
    """Return the timeline [kg/kWh] of a region's rows; days begin at midnight in `zone`.

    same_year: a row holds in its own period; outside all periods the nearest earlier one serves as a fallback.
    latest_published: at each instant the newest data year published by then; before the first, that one as a fallback.
    """
    steps = _same_year(rows) if rule == "same_year" else _latest(rows)
    merged = [s for i, s in enumerate(steps) if i == 0 or s[1:] != steps[i - 1][1:]]
    midnight = ZoneInfo(zone)
    return FactorTimeline(
        name,
        "kg/kWh",
        np.array([_EVER if day is None else _ns(day, midnight) for day, _, _ in merged], np.int64),
        np.array([row.value for _, row, _ in merged]),
        tuple(_provenance(row, row.gas, variant, row.uncertainty) for _, row, variant in merged),
    )


def _ns(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000_000_000


def _published(row: GridRow) -> date:
    """Return the publication day; where only year or month is known, the last day it can have been out by."""
    parts = [int(p) for p in row.published_on.split("-") if p]
    if not parts:
        return row.valid_to
    if len(parts) == 3:
        return date(*parts)
    return date(parts[0], parts[1], 28) if len(parts) == 2 else date(parts[0], 12, 31)


def _provenance(row: Sourced, gas: str, variant: Variant, uncertainty: float | None) -> Provenance:
    return Provenance(
        row.publisher, row.publication, row.data_year, row.published_on, gas, row.source, variant, uncertainty
    )  # fmt: skip


def _same_year(rows: Sequence[GridRow]) -> list[tuple[date | None, GridRow, Variant]]:
    ordered = sorted(rows, key=lambda r: (r.valid_from, r.published_on))
    steps: list[tuple[date | None, GridRow, Variant]] = [(None, ordered[0], "fallback")]
    for row, after in zip(ordered, [*ordered[1:], None], strict=True):
        steps.append((row.valid_from, row, "exact"))
        end = date.fromordinal(row.valid_to.toordinal() + 1)
        if after is None or after.valid_from > end:
            steps.append((end, row, "fallback"))
    return steps


def _latest(rows: Sequence[GridRow]) -> list[tuple[date | None, GridRow, Variant]]:
    ordered = sorted(rows, key=lambda r: (_published(r), r.valid_from))
    steps: list[tuple[date | None, GridRow, Variant]] = [(None, ordered[0], "fallback")]
    newest = ordered[0]
    for row in ordered:
        if row.valid_from >= newest.valid_from:
            newest = row
        steps.append((_published(row), newest, "latest"))
    return steps


class Counted(NamedTuple):
    """How a meter counts a fuel: its unit, what a register of energy goes by, the state of a gas volume."""

    unit: str
    calorific: Calorific | None = None
    reference: GasReference | None = None


def fuel(name: str, row: FuelRow, meter: Counted, gwp: str) -> FactorTimeline:
    """Return the constant timeline of a fuel [kg CO₂e per unit of the meter], all its gases together.

    Raises FuelError where the meter's unit cannot be brought to the row's.
    """
    emitted = emission(row, meter.unit, gwp, calorific=meter.calorific, reference=meter.reference)
    return _constant(name, f"kg/{meter.unit}", emitted.total, row, emitted.note)


def content(name: str, row: FuelRow, meter: Counted) -> FactorTimeline:
    """Return the constant timeline of a fuel's net calorific value [kWh per unit of the meter].

    Raises FuelError where the set states none or the meter's unit cannot be brought to the row's.
    """
    per, note = units_per(row, meter.unit, calorific=meter.calorific, reference=meter.reference)
    if row.kwh_per_unit is None:
        raise FuelError(f"{row.set} states no calorific value of {row.fuel}: without one its energy cannot be counted")
    return _constant(name, f"kWh/{meter.unit}", row.kwh_per_unit * per, row, note)


def _constant(name: str, unit: str, value: float, row: FuelRow, note: str) -> FactorTimeline:
    said = _provenance(row, row.gas, "exact", row.uncertainty)
    said = replace(said, source="; ".join(filter(None, (row.source, note))))
    return FactorTimeline(name, unit, np.array([_EVER], np.int64), np.array([value]), (said,))
