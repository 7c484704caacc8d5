"""What the report's tables show → in sentences what a verifier will ask about."""

from __future__ import annotations

import numpy as np

from carbon.report.evidence import HOUR_NS, MUCH
from carbon.report.table import Cell, Table, Word, word
from carbon.report.tally import Tally


def findings(tally: Tally, quality_table: Table, meter_table: Table, factor_table: Table) -> list[Word]:
    """Return in sentences what a verifier will ask about."""
    found: list[Word] = []
    booked, covered, filled = (quality_table.column(name) for name in ("booked", "covered", "substituted"))
    for row in (row for row in quality_table.rows if row.sort == "flag"):
        if _number(row.cells[filled]) > MUCH:
            share = _percent(row.cells[filled])
            found.append(word("finding.substituted", stream=str(row.cells[0]), share=share))
        if _number(row.cells[booked]) * _number(row.cells[covered]) < 1 - MUCH:
            share = _percent(1 - _number(row.cells[booked]) * _number(row.cells[covered]))
            found.append(word("finding.missing", stream=str(row.cells[0]), share=share))
    states = {"meter.overdue": "finding.overdue", "meter.bypassed": "finding.bypassed"}
    serial, due, state = (meter_table.column(name) for name in ("serial", "due", "state"))
    for row in meter_table.rows:
        if isinstance(said := row.cells[state], Word) and said.key in states:
            values = {"meter": str(row.cells[0]), "serial": str(row.cells[serial]), "due": str(row.cells[due])}
            found.append(word(states[said.key], **values))
    same = _same_as_location(tally)
    found += [
        word("finding.fallback", factor=str(row.cells[0]), published=str(row.cells[factor_table.column("data_year")]))
        for row in factor_table.rows
        if row.sort == "flag" and not (row.cells[0] in same and not row.cells[factor_table.column("location")])
    ]
    found += [word("finding.no_residual_mix", factor=name) for name in sorted(same)]
    return found + _no_market(tally) + _unregistered(tally)


def _scope_2(tally: Tally, method: str) -> set[str]:
    """Return the ids of the factors that purchased energy is multiplied by, those of nothing left out."""
    mask = tally.lines_where(lambda x: x.role == "boundary" and x.scope == 2 and x.method == method)
    factors = (tally.factors[n] for n in np.unique(tally.factor[mask]).tolist() if n in tally.factors)
    return {factor.id for factor in factors if factor.total}


def _same_as_location(tally: Tally) -> set[str]:
    """Return the factors that serve both methods: no residual mix is known, which is to be disclosed."""
    return _scope_2(tally, "location") & _scope_2(tally, "market")


def _no_market(tally: Tally) -> list[Word]:
    lines = [tally.lines[n] for n in tally.used]
    methods = {x.method for x in lines if x.role == "boundary" and x.scope == 2}
    return [word("finding.no_market")] if "location" in methods and "market" not in methods else []


def _unregistered(tally: Tally) -> list[Word]:
    """Return the metered streams nobody registered a meter for; what people entered needs none."""
    metered = tally.values["span_ns"] <= tally.values["count"] * HOUR_NS
    mask = tally.energy_of("boundary") & (tally.meter < 0) & (tally.values["energy"] > 0) & metered
    streams = sorted({tally.lines[n].stream for n in np.unique(tally.line[mask]).tolist()})
    return [word("finding.unregistered", streams=", ".join(streams[:10]), count=len(streams))] if streams else []


def _number(cell: Cell) -> float:
    return float(cell) if isinstance(cell, int | float) else 0.0


def _percent(share: Cell) -> str:
    return f"{100 * share:.1f} %" if isinstance(share, int | float) else ""
