"""Sheets come from anywhere: what can be read is read as it was meant, what cannot is told by its cell."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime

import pytest
from openpyxl import load_workbook
from openpyxl.styles import Font

from carbon.papers.sheets import MAX_BYTES, MAX_ROWS, Sheet, read_sheet
from config.errors import ConfigError
from tests.carbon.papers import xlsx

TABLE = "kind,asset,note\ndelivery,炉,二氧化碳\n"


def cells(sheet: Sheet) -> list[dict[str, str]]:
    return [dict(row.cells) for row in sheet.rows]


def refused(name: str, content: bytes, worksheet: str = "") -> str:
    with pytest.raises(ConfigError) as error:
        read_sheet(name, content, worksheet)
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TABLE.encode(), "utf-8"),
        (b"\xef\xbb\xbf" + TABLE.encode(), "utf-8"),
        (TABLE.encode("gb18030"), "gb18030"),
        (TABLE.replace("\n", "\r\n").replace(",", ";").encode(), "utf-8"),
        (TABLE.replace(",", "\t").encode("gb18030"), "gb18030"),
        (("\n\n" + TABLE + "\n,,\n").encode(), "utf-8"),
    ],
)
def test_a_csv_is_read_whatever_saved_it(content: bytes, encoding: str) -> None:
    sheet = read_sheet("a.csv", content)
    assert (cells(sheet), sheet.encoding) == ([{"kind": "delivery", "asset": "炉", "note": "二氧化碳"}], encoding)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("kind\n炉".encode("utf-16"), "a.csv:1: sheet: is not text in UTF-8 or GB18030; save it as 'CSV UTF-8'"),
        (b"kind,a\n1,\xff\xff\n", "a.csv:2: sheet: is neither UTF-8 nor GB18030"),
        (b"", "is empty"),
        (b"\n,,\n", "is empty"),
        (b"kind,asset,kind\nx,y,z\n", "names column 'kind' twice"),
        (b"kind,asset\nx,y,stray\n", "a.csv:2: row: cell 3 ('stray') stands under no name of a column"),
        (b'kind,asset\nx,"y\n', "is not CSV"),
        (b"kind\n" + b"x" * 1_001, "has 1,001 characters"),
        (b"kind\n" + b"x\n" * (MAX_ROWS + 1), "has more than 10,000 rows"),
        (",".join(f"c{i}" for i in range(65)).encode() + b"\n1\n", "has more than 64 columns"),
        (b"x" * (MAX_BYTES + 1), "is larger than 16 MiB"),
        (b"\xd0\xcf\x11\xe0 old", "is an old .xls or a workbook with a password"),
        (b"PK\x03\x04 cut short", "is no XLSX workbook"),
        (b"kind\n\x1b[31m\x00", "is not text"),
    ],
)
def test_what_is_no_table_is_told(content: bytes, sentence: str) -> None:
    assert sentence in refused("a.csv", content)


def test_a_line_is_that_of_the_file_where_cells_hold_line_breaks() -> None:
    sheet = read_sheet("a.csv", b'kind,note\nx,"one\ntwo"\ny,b\n')
    assert [row.line for row in sheet.rows] == [2, 4]


def test_a_worksheet_is_read_as_it_is_shown() -> None:
    rows = [
        ["Kind", "From", "Quantity", "Document number"],
        [],
        ["delivery", datetime(2025, 3, 31), 1200.5, 17],
        ["delivery", "2025-04-30", "1250", None],
    ]
    sheet = read_sheet("a.xlsx", xlsx(rows, "Öl 2025"))
    assert cells(sheet) == [
        {"kind": "delivery", "from": "2025-03-31", "quantity": "1200.5", "document_number": "17"},
        {"kind": "delivery", "from": "2025-04-30", "quantity": "1250"},
    ]
    assert str(sheet.problem(4, "quantity", "is odd")) == "a.xlsx:4: Öl 2025!C4: quantity: is odd"


def with_formulas(*, cached: bool) -> bytes:
    """A workbook whose C2 is =1+2, with or without the 3 a spreadsheet stores beside it."""
    content = xlsx([["kind", "asset", "quantity"], ["delivery", "x", "=1+2"]])
    if not cached:
        return content
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for part in old.namelist():
            data = old.read(part)
            if part.endswith("sheet1.xml"):
                assert b"<f>1+2</f><v></v>" in data or b"<f>1+2</f><v />" in data or b"<f>1+2</f><v/>" in data
                for empty in (b"<v></v>", b"<v />", b"<v/>"):
                    data = data.replace(b"<f>1+2</f>" + empty, b"<f>1+2</f><v>3</v>")
            new.writestr(part, data)
    return changed.getvalue()


def test_a_formula_counts_by_its_stored_value_only() -> None:
    assert cells(read_sheet("a.xlsx", with_formulas(cached=True)))[0]["quantity"] == "3"
    said = refused("a.xlsx", with_formulas(cached=False))
    assert said.startswith("a.xlsx:2: Sheet1!C2: quantity: is a formula without a value")


def test_errors_times_and_truths_are_no_values() -> None:
    rows = [["a", "b", "c"], ["#DIV/0!", datetime(2025, 1, 1, 12, 30), True]]
    said = refused("a.xlsx", xlsx(rows)).splitlines()
    assert [line.split(": ")[1] for line in said] == ["Sheet1!A2", "Sheet1!B2", "Sheet1!C2"]


def test_a_worksheet_is_chosen_by_name() -> None:
    book = load_workbook(io.BytesIO(xlsx([["kind"], ["first"]])))
    book.create_sheet("2025").append(["kind"])
    book["2025"].append(["second"])
    book["2025"]["A2"].font = Font(bold=True)
    file = io.BytesIO()
    book.save(file)
    assert cells(read_sheet("a.xlsx", file.getvalue(), "2025")) == [{"kind": "second"}]
    assert "has no worksheet '2024'; it has Sheet1, 2025" in refused("a.xlsx", file.getvalue(), "2024")
    assert "so it has no worksheet" in refused("a.csv", b"kind\nx\n", "2025")


def packed(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


def test_a_bomb_is_not_unpacked() -> None:
    bomb = packed({"xl/worksheets/sheet1.xml": b"0" * (200 << 20)})
    assert len(bomb) < 1 << 20
    assert "would unpack to more than 32 MiB" in refused("a.xlsx", bomb)
    assert "would unpack" in refused("a.xlsx", packed({f"part{i}": b"" for i in range(1_001)}))


SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{}</worksheet>'
ROW = '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t>{1}</t></is></c></row>'


def crafted(rows: str) -> bytes:
    content = xlsx([["kind"], ["x"]])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.xml"] = SHEET.format(rows).encode()
    return packed(parts)


def test_a_worksheet_cannot_lie_about_its_size() -> None:
    data = ROW.format(1, "kind") + ROW.format(3, "x")
    lying = crafted(f'<dimension ref="A1:XFD1048576"/><sheetData>{data}</sheetData>')
    assert [(r.line, r.cells) for r in read_sheet("a.xlsx", lying).rows] == [(3, {"kind": "x"})]
    far = crafted(f"<sheetData>{ROW.format(1, 'kind')}{ROW.format(99_999_999, 'x')}</sheetData>")
    assert "has more than 10,000 rows" in refused("a.xlsx", far)


@pytest.mark.parametrize("rows", ["<sheetData><row", '<sheetData><row r="x"><c r="??"/></row></sheetData>'])
def test_a_broken_worksheet_is_a_sentence(rows: str) -> None:
    assert "cannot be read" in refused("a.xlsx", crafted(rows))


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(12)
    )
    content = crafted("")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    data = SHEET.format(f"<sheetData>{ROW.format(1, '&m;')}</sheetData>")
    parts["xl/worksheets/sheet1.xml"] = f"{bomb}]>{data}".encode()  # 10¹³ characters
    assert "cannot be read" in refused("a.xlsx", packed(parts))
