"""A report → a workbook: one sheet a table, real numbers, sums as formulas, and nothing typed that could run as one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Final

from openpyxl import Workbook
from openpyxl.cell import Cell as SheetCell
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from carbon.report.cover import facts
from carbon.report.model import Report
from carbon.report.table import UNITS, Column, Kind, Row, Table, Word
from carbon.report.words import Words

HEAD_ROW: Final = 3  # row of the headings; the title stands above
_BOLD, _SOFT = Font(bold=True), Font(italic=True, color="666666")
_HEAD: Final = PatternFill("solid", fgColor="DCE6E3")
_FLAG: Final = PatternFill("solid", fgColor="FFF3DC")
_WRAP: Final = Alignment(wrap_text=True, vertical="top")
_FORMATS: Final[dict[str, str]] = {"share": "0.0%", "number": "General"}
_UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML cannot hold
_RISKY: Final = ("=", "+", "-", "@", "#", "\t", "\r")  # begin what a sheet may take for a formula or an error
_LONGEST: Final = 32_767  # characters of a cell


def write(report: Report, words: Words, file: Path | BinaryIO) -> None:
    """Write the workbook; raises OSError where the file cannot be written."""
    book = Workbook(write_only=True)
    book.calculation.fullCalcOnLoad = True
    _cover(book, report, words)
    for table in report.tables:
        _Sheet(book, table, words).write()
    book.save(file)


def _cover(book: Workbook, report: Report, words: Words) -> None:
    sheet = _new(book, words("table.cover.title"), (30, 90))
    sheet.append([_text(sheet, words("document.title"), _BOLD)])
    for label, value in facts(report.cover, words):
        sheet.append([_text(sheet, label), _text(sheet, value)])
    sheet.append([])
    sheet.append([_text(sheet, words("table.findings.title"), _BOLD)])
    for finding in report.findings or (Word("finding.none"),):
        sheet.append([None, _text(sheet, words.say(finding))])


def _new(book: Workbook, title: str, widths: Iterable[int]) -> Any:
    sheet = book.create_sheet(sheet_title(title))
    for number, width in enumerate(widths, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    return sheet


def sheet_title(title: str) -> str:
    """Return a title as a worksheet may bear it."""
    return re.sub(r"[\[\]:*?/\\]", " ", title)[:31]


def _text(sheet: Any, text: str, font: Font | None = None) -> SheetCell:
    """Return a cell that is text whatever it begins with."""
    cell: SheetCell = WriteOnlyCell(sheet, value=_UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)[:_LONGEST])
    cell.data_type = "s"
    cell.alignment = _WRAP
    cell.quotePrefix = text[:1] in _RISKY
    if font:
        cell.font = font
    return cell


def _format(kind: Kind) -> str:
    if kind in UNITS:
        decimals = UNITS[kind].decimals
        return "#,##0" + ("." + "0" * decimals if decimals else "")
    return _FORMATS.get(kind, "General")


class _Sheet:
    """One table on its way into the workbook; its first column is the depth that sums are made by."""

    def __init__(self, book: Workbook, table: Table, words: Words) -> None:
        self.table, self.words = table, words
        widths = (5, *(_width(column) for column in table.columns))
        self.sheet = _new(book, words(f"table.{table.name}.title"), widths)
        self.sheet.freeze_panes = f"{'C' if len(table.columns) > 2 else 'B'}{HEAD_ROW + 1}"
        self.last = HEAD_ROW + len(table.rows)

    def write(self) -> None:
        table, sheet, words = self.table, self.sheet, self.words
        letters = f"A{HEAD_ROW}:{get_column_letter(len(table.columns) + 1)}{max(self.last, HEAD_ROW)}"
        sheet.auto_filter.ref = letters
        sheet.append([_text(sheet, words(f"table.{table.name}.title"), _BOLD)])
        sheet.append([None, _text(sheet, words(f"table.{table.name}.intro"), _SOFT)])
        sheet.append([self._heading("#"), *(self._heading(self._label(column)) for column in table.columns)])
        for index, row in enumerate(table.rows):
            sheet.append(self._row(index, row))
        if table.total:
            self._total()
        for note in table.notes:
            sheet.append([None, _text(sheet, words.say(note), _SOFT)])

    def _label(self, column: Column) -> str:
        unit = self.words.unit(column.kind)
        return self.words.heading(column) + (f" [{unit}]" if unit else "")

    def _heading(self, text: str) -> SheetCell:
        cell = _text(self.sheet, text, _BOLD)
        cell.fill = _HEAD
        return cell

    def _row(self, index: int, row: Row) -> list[Any]:
        cells = [self._cell(index, number) for number in range(len(self.table.columns))]
        if row.sort == "flag":
            for cell in cells:
                if isinstance(cell, SheetCell):
                    cell.fill = _FLAG
        return [row.depth if row.counts else None, *cells]

    def _cell(self, index: int, number: int) -> SheetCell | str | None:
        row, column = self.table.rows[index], self.table.columns[number]
        value = row.cells[number]
        if self.table.detail and isinstance(value, str) and value[:1] not in _RISKY and not _UNFIT.search(value):
            return value[:_LONGEST] or None  # ten thousands of rows: a style for each cell would take minutes
        if value is None or isinstance(value, Word | str):
            said = _text(self.sheet, "" if value is None else self.words.say(value))
            said.alignment = Alignment(wrap_text=True, vertical="top", indent=row.depth if number == 0 else 0)
            return said
        if column.kind == "time":
            return _text(self.sheet, self.words.time(int(value)))
        cell: SheetCell = WriteOnlyCell(self.sheet, value=self._figure(index, number, value))
        cell.number_format = _format(column.kind)
        return cell

    def _figure(self, index: int, number: int, value: int | float) -> str | int | float:
        """Return a number, or the formula of one that is the sum of others: of its parts below, or beside it."""
        column, line = self.table.columns[number], HEAD_ROW + 1 + index
        if column.adds and any(self.table.rows[i].counts for i in self.table.children(index)):
            return self._sum(number, index + 1, self.table.rows[index].depth + 1)
        if column.across:
            parts = [(key[0] == "-", self.table.column(key.removeprefix("-"))) for key in column.across]
            return "=" + "".join(f"{'-' if less else '+'}{get_column_letter(p + 2)}{line}" for less, p in parts)
        return _real(column, value)

    def _sum(self, number: int, first: int, depth: int) -> str:
        """Return the formula that adds a column's rows of a depth, from a row to the last of the same parent."""
        end = next(
            (i for i in range(first, len(self.table.rows)) if self.table.rows[i].depth < depth), self.last - HEAD_ROW
        )
        letter, low, high = get_column_letter(number + 2), HEAD_ROW + 1 + first, HEAD_ROW + end
        return f"=SUMIF($A{low}:$A{high},{depth},{letter}{low}:{letter}{high})"

    def _total(self) -> None:
        """Append the total as a formula and, beneath, as the ledger has it."""
        formulas: list[Any] = [None]
        exact: list[Any] = [None]
        for number, column in enumerate(self.table.columns):
            if number == 0:
                formulas.append(_text(self.sheet, self.words("total"), _BOLD))
                exact.append(_text(self.sheet, self.words("per_ledger"), _SOFT))
            elif not column.adds or not self.table.rows:
                formulas.append(None)
                exact.append(None)
            else:
                values = self._sum(number, 0, 0), _real(column, self.table.exact_total(number))
                for cells, value, font in zip((formulas, exact), values, (_BOLD, _SOFT), strict=True):
                    cell = WriteOnlyCell(self.sheet, value=value)
                    cell.number_format, cell.font = _format(column.kind), font
                    cells.append(cell)
        self.sheet.append(formulas)
        self.sheet.append(exact)


def _real(column: Column, value: int | float) -> int | float:
    return value / UNITS[column.kind].one if column.kind in UNITS and isinstance(value, int) else value


def _width(column: Column) -> int:
    if column.kind == "text":
        return 30 if column.key in ("source", "stream", "factor", "values", "publication", "why", "asset") else 18
    return 20 if column.kind in ("time", "hash") else 15
