"""A report → one HTML file that asks for nothing outside itself: to read, to print on A4, and to keep."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from carbon.report import charts
from carbon.report.cover import facts
from carbon.report.flow import sankey
from carbon.report.model import Report
from carbon.report.rounding import nearest, printed
from carbon.report.table import SUMMED, UNITS, Column, Table
from carbon.report.words import Words

_NUMBERS: Final = (*SUMMED, "amount", "share", "number")
_SHORT: Final = 16  # rows of a table that is kept on one page
_LONG_WORD: Final = 26  # characters
_MOST_ROWS: Final = 5_000  # of one table on paper; more than that stands in the workbook


_Line = tuple[str, tuple[tuple[str, str], ...]]  # classes of a row, and its cells as (classes, text)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A table as the template takes it: text only."""

    name: str
    title: str
    intro: str
    classes: str
    heads: tuple[tuple[str, str, bool], ...]  # label, unit, whether numbers stand below
    rows: tuple[_Line, ...]
    total: tuple[str, ...]
    beside: tuple[_Line, ...]  # rows that are in no total, below it
    notes: tuple[str, ...]


def to_html(report: Report, words: Words) -> str:
    """Return the report as one HTML document."""
    folder = resources.files("carbon.report") / "templates"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "report.html").read_text("utf-8"))
    head = report.cover.head
    return template.render(
        w=words,
        cover=report.cover,
        css=Markup((folder / "report.css").read_text("utf-8")),
        footer=Markup(_css_text(words("document.footer", seq=str(head.seq), hash=head.hash))),
        facts=facts(report.cover, words)[1:],
        figures=_figures(report, words),
        findings=[words.say(finding) for finding in report.findings],
        tables=[_shown(table, words) for table in report.tables if not table.detail],
        hatches=charts.hatches(),
        pictures=_pictures(report, words),
    )


def _css_text(text: str) -> str:
    """Return text as a string of CSS, whatever it holds."""
    return '"' + re.sub(r'["\\<\x00-\x1f]', lambda found: f"\\{ord(found[0]):x} ", text) + '"'


def _shown(table: Table, words: Words) -> _Shown:
    columns = [(i, column) for i, column in enumerate(table.columns) if not column.detail]
    figures = printed(table)
    rows: list[_Line] = []
    beside: list[_Line] = []
    for row, cells in zip(table.rows[:_MOST_ROWS], figures.rows, strict=False):
        shown = tuple(_cell(column, words.cell(column.kind, cells[i])) for i, column in columns)
        below = table.total and not row.counts
        (beside if below else rows).append((f"d{min(row.depth, 6)} {row.sort}".strip(), shown))
    total = [words.cell(c.kind, figures.total[i]) if c.adds and rows else "" for i, c in columns]
    heads = tuple(
        (words.heading(c), UNITS[c.kind].unit if c.kind in UNITS else "", c.kind in _NUMBERS) for _, c in columns
    )
    classes = ("wide " if table.wide and rows else "") + ("short" if len(rows) <= _SHORT else "")
    return _Shown(
        table.name, words(f"table.{table.name}.title"), words(f"table.{table.name}.intro"), classes.strip(), heads,
        tuple(rows), tuple(total) if table.total else (), tuple(beside), tuple(map(words.say, table.notes)),
    )  # fmt: skip


def _cell(column: Column, text: str) -> tuple[str, str]:
    """Return a cell's classes and text; only what no line could hold is broken inside a word."""
    kind = "n" if column.kind in _NUMBERS else column.kind
    long = max(map(len, text.split()), default=0) > _LONG_WORD
    return " ".join(filter(None, (kind, "sum" if column.across else "", "long" if long else ""))), text


def _figures(report: Report, words: Words) -> list[tuple[str, str, str, str]]:
    """Return the key figures: label, number, unit, and what is said beneath."""
    scopes = printed(report.table("scopes"))
    table = report.table("scopes")
    tops = list(table.top())
    said = []
    for method in ("location", "market"):
        place = table.column(method)
        one, two, three = (words.cell("mass", scopes.rows[i][place]) for i in tops)
        note = words("figure.share_of", one=one, two=two, three=three)
        said.append((words(f"figure.{method}"), words.cell("mass", scopes.total[place]), "t CO₂e", note))
    taken, made = (nearest(report.figures[f"energy_{role}"], UNITS["energy"].step) for role in ("boundary", "own"))
    note = words("figure.own_energy", energy=words.cell("energy", made)) if made else ""
    said.append((words("figure.energy"), words.cell("energy", taken), "kWh", note))
    power = report.table("power")
    for row, name in ((3, "own"), (5, "green")):
        said.append((words(f"figure.{name}"), words.cell("share", power.rows[row].cells[2]), "", ""))
    said.append((words("figure.biogenic"), words.cell("mass", scopes.total[table.column("biogenic")]), "t CO₂", ""))
    unsure = report.table("uncertainty").rows[4].cells
    note = words("figure.unstated", share=words.cell("share", unsure[4])) if unsure[4] else words("figure.location")
    said.append((words("figure.uncertainty"), f"± {words.cell('share', unsure[3])}", "", note))
    corrected = printed(report.table("restatements"))
    change = sum(c for row in corrected.rows if isinstance(c := row[11], int))
    note = words("figure.restated_sum", change=words.cell("mass", change)) if corrected.rows else ""
    said.append((words("figure.restated"), str(len(corrected.rows)), "", note))
    return said


def _pictures(report: Report, words: Words) -> list[tuple[str, str, Markup]]:
    """Return title, explanation and picture of each chart."""
    short = [words(f"month.{month}") for _, month in report.cover.period.months]
    months, by_carrier = report.table("months"), report.table("energy_months")
    scopes = ("scope_1", "scope_2_location", "scope_3")
    layers = [charts.Series(words(f"column.{k}"), n, _numbers(months, k)) for n, k in enumerate(scopes)]
    marks = charts.Series(words("chart.market_mark"), 0, _numbers(months, "total_market"))
    carriers = [
        charts.Series(words.heading(column), (n + 1) % charts.PATTERNS, _numbers(by_carrier, column.key, 1000))
        for n, column in enumerate(by_carrier.columns[1:-1])
    ]
    hatch_of = {series.name: series.hatch for series in carriers}
    title, energy, flow = words("chart.scopes"), words("chart.energy"), words("chart.flow")
    return [
        (title, words("chart.scopes_about"), charts.stacked(short, layers, "t CO₂e", title, marks)),
        (energy, "", charts.stacked(short, carriers, "MWh", energy)),
        (flow, words("chart.flow_about"), sankey(report.flows, words, flow, hatch_of)),
    ]


def _numbers(table: Table, key: str, divided: int = 1) -> list[float]:
    """Return a column in its unit, or in one so many times larger."""
    place = table.column(key)
    one = UNITS[table.columns[place].kind].one * divided
    return [cell / one for row in table.rows if isinstance(cell := row.cells[place], int)]
