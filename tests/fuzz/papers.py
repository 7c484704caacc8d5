"""An uploaded table of documents, CSV or XLSX: rows of short text, or an error with the place of each bad cell."""

from __future__ import annotations

from typing import Final

from carbon.papers.sheets import MAX_ROWS, read_sheet
from config.errors import ConfigError

LARGEST: Final = 8_000


def target(data: bytes) -> None:
    try:
        sheet = read_sheet("papers", data)
    except ConfigError as error:
        assert error.problems
        assert all(len(str(problem)) < 2_000 for problem in error.problems)
        return
    assert len(sheet.rows) <= MAX_ROWS
    assert all(0 < len(text) <= 1_000 for row in sheet.rows for text in row.cells.values())
