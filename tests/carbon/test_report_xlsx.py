"""The workbook: sums recomputed from its cells, numbers that are numbers, and text that stays text."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from carbon.report import xlsx
from carbon.report.model import Period, Report, report
from carbon.report.words import Words
from tests.carbon import report_cases as cases

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    folder = tmp_path_factory.mktemp("plant")
    with cases.plant(folder) as ledger:
        made = report(ledger, cases.PLANT_SITE, Period(2025, None, SHANGHAI), now_ns=cases.NOW_NS)
    xlsx.write(made, Words("en", SHANGHAI), folder / "report.xlsx")
    return made, folder / "report.xlsx"


def computed(sheet: Worksheet, cell: object) -> float:
    """Return a cell's number as a spreadsheet would compute it: SUMIF over depths, and sums along a row."""
    value = sheet[cell].value if isinstance(cell, str) else cell
    if not (isinstance(value, str) and value.startswith("=")):
        return float(value or 0)
    if found := re.fullmatch(r"=SUMIF\(\$A(\d+):\$A(\d+),(\d+),([A-Z]+)\d+:[A-Z]+\d+\)", value):
        first, last, depth, letter = int(found[1]), int(found[2]), int(found[3]), found[4]
        rows = [n for n in range(first, last + 1) if sheet[f"A{n}"].value == depth]
        return sum(computed(sheet, f"{letter}{n}") for n in rows)
    assert re.fullmatch(r"=([+-][A-Z]+\d+)+", value), value
    return sum((-1 if sign == "-" else 1) * computed(sheet, at) for sign, at in re.findall(r"([+-])([A-Z]+\d+)", value))


def test_sums_recomputed_from_the_cells_are_the_ledgers(plant: tuple[Report, Path]) -> None:
    made, path = plant
    book = openpyxl.load_workbook(path)
    words = Words("en", SHANGHAI)
    checked = 0
    for table in made.tables:
        sheet = book[xlsx.sheet_title(words(f"table.{table.name}.title"))]
        for place, column in enumerate(table.columns):
            letter = openpyxl.utils.get_column_letter(place + 2)
            for number, row in enumerate(table.rows, xlsx.HEAD_ROW + 1):
                if isinstance(exact := row.cells[place], int) and column.kind in ("mass", "energy", "heat", "coal"):
                    one = {"mass": 1e9, "energy": 1e6, "heat": 1e9, "coal": 1e9}[column.kind]
                    assert computed(sheet, f"{letter}{number}") == pytest.approx(exact / one, abs=1e-7)
            total = xlsx.HEAD_ROW + len(table.rows) + 1
            if table.total and column.adds and place:
                assert str(sheet[f"{letter}{total}"].value).startswith("=SUMIF")
                beneath = sheet[f"{letter}{total + 1}"].value
                assert computed(sheet, f"{letter}{total}") == pytest.approx(beneath, abs=1e-6)
                checked += 1
    assert checked > 40


def test_nothing_typed_is_a_formula(plant: tuple[Report, Path]) -> None:
    book = openpyxl.load_workbook(plant[1])
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    formulas = [str(cell.value) for cell in cells if cell.data_type == "f"]
    assert formulas
    assert all(re.fullmatch(r"=SUMIF\([$A-Z0-9:,]+\)|=([+-][A-Z]+\d+)+", f) for f in formulas)
    texts = {str(cell.value): cell for cell in cells if cell.data_type == "s"}
    for typed in ('=HYPERLINK("x") 李雷 🏭', "=cmd|'/c calc'!A1", "+86", f"@SUM(A1) {cases.EVIL}"):
        assert texts[typed].quotePrefix


def test_every_sheet_has_frozen_heads_and_numbers(plant: tuple[Report, Path]) -> None:
    made, path = plant
    book = openpyxl.load_workbook(path)
    assert len(book.sheetnames) == len(made.tables) + 1
    assert all(sheet.freeze_panes for sheet in book.worksheets[1:])
    lines = book["Monthly lines"]
    heads = [cell.value for cell in lines[xlsx.HEAD_ROW]]
    place = heads.index("CO₂e [t]")
    first = lines[xlsx.HEAD_ROW + 1][place]
    assert isinstance(first.value, float)
    assert first.number_format == "#,##0.000"
    assert lines.max_row == xlsx.HEAD_ROW + len(made.table("lines").rows)


def test_characters_no_sheet_can_hold_are_replaced(tmp_path: Path) -> None:
    with cases.plant(tmp_path) as ledger:
        organisation = cases.PLANT_SITE.accounting.organisation.model_copy(
            update={"name": "a\x00b\x1b\ud800" + "长" * 40_000}
        )
        account = cases.PLANT_SITE.accounting.model_copy(update={"organisation": organisation})
        site = cases.PLANT_SITE.model_copy(update={"accounting": account})
        made = report(ledger, site, Period(2025, 3, SHANGHAI), now_ns=cases.NOW_NS)
    xlsx.write(made, Words("zh-CN", SHANGHAI), tmp_path / "r.xlsx")
    cell = openpyxl.load_workbook(tmp_path / "r.xlsx").worksheets[0]["B2"].value
    assert str(cell).startswith("a\ufffdb\ufffd\ufffd长")
