"""Calorific values a laboratory found → the factors of a stream by what was really burnt, instead of by a default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from zoneinfo import ZoneInfo

from carbon.entries import Line
from carbon.factor import EVER, Factor, FactorSteps, steps
from carbon.papers.periods import bounds
from carbon.papers.register import Filed
from carbon.papers.rows import SITE, Lab
from carbon.papers.units import Mistaken, gas_ratio, heat_scale, reference_of
from carbon.streams import Stream
from config.points import GasReference

_ENERGIES: Final = ("kWh", "MJ", "GJ")


@dataclass(frozen=True, slots=True)
class _Finding:
    """What one report says of a time [start, end)."""

    start_ns: int
    end_ns: int
    filed: Filed
    lab: Lab


def heat_value(lab: Lab, unit: str, reference: GasReference | None) -> float:
    """Return the net calorific value [kWh per `unit`], of a gas per m³ in the state `reference`.

    Raises ValueError where the unit cannot be meant or the state of a gas is missing.
    """
    value = lab.ncv * heat_scale(lab.unit, unit)
    if reference is not None and unit == "m3":
        stated = reference_of(lab)
        if stated is None:
            raise Mistaken("celsius", "the calorific value of a gas per m3 needs the state of its m3")
        value *= gas_ratio(reference, stated)
    return float(value)


def by_laboratory(
    line: Line, factors: FactorSteps, stream: Stream, labs: Iterable[Filed], zone: ZoneInfo
) -> FactorSteps:
    """Return the factors of a line with the laboratory's where it speaks; the asset's own report goes before the
    site's, a later entered one before an earlier.

    Emissions are carbon per unit of energy times energy per unit of fuel, so all of a factor scales with the calorific
    value: factor_lab = factor · NCV_lab / NCV. Only what is burnt on the site is touched; a fuel counted by its energy
    is not. Raises ValueError where the laboratory speaks of another unit.
    """
    found = [_finding(filed, filed.document, zone) for filed in labs if isinstance(filed.document, Lab)]
    mine = [f for f in found if f.filed.stream in (stream.key, f"{SITE}.{stream.carrier}")]
    by_energy = any(factor.unit in _ENERGIES or factor.kwh <= 0 for factor in factors.factors)
    if line.scope != 1 or not mine or by_energy:
        return factors
    starts = {EVER, *factors.start_ns.tolist()[1:], *(ns for f in mine for ns in (f.start_ns, f.end_ns))}
    parts = []
    for start in sorted(starts):
        step = max(int(factors.start_ns.searchsorted(start, side="right")) - 1, 0)
        parts.append((start, _scaled(factors.factors[step], stream, _speaker(mine, start))))
    return steps(parts)


def _finding(filed: Filed, lab: Lab, zone: ZoneInfo) -> _Finding:
    return _Finding(*bounds(lab.first, lab.last, zone), filed, lab)


def _speaker(findings: Sequence[_Finding], time_ns: int) -> _Finding | None:
    speaking = [f for f in findings if f.start_ns <= time_ns < f.end_ns]
    return max(speaking, key=lambda f: (f.lab.asset != SITE, f.filed.seq), default=None)


def _scaled(factor: Factor, stream: Stream, finding: _Finding | None) -> Factor:
    if finding is None:
        return factor
    lab, seq = finding.lab, finding.filed.seq
    kwh = heat_value(lab, factor.unit, stream.reference)
    ratio = kwh / factor.kwh
    co2, ch4, n2o, fgas, mixed = (kg * ratio for kg in factor.kg)
    report = f"laboratory report {lab.document_number}".strip()
    publication = f"{factor.provenance.publication}; net calorific value {lab.ncv:f} {lab.unit} by {report}"
    return replace(
        factor,
        id=f"{factor.id}+lab",
        kg=(co2, ch4, n2o, fgas, mixed),
        kwh=kwh,
        biogenic=factor.biogenic * ratio,
        provenance=replace(factor.provenance, publication=f"{publication}, document {seq} of the ledger"),
    )
