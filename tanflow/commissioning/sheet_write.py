"""Rows of sheets → an XLSX workbook whose text stays text: 007, 1E5 or 3-1 is not made a number or a date."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from config.errors import Rejected
from tanflow.commissioning.cells import cell_of
from tanflow.commissioning.columns import Column, chinese
from tanflow.commissioning.sheet_rows import CHINESE_SHEETS, SHEETS, Row

_WIDEST: Final = 40  # characters
# Shown even where nothing stands in them: whoever adds a row finds them.
_ALWAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "points": ("name", "quantity", "unit", "scale"),
    "devices": ("area", "asset", "name", "connection", "address", "template"),
    "assets": ("area", "name", "type"),
    "templates": ("name", "protocol"),
    "connections": ("name", "protocol"),
}


def workbook(rows: Mapping[str, Sequence[Row]], *, in_chinese: bool = False) -> bytes:
    """Return the workbook; columns nothing stands in are left out.

    Raises Rejected for a text no spreadsheet can hold, and says whose.
    """
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)  # type: ignore[arg-type]
    for name, known in SHEETS.items():
        if rows[name] or name == "points":
            title = CHINESE_SHEETS[name][0] if in_chinese else name
            _fill(book.create_sheet(title), name, known, rows[name], in_chinese=in_chinese)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def _fill(sheet: Any, name: str, known: Sequence[Column], rows: Sequence[Row], *, in_chinese: bool) -> None:
    used = {column for row in rows for column in row} | set(_ALWAYS[name])
    shown = [column for column in known if column.name in used]
    for number, column in enumerate(shown, 1):
        heading = sheet.cell(1, number, chinese(column.name) if in_chinese else column.name)
        heading.font = heading.font.copy(bold=True)
        widest = len(str(heading.value)) * (2 if in_chinese else 1)
        for line, row in enumerate(rows, 2):
            if column.name in row:
                widest = max(widest, _put(sheet, line, number, row, column))
        letter = heading.column_letter
        sheet.column_dimensions[letter].width = min(_WIDEST, widest + 2)
        if column.kind not in ("number", "whole"):
            sheet.column_dimensions[letter].number_format = "@"
    sheet.freeze_panes = "A2"


def _put(sheet: Any, line: int, number: int, row: Row, column: Column) -> int:
    try:
        value = cell_of(row[column.name], column)
    except ValueError as error:
        raise Rejected(f"{row.get('name', 'a row')}: {column.name} {error}") from None
    cell = sheet.cell(line, number)
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"  # also where it begins like a formula
        cell.number_format = "@"
    return len(str(value))
