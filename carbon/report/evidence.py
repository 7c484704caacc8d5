"""Sums of a period and what the ledger defines → what they rest on: factors, meters, documents, quality of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy as np

from carbon.entries import MeterVersion
from carbon.factor import GASES, Factor
from carbon.report.table import Cell, Column, Row, Table, Word, word
from carbon.report.tally import Tally

MUCH: Final = 0.05  # share of a stream above which substitution is a finding
_GAS: Final = {"co2": "CO₂", "ch4": "CH₄", "n2o": "N₂O", "fgas": "F", "mixed": "CO₂e"}
_HOUR_NS: Final = 3_600_000_000_000


def factors(tally: Tally, fixed: tuple[tuple[str, int], ...]) -> Table:
    """Return the factors the totals rest on, with who says so, and the emissions on each."""
    masses = {method: tally.by(tally.factor, tally.mass, sum_masks(tally, method)) for method in ("location", "market")}
    used = sorted(set().union(*masses.values()), key=lambda n: tally.factors[n].id if n in tally.factors else "")
    rows = []
    for number in used:
        weights = [masses[method].get(number, 0) for method in ("location", "market")]
        factor = tally.factors.get(number)
        if factor:
            rows.append(Row((*_said(factor), *weights), 0, "flag" if factor.provenance.variant == "fallback" else ""))
    columns = (
        Column("factor"), Column("values"), Column("unit"),
        *(Column(f"kg_{gas}", "number", detail=True) for gas in GASES),
        Column("kg_biogenic", "number", detail=True), Column("kwh_per_unit", "number", detail=True),
        Column("publisher"), Column("publication"), Column("data_year"), Column("published_on", "date"),
        Column("source"), Column("variant"), Column("uncertainty", "share"), Column("gwp"), Column("version", "hash", detail=True),
        Column("location", "mass"), Column("market", "mass"),
    )  # fmt: skip
    return Table("factors", columns, tuple(rows), total=True, wide=True, fixed=fixed)


def sum_masks(tally: Tally, method: str) -> Any:
    """Return which sums are in the total of a method."""
    return tally.scope(1, method) | tally.scope(2, method) | tally.scope(3, method)


def _said(factor: Factor) -> tuple[Cell, ...]:
    said = factor.provenance
    split = [f"{_GAS[gas]} {kg:.6g}" for gas, kg in zip(GASES, factor.kg, strict=True) if kg] or ["0"]
    unsure = said.uncertainty if factor.uncertainty is None else factor.uncertainty
    return (
        factor.id, " · ".join(split), f"kg/{factor.unit}", *factor.kg, factor.biogenic, factor.kwh, said.publisher,
        said.publication, str(said.data_year or ""), said.published_on, said.source, word(f"variant.{said.variant}"),
        unsure, factor.gwp, factor.version,
    )  # fmt: skip


def meters(tally: Tally, versions: Mapping[int, MeterVersion], end: date) -> Table:
    """Return the meters the amounts came through, with their calibration and what went through each."""
    ours = np.isin(tally.line, list(tally.primary.values()))
    key = tally.meter * (max(tally.lines, default=0) + 1) + tally.line
    amounts, energies = (tally.by(key, tally.values[name], ours) for name in ("amount", "energy"))
    rows = []
    for pair, amount in sorted(amounts.items()):
        number, line = divmod(pair, max(tally.lines) + 1)
        if number not in versions:
            continue
        meter, stream = versions[number], tally.lines[line]
        state, sort = _state(meter, end)
        cells = (
            meter.meter, stream.stream, meter.serial, meter.about, meter.ratio, meter.calibrated_on, meter.due, state,
            meter.uncertainty, amount, stream.unit, energies.get(pair, 0),
        )  # fmt: skip
        rows.append(Row(cells, 0, "flag" if sort else ""))
    columns = (
        Column("meter"), Column("stream"), Column("serial"), Column("about"), Column("ratio", "number"),
        Column("calibrated_on", "date"), Column("due", "date"), Column("state"), Column("uncertainty", "share"),
        Column("amount", "amount"), Column("unit"), Column("energy", "energy", summed=False),
    )  # fmt: skip
    return Table("meters", columns, tuple(rows), wide=True)


def _state(meter: MeterVersion, end: date) -> tuple[Word, bool]:
    if meter.bypassed:
        return word("meter.bypassed"), True
    if meter.due and date.fromisoformat(meter.due) < end:
        return word("meter.overdue"), True
    return (word("meter.in_order"), False) if meter.due else (word("meter.no_due_date"), False)


def documents(found: Sequence[Mapping[str, Any]], first: date, last: date) -> Table:
    """Return the documents of the period: what they say, who entered and who approved them, and their hash."""

    def text(document: Mapping[str, Any], *names: str) -> str:
        return next((str(document[name]) for name in names if document.get(name) not in (None, "")), "")

    rows = []
    for document in found:
        begins = text(document, "from", "month", "on", "date")
        ends = text(document, "to", "month", "on", "date")
        if begins and (begins[:10] > last.isoformat() or ends[:10] < first.isoformat()[: len(ends)]):
            continue
        period = begins if begins == ends else f"{begins} – {ends}"
        cells = (
            text(document, "seq"), text(document, "kind"), text(document, "asset"),
            text(document, "carrier", "product"), period,
            text(document, "quantity", "amount", "mwh"), text(document, "unit"),
            text(document, "entered_by", "by"), text(document, "approved_by"), text(document, "sha256"),
            text(document, "document_number", "number"),
        )  # fmt: skip
        rows.append(Row(cells))
    names = (
        "block", "kind", "asset", "carrier", "period", "quantity", "unit", "entered_by", "approved_by", "sha256",
        "number",
    )  # fmt: skip
    columns = tuple(Column(name, "hash" if name == "sha256" else "text") for name in names)
    return Table("documents", columns, tuple(rows), wide=True)


def quality(tally: Tally, period_ns: int) -> Table:
    """Return how much of each stream is measured, estimated and substituted, and how much time its data stands for."""
    rows = []
    for stream, number in sorted(tally.primary.items()):
        line = tally.lines[number]
        mine = tally.line == number
        names = ("amount", "energy", "estimated", "substituted", "covered_ns", "span_ns")
        amount, energy, estimated, substituted, covered, span = (tally.add(tally.values[n], mine) for n in names)
        shares = (_share(covered, span), _share(estimated, amount), _share(substituted, amount))
        much = (shares[2] or 0) > MUCH
        cells = (
            stream, word(f"role.{line.role}"), amount, line.unit, energy, _share(span, period_ns), *shares
        )  # fmt: skip
        rows.append(Row(cells, 0, "flag" if much else ""))
    columns = (
        Column("stream"), Column("role"), Column("amount", "amount"), Column("unit"),
        Column("energy", "energy", summed=False), Column("booked", "share"), Column("covered", "share"),
        Column("estimated", "share"), Column("substituted", "share"),
    )  # fmt: skip
    return Table("quality", columns, tuple(rows), notes=(word("note.quality"),))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def findings(tally: Tally, quality_table: Table, meter_table: Table, factor_table: Table) -> list[Word]:
    """Return in sentences what a verifier will ask about."""
    found: list[Word] = []
    for row in quality_table.rows:
        if row.sort == "flag":
            share = row.cells[quality_table.column("substituted")]
            found.append(word("finding.substituted", stream=str(row.cells[0]), share=_percent(share)))
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
    mask = tally.energy_of("boundary") & (tally.meter < 0) & (tally.values["energy"] > 0)
    streams = sorted({tally.lines[n].stream for n in np.unique(tally.line[mask]).tolist()})
    return [word("finding.unregistered", streams=", ".join(streams[:10]), count=len(streams))] if streams else []


def _percent(share: Cell) -> str:
    return f"{100 * share:.1f} %" if isinstance(share, int | float) else ""


def lines(tally: Tally, versions: Mapping[int, MeterVersion], labels: Sequence[Cell]) -> Table:
    """Return every sum of the period by month, line, factor and meter: for machines and pivot tables."""
    rows = [Row(_line(tally, versions, labels, i)) for i in np.lexsort((tally.line, tally.month)).tolist()]
    names = ("month", "stream", "asset", "area", "asset_type", "carrier", "role", "scope", "category", "method", "unit")
    columns = (
        *(Column(name) for name in names), Column("factor"), Column("factor_version", "hash"), Column("meter"),
        Column("serial"), Column("entries", "count"), Column("amount", "amount"), Column("energy", "energy"),
        *(Column(gas, "mass") for gas in GASES), Column("co2e", "mass"), Column("biogenic", "mass"),
        Column("estimated_amount", "amount"), Column("substituted_amount", "amount"),
        Column("covered_h", "number"), Column("booked_h", "number"),
    )  # fmt: skip
    return Table("lines", columns, tuple(rows), detail=True)


def _line(tally: Tally, versions: Mapping[int, MeterVersion], labels: Sequence[Cell], i: int) -> tuple[Cell, ...]:
    line = tally.lines[int(tally.line[i])]
    factor = tally.factors.get(int(tally.factor[i]))
    meter = versions.get(int(tally.meter[i]))
    value = {name: int(column[i]) for name, column in tally.values.items()}
    return (
        labels[int(tally.month[i])], line.stream, line.asset, line.area, line.asset_type, line.carrier, line.role,
        line.scope, line.category, line.method, line.unit, factor.id if factor else "",
        factor.version if factor else "", meter.meter if meter else "", meter.serial if meter else "", value["count"],
        value["amount"], value["energy"], *(value[gas] for gas in GASES), int(tally.mass[i]), value["biogenic"],
        value["estimated"], value["substituted"], value["covered_ns"] / _HOUR_NS, value["span_ns"] / _HOUR_NS,
    )  # fmt: skip
