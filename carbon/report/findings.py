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
    found += [
        word("finding.fallback", factor=str(row.cells[0]), published=str(row.cells[factor_table.column("data_year")]))
        for row in factor_table.rows
        if row.sort == "flag"
    ]
    return found + _market_gaps(tally) + _unregistered(tally)


def _market_gaps(tally: Tally) -> list[Word]:
    """Return what the market-based figure lacks: factors of its own, or lines at all."""
    used = {}
    for method in ("location", "market"):
        mask = tally.lines_where(lambda x, m=method: x.role == "boundary" and x.scope == 2 and x.method == m)  # type: ignore[misc]
        used[method] = {n for n in np.unique(tally.factor[mask]).tolist() if n >= 0}
    if used["location"] and not used["market"]:
        return [word("finding.no_market")]
    same = {n for n in used["location"] & used["market"] if n in tally.factors and tally.factors[n].total}
    return [word("finding.no_residual_mix", factor=tally.factors[n].id) for n in sorted(same)]


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
