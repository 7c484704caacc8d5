"""Sums of a period and what the ledger defines → what they rest on: factors, meters, documents, quality of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy as np

from carbon.entries import MeterVersion
from carbon.factor import GASES, Factor
from carbon.papers.register import Register
from carbon.papers.rows import Certificate, Document, Lab, Stock, dump
from carbon.report.table import Cell, Column, Row, Table, Word, word
from carbon.report.tally import Tally
from carbon.uncertainty import half_interval, unstated

MUCH: Final = 0.05  # share of a stream above which substitution is a finding
_GAS: Final = {"co2": "CO₂", "ch4": "CH₄", "n2o": "N₂O", "fgas": "F-gas", "mixed": "CO₂e"}
HOUR_NS: Final = 3_600_000_000_000


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
        Column("source"), Column("variant"), Column("uncertainty", "share"), Column("gwp"),
        Column("version", "hash", detail=True), Column("location", "mass"), Column("market", "mass"),
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
    ours = np.isin(tally.line, list(tally.primary))
    key = tally.meter * (max(tally.lines, default=0) + 1) + tally.line
    amounts, energies = (tally.by(key, tally.values[name], ours) for name in ("amount", "energy"))
    rows = []
    for pair, amount in sorted(amounts.items()):
        number, line = divmod(pair, max(tally.lines) + 1)
        if number not in versions:
            continue
        meter, stream = versions[number], tally.lines[line]
        state, sort = _state(meter, min(end, _replaced(meter, versions)))
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


def _replaced(meter: MeterVersion, versions: Mapping[int, MeterVersion]) -> date:
    """Return when the meter was calibrated or exchanged after a version, date.max where it was not."""
    later = (v.calibrated_on for v in versions.values() if v.meter == meter.meter and v.number > meter.number)
    return min((date.fromisoformat(d) for d in later if d > meter.calibrated_on), default=date.max)


def _state(meter: MeterVersion, end: date) -> tuple[Word, bool]:
    if meter.bypassed:
        return word("meter.bypassed"), True
    if meter.due and date.fromisoformat(meter.due) < end:
        return word("meter.overdue"), True
    return (word("meter.in_order"), False) if meter.due else (word("meter.no_due_date"), False)


def documents(register: Register, upto: int, first: date, last: date) -> Table:
    """Return the documents of the period: what they say, who entered and who approved them, and their hash."""
    rows = []
    for filed in register.rows.values():
        said = {key: str(cell) for key, cell in dump(filed.document).items()}
        begins = said.get("from") or said.get("production_month") or said.get("to", "")
        ends = said.get("to") or begins
        outside = begins[:10] > last.isoformat() or ends < first.isoformat()[: len(ends)]
        if filed.seq > upto or outside:
            continue
        state = register.state(filed.seq)
        cells = (
            str(filed.seq), word(f"document_kind.{filed.document.kind}"), filed.document.asset,
            said.get("carrier", said.get("technology", "")), begins if begins == ends else f"{begins} – {ends}",
            *_quantity(filed.document), filed.by, register.approver(filed.seq), word(f"document_state.{state}"),
            filed.evidence, said.get("document_number", ""), filed.document.note,
        )  # fmt: skip
        rows.append(Row(cells, 0, "flag" if state == "pending" else ""))
    names = (
        "block", "kind", "asset", "carrier", "period", "quantity", "unit", "entered_by", "approved_by", "state",
        "sha256", "number", "note",
    )  # fmt: skip
    columns = tuple(Column(name, "hash" if name == "sha256" else "text") for name in names)
    return Table("documents", columns, tuple(rows), wide=True)


def _quantity(document: Document) -> tuple[str, str]:
    """Return a document's quantity as it was written, and its unit."""
    if isinstance(document, Certificate):
        return f"{document.mwh:f}", "MWh"
    if isinstance(document, Stock):
        return f"{document.lost:f}", document.unit
    return f"{document.ncv if isinstance(document, Lab) else document.quantity:f}", document.unit


def quality(tally: Tally, period_ns: int) -> Table:
    """Return how much of each stream is measured, estimated and substituted, and how much time its data stands for."""
    streams: dict[str, list[int]] = {}
    for number in sorted(tally.primary):
        streams.setdefault(tally.lines[number].stream, []).append(number)
    rows = [_stream(tally, name, numbers, period_ns) for name, numbers in sorted(streams.items())]
    columns = (
        Column("stream"), Column("role"), Column("entries", "count", summed=False), Column("amount", "amount"),
        Column("unit"), Column("energy", "energy", summed=False), Column("booked", "share"),
        Column("covered", "share"), Column("estimated", "share"), Column("substituted", "share"),
    )  # fmt: skip
    return Table("quality", columns, tuple(rows), notes=(word("note.quality"),))


def _stream(tally: Tally, name: str, numbers: list[int], period_ns: int) -> Row:
    line, mine = tally.lines[numbers[-1]], np.isin(tally.line, numbers)
    names = ("count", "amount", "energy", "estimated", "substituted", "covered_ns", "span_ns")
    count, amount, energy, estimated, substituted, covered, span = (tally.add(tally.values[n], mine) for n in names)
    booked, time = _share(span, period_ns), _share(covered, span)
    filled = _share(substituted, amount)
    metered = line.role != "memo" and span <= count * HOUR_NS  # longer pieces are entered by people: no gap
    lacking = metered and min(booked or 0, time or 0) < 1 - MUCH
    cells = (
        name, word(f"role.{line.role}"), count, amount, line.unit, energy, booked, time,
        _share(estimated, amount), filled,
    )  # fmt: skip
    return Row(cells, 0, "flag" if lacking or (filled or 0) > MUCH else "")


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def uncertainty(tally: Tally, versions: Mapping[int, MeterVersion]) -> Table:
    """Return half the 95 % interval of each scope and total, and how much of it rests on factors that state none."""
    parts = [("scope.1", (1,), "location"), ("scope.2_location", (2,), "location"), ("scope.2_market", (2,), "market"),
             ("scope.3", (3,), "location"), ("figure.location", (1, 2, 3), "location"),
             ("figure.market", (1, 2, 3), "market")]  # fmt: skip
    rows = []
    for key, scopes, method in parts:
        mask = np.any([tally.scope(scope, method) for scope in scopes], axis=0)
        amount, meter, factor = (
            tally.mass[mask],
            tally.meter[mask].astype(np.int32),
            tally.factor[mask].astype(np.int32),
        )
        half = half_interval(amount, meter, factor, versions, dict(tally.factors))
        total = int(amount.sum())
        share = half / abs(total) if total else None
        silent = unstated(amount, factor, dict(tally.factors)) if total else None
        rows.append(Row((word(key), total, round(half), share, silent)))
    columns = (
        Column("source"), Column("co2e", "mass", summed=False), Column("half_interval", "mass", summed=False),
        Column("uncertainty", "share"), Column("unstated", "share"),
    )  # fmt: skip
    return Table("uncertainty", columns, tuple(rows), notes=(word("note.uncertainty"),))


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
        value["estimated"], value["substituted"], value["covered_ns"] / HOUR_NS, value["span_ns"] / HOUR_NS,
    )  # fmt: skip
