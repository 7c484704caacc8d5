"""A report → JSON of a stable shape, and CSV of its monthly lines; figures exact to the milligram."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

import orjson

from carbon.report.model import Report
from carbon.report.table import UNITS, Cell, Column, Table, Word
from carbon.report.words import Words

FORMAT: Final = "tanflow report 1"
_KG: Final = 10**6
# Machines get kilograms and kilowatt-hours: units of which the ledger's integers are exact decimals.
_SUFFIX: Final = {"mass": ("_kg", _KG), "energy": ("_kwh", _KG), "heat": ("_gj", 10**9), "coal": ("_kgce", _KG)}
_RISKY: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def to_json(report: Report, words: Words) -> bytes:
    """Return the report as one JSON object (docs/report.md says what stands where)."""
    cover = report.cover
    told = {
        "organisation": cover.organisation, "boundary": cover.boundary, "responsible": cover.responsible,
        "base_year": cover.base_year, "site": cover.site, "region": cover.region, "gwp": cover.gwp,
        "fuels": cover.fuels, "factor_rule": cover.rule, "zone": cover.period.zone.key,
        "from": cover.period.first.isoformat(), "to": cover.period.last.isoformat(), "complete": cover.complete,
        "ledger": {"seq": cover.head.seq, "hash": cover.head.hash}, "generated": words.time(cover.generated_ns),
        "version": cover.version,
    }  # fmt: skip
    figures = {
        name + ("_kwh" if name.startswith("energy") else "_kg"): value / _KG for name, value in report.figures.items()
    }
    findings = [{"key": f.key if isinstance(f, Word) else None, "text": words.say(f)} for f in report.findings]
    answer = {
        "format": FORMAT, "language": words.language, "cover": told, "figures": figures,
        "findings": findings,
        "tables": {table.name: _table(table, words) for table in report.tables},
    }  # fmt: skip
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _table(table: Table, words: Words) -> dict[str, Any]:
    keys = [name(column) for column in table.columns]
    rows = []
    for row in table.rows:
        cells = {key: value(c, cell, words) for key, c, cell in zip(keys, table.columns, row.cells, strict=True)}
        rows.append(cells | {"depth": row.depth, "sort": row.sort or "part"})
    total = {
        key: value(column, table.exact_total(number), words)
        for number, (key, column) in enumerate(zip(keys, table.columns, strict=True))
        if table.total and column.adds
    }
    return {"columns": keys, "rows": rows, "total": total or None}


def name(column: Column) -> str:
    """Return the key of a column for machines, its unit in it."""
    return column.key + _SUFFIX.get(column.kind, ("", 0))[0]


def value(column: Column, cell: Cell, words: Words) -> Any:
    """Return a cell for machines: numbers in their unit, words by their key, where they have one."""
    if isinstance(cell, Word):
        return words.say(cell) if cell.values else cell.key.rpartition(".")[2]
    if column.kind == "time" and isinstance(cell, int):
        return words.time(cell)
    if not isinstance(cell, int) or column.kind not in UNITS or column.kind == "count":
        return cell
    return cell / _SUFFIX.get(column.kind, ("", UNITS[column.kind].one))[1]


def to_csv(report: Report, words: Words) -> str:
    """Return the monthly lines, each with the head of the ledger they were read from; nothing in it is a formula."""
    table = report.table("lines")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*(name(column) for column in table.columns), "ledger"])
    for row in table.rows:
        cells = [value(column, cell, words) for column, cell in zip(table.columns, row.cells, strict=True)]
        writer.writerow([*(guarded(c) if isinstance(c, str) else c for c in cells), str(report.cover.head)])
    return file.getvalue()


def guarded(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: behind an apostrophe where it would."""
    return "'" + text if text.startswith(_RISKY) else text
