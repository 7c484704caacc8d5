"""Workbooks and tables made to unpack into far more than they are: a sentence, within the memory of a small gateway."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import pytest

from carbon.papers.rows import _GROUPED, _NUMBER
from tests.hostile.cost import TRAPPED_S, limited

MIB = 1 << 20
_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/sharedStrings.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
)
_RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_BOOK = (
    f'<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="{_RELATED}">'
    '<sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>'
)
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_ROOT = (
    f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r0" Type="{_RELATED}/officeDocument" '
    'Target="xl/workbook.xml"/></Relationships>'
)
_SHEETS = (
    f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" Type="{_RELATED}/worksheet" '
    'Target="worksheets/sheet1.xml"/></Relationships>'
)
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
LAUGHS = '<!DOCTYPE a [<!ENTITY a0 "ha">' + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9)
) + "]>"  # fmt: skip
READ = """
import sys
from carbon.papers.sheets import read_sheet
from config.errors import ConfigError
try:
    read_sheet("papers", open(sys.argv[1], "rb").read())
except ConfigError as error:
    print(error.problems[0])
"""


def workbook(sheet: str, strings: str = "<sst/>") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        parts = {"[Content_Types].xml": _TYPES, "_rels/.rels": _ROOT, "xl/workbook.xml": _BOOK,
                 "xl/_rels/workbook.xml.rels": _SHEETS, "xl/sharedStrings.xml": strings,
                 "xl/worksheets/sheet1.xml": sheet}  # fmt: skip
        for name, text in parts.items():
            file.writestr(name, text)
    return out.getvalue()


def rows(row: str, size: int) -> str:
    return f"<worksheet {_MAIN}><sheetData>{row * (size // len(row))}</sheetData></worksheet>"


def lying(content: bytes) -> bytes:
    """Return an archive whose directory says that each part is small."""
    large = zipfile.ZipFile(io.BytesIO(content)).getinfo("xl/worksheets/sheet1.xml").file_size.to_bytes(4, "little")
    return content.replace(large, (1_000).to_bytes(4, "little"))


BOMBS = {
    "a gigabyte of blanks": (lambda: workbook(" " * (100 * MIB)), "would unpack to more than 32 MiB"),
    "a directory that lies": (lambda: lying(workbook(rows("<row/>", 60 * MIB))), "cannot be read"),
    "strings without end": (
        lambda: workbook(rows("<row/>", 60), "<sst>" + "<si><t/></si>" * 300_000 + "</sst>"),
        "sheet",
    ),
    "laughs": (lambda: workbook(LAUGHS + rows("<row><c><v>&a8;</v></c></row>", 100)), "cannot be read"),
    "columns without end": (lambda: b"a," * (8 * MIB), "more than 64 columns"),
    "a cell without end": (lambda: b'a\n"' + b"x" * (15 * MIB), "not CSV"),
    "lines without end": (lambda: b"a\n" + b"1\n" * (7 * MIB), "more than 10,000 rows"),
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_table_is_refused_within_the_memory_of_a_small_gateway(tmp_path: Path, name: str) -> None:
    make, says = BOMBS[name]
    path = tmp_path / "papers"
    path.write_bytes(make())
    said = limited(READ, str(path), memory_bytes=900 * MIB)
    assert says in said
    assert len(said) < 1_000


@pytest.mark.parametrize("text", ["1," * 500, "1 " * 500 + "x", "9" * 999 + "x", "1," * 499 + ".", "-" * 1_000])
def test_a_cells_number_is_judged_in_time(text: str) -> None:
    began = time.process_time()
    assert not _NUMBER.fullmatch(text)
    _GROUPED.fullmatch(text)
    assert time.process_time() - began < TRAPPED_S
