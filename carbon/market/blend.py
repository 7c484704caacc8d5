"""What covers electricity bought, and the rest's factor → one factor per month or interval that names its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np

from carbon.entries import Integers
from carbon.factor import EVER, GASES, Factor, FactorSteps, steps
from carbon.local_time import wall_clock
from carbon.market.allocation import Allocation, Instruments
from pipeline.batch import Times
from pipeline.factors import Provenance

_WORSE: Final[tuple[Literal["exact", "latest", "fallback"], ...]] = ("exact", "latest", "fallback")


def uncovered_steps(kind: str, residual: FactorSteps | None, location: FactorSteps) -> tuple[FactorSteps, list[str]]:
    """Return (factor of electricity that nothing covers, findings).

    The residual figure of the kind asked for; where there is none the location average, as a disclosed fallback.
    Source: GHG Protocol Scope 2 Guidance (2015), table 6.3.
    """
    if residual is not None and kind != "location_average":
        return residual, []
    wanted = "a residual mix" if kind == "location_average" else f"the kind {kind}"
    finding = (
        f"market-based: {wanted} is not available for this region; the location average is used instead, "
        "although it still holds power whose attributes were sold to others"
    )
    factors = tuple(replace(f, provenance=replace(f.provenance, variant="fallback")) for f in location.factors)
    return FactorSteps(location.start_ns, factors), [finding]


def instrument_factors(instruments: Instruments) -> dict[str, Factor]:
    """Return the factor of each instrument [kg CO₂e/kWh], by name of a certificate or contract."""
    found = {}
    for c in instruments.certificates:
        about = f"{c.kind} of {c.market}, {c.technology or 'technology not stated'}, cancelled {c.cancelled}"
        year, hashed = int(c.produced[:4]), f"document {c.document_hash}" if c.document_hash else "document not kept"
        said = Provenance(f"{c.kind} registry", about, year, str(c.issued or c.produced), "co2e", hashed)
        found[c.name] = Factor(f"certificate/{c.name}/{c.kind}/{c.produced}", "kWh", _co2e(c.kg_per_kwh), 1.0, said)
    for name, k in instruments.contracts.items():
        said = Provenance(
            k.supplier, f"contract {name}", k.valid_from.year, str(k.valid_from), "co2e", k.document or "not documented"
        )
        found[name] = Factor(f"contract/{name}/market/{k.valid_from.year}", "kWh", _co2e(k.kg_per_kwh), 1.0, said)
    return found


def market_steps(
    start_ns: Times, allocation: Allocation, edges: Times, uncovered: FactorSteps,
    instruments: Mapping[str, Factor], zone: ZoneInfo,
) -> FactorSteps:  # fmt: skip
    """Return the market-based factor: between two edges, each part of what was bought at its own factor.

    kg per kWh = Σ covered · kg(instrument) + uncovered · kg(rest), over what was bought; so amount × factor is what
    the parts emit, but for the mWh by which the whole numbers of one interval differ from its period's share.
    """
    cuts = np.union1d(np.concatenate(([EVER], edges)), uncovered.start_ns)
    rest = uncovered.at(cuts)
    period = np.searchsorted(cuts, start_ns, side="right") - 1

    def sums(amounts: Integers) -> list[int]:
        total = np.zeros(len(cuts), np.int64)
        np.add.at(total, period, amounts)
        return [int(t) for t in total]

    covered = {name: sums(amounts) for name, amounts in allocation.covered.items()}
    left = sums(allocation.uncovered)
    named = _names(cuts, zone)
    found: list[tuple[int, Factor]] = []
    for i, start in enumerate(cuts):
        parts = [(instruments[name], amounts[i]) for name, amounts in covered.items() if amounts[i]]
        plain = uncovered.factors[rest[i]]
        factor = blend(named[i], [*parts, *([(plain, left[i])] if left[i] else [])]) if parts else plain
        if not found or found[-1][1] != factor:
            found.append((int(start), factor))
    return steps(found)


def blend(id: str, parts: Sequence[tuple[Factor, int]]) -> Factor:
    """Return the mean of factors per kWh weighted by their amounts [mWh], naming every part in its provenance."""
    total = sum(amount for _, amount in parts)
    kg = [sum(factor.kg[i] * amount for factor, amount in parts) / total for i in range(len(GASES))]
    emitted = sum(kg)
    known = all(factor.uncertainty is not None or not factor.total for factor, _ in parts)
    spread = sum(factor.total * amount * (factor.uncertainty or 0.0) for factor, amount in parts) / total
    return Factor(
        f"{id}/{'+'.join(factor.id for factor, _ in parts)}",
        "kWh",
        (kg[0], kg[1], kg[2], kg[3], kg[4]),
        1.0,
        _provenance(parts, total),
        biogenic=sum(factor.biogenic * amount for factor, amount in parts) / total,
        uncertainty=spread / emitted if known and emitted else None,
        gwp="+".join(sorted({factor.gwp for factor, _ in parts if factor.gwp})),
    )


def _provenance(parts: Sequence[tuple[Factor, int]], total: int) -> Provenance:
    said = [factor.provenance for factor, _ in parts]
    gases = sorted({f.provenance.gas for f, _ in parts if f.total} or {p.gas for p in said})
    return Provenance(
        publisher="; ".join(dict.fromkeys(p.publisher for p in said)),
        publication="; ".join(
            f"{amount / total:.4%} at {f.total:g} kg/kWh: {f.id}, {f.provenance.publication}" for f, amount in parts
        ),
        data_year=max(p.data_year for p in said),
        published_on=max(p.published_on for p in said),
        gas="+".join(gases),
        source="; ".join(dict.fromkeys(p.source for p in said)),
        variant=max((p.variant for p in said), key=_WORSE.index),
    )


def _names(cuts: Times, zone: ZoneInfo) -> list[str]:
    """Return the name of each period: market/ and the local time it begins."""
    shown = wall_clock(np.maximum(cuts, 0), zone).astype("M8[ns]").astype("M8[m]")
    return [f"market/{str(moment).removesuffix('T00:00')}" for moment in shown]


def _co2e(kg: float) -> tuple[float, float, float, float, float]:
    return (0.0, 0.0, 0.0, 0.0, kg)
