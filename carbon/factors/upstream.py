"""What is known of losses of the grid and of fuels' way → factors of scope 3 category 3, and what is left out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from carbon.factor import EVER, Factor, FactorSteps, steps
from carbon.local_time import midnight_ns
from config.coefficients import LossRow, td_losses
from pipeline.factors import Provenance

Variant = Literal["exact", "latest", "fallback"]
_WORSE: Final = ("exact", "latest", "fallback")


class _Held(NamedTuple):
    """A row and when it holds: [start, end)."""

    row: LossRow
    start_ns: int
    end_ns: int


def losses_steps(
    region: str, generation: FactorSteps, rows: Sequence[LossRow] | None = None, zone: str = "UTC"
) -> FactorSteps | None:
    """Return what a kWh consumed lost on its way [kg CO₂e per kWh consumed]; None where nobody publishes it.

    `generation`: the location-based factor, needed where only the share λ lost of what is fed in is published:
    kg = kg(generation) · λ/(1 − λ). A row holds in its period, the last one also after it (variant latest), the first
    one also before (variant fallback). `rows`: instead of the shipped ones. Days begin at midnight in `zone`.
    """
    known = sorted(td_losses(region) if rows is None else rows, key=lambda row: row.valid_from)
    if not known:
        return None
    cuts = {EVER, *(int(start) for start in generation.start_ns)}
    held = [_held(row, ZoneInfo(zone)) for row in known]
    cuts |= {instant for _, start, end in held for instant in (start, end)}
    found: list[tuple[int, Factor]] = []
    for cut in sorted(cuts):
        row, variant = _in_force(held, cut)
        grid = generation.factors[int(generation.at(np.array([cut], np.int64))[0])]
        factor = _lost_share(row, grid, variant) if row.kind == "loss_share" else _published(row, variant)
        if not found or found[-1][1] != factor:
            found.append((cut, factor))
    return steps(found)


def omissions(region: str, fuels: Collection[str], rows: Sequence[LossRow] | None = None) -> list[str]:
    """Return what scope 3 category 3 leaves out here, as sentences: nothing is counted as zero in silence."""
    kinds = {row.kind for row in (td_losses(region) if rows is None else rows)}
    left_out = []
    if not kinds:
        left_out.append(f"losses of the grid of {region}: no published figure is known")
    if "upstream_and_td" not in kinds:
        left_out.append("the way of fuels to the power stations: no figure of it is shipped for this region")
    if fuels:
        left_out.append(f"upstream of {', '.join(sorted(fuels))}: no factor is shipped")
    return [f"scope 3 category 3 leaves out {what}" for what in left_out]


def _held(row: LossRow, zone: ZoneInfo) -> _Held:
    return _Held(row, midnight_ns(row.valid_from, zone), midnight_ns(row.valid_to + timedelta(days=1), zone))


def _in_force(held: Sequence[_Held], at_ns: int) -> tuple[LossRow, Variant]:
    begun = [one for one in held if one.start_ns <= at_ns]
    if not begun:
        return held[0].row, "fallback"
    return begun[-1].row, "exact" if at_ns < begun[-1].end_ns else "latest"


def _published(row: LossRow, variant: Variant) -> Factor:
    said = Provenance(
        row.publisher, row.publication, row.data_year, row.published_on, "co2e", row.source, variant
    )  # fmt: skip
    return Factor(_id(row), "kWh", (0.0, 0.0, 0.0, 0.0, row.value), 0.0, said)


def _lost_share(row: LossRow, grid: Factor, variant: Variant) -> Factor:
    """Return kg(generation) · λ/(1 − λ), by gas: what the lost power emitted per kWh that arrived."""
    lost = row.value / (1 - row.value)
    kg, of = grid.kg, grid.provenance
    said = replace(
        of,
        publisher="; ".join(dict.fromkeys((row.publisher, of.publisher))),
        publication=f"loss of {row.value:.2%}: {row.publication}; generation: {of.publication}",
        source="; ".join(dict.fromkeys((row.source, of.source))),
        variant=max(variant, of.variant, key=_WORSE.index),
    )
    return replace(
        grid,
        id=f"{_id(row)}+{grid.id}",
        kg=(kg[0] * lost, kg[1] * lost, kg[2] * lost, kg[3] * lost, kg[4] * lost),
        kwh=0.0,  # lost before the meter: no energy the site used
        biogenic=grid.biogenic * lost,
        provenance=said,
    )


def _id(row: LossRow) -> str:
    return f"{row.publisher}/{row.region}/{row.kind}/{row.data_year}"
