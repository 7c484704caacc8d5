"""A CSV or XLSX file nobody vouches for → the rows of its table as text, and the place of each cell in it."""

from __future__ import annotations

import csv
import io
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, Final

from config.errors import ConfigError, Problem

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_ROWS: Final = 10_000
_MAX_UNPACKED: Final = 32 * 1024 * 1024  # of all parts of an XLSX together [bytes]; its strings take ten times that
_MAX_PARTS: Final = 1_000
_MAX_COLUMNS: Final = 64
_MAX_CELL: Final = 1_000  # characters
_LAST_LINE: Final = 1_048_576  # of a worksheet
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ENCODINGS: Final = ("utf-8-sig", "gb18030")  # UTF-8 first: text of the other is hardly ever valid in it


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row: its line in the file and what its filled cells say, by name of column."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of one table; `letters` gives each column's letter where it stands in a worksheet."""

    file: str
    rows: tuple[SheetRow, ...] = ()
    encoding: str = ""  # of a CSV file
    worksheet: str = ""  # of an XLSX file
    letters: Mapping[str, str] = field(default_factory=dict)

    def problem(self, line: int, column: str, message: str) -> Problem:
        """Return what is wrong with a cell, or with a whole row where `column` is "", as one printable line."""
        message = _CONTROL.sub(lambda found: repr(found[0])[1:-1], message)
        if not self.worksheet:
            return Problem(self.file, line, column or "row", message)
        place = f"{self.worksheet}!{self.letters.get(column, 'A')}{line}"
        return Problem(self.file, line, place, f"{column}: {message}" if column else message)


def read_sheet(name: str, content: bytes, worksheet: str = "") -> Sheet:
    """Return the table of a file: its first filled row names the columns, empty rows are left out.

    `worksheet` names one of an XLSX, default the first. Raises ConfigError with every cell that cannot be read.
    """
    if len(content) > MAX_BYTES:
        raise _unreadable(name, f"is larger than {MAX_BYTES >> 20} MiB; split it")
    if content.startswith(b"PK\x03\x04"):
        ((title, records),) = worksheets(name, content, worksheet).items()
        return _table(Sheet(name, worksheet=title), records)
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise _unreadable(name, "is an old .xls or a workbook with a password; save it as plain .xlsx")
    if worksheet:
        raise _unreadable(name, "is not an XLSX file, so it has no worksheet to choose")
    return _csv(name, content)


def _unreadable(name: str, why: str, line: int = 1) -> ConfigError:
    return ConfigError([Problem(name, line, "sheet", why)])


# ── CSV ───────────────────────────────────────────────────────────────────────────────────────────


def _csv(name: str, content: bytes) -> Sheet:
    text, encoding = _decoded(name, content)
    head = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    if text.count(delimiter) > MAX_ROWS * _MAX_COLUMNS:
        raise _unreadable(name, f"has more than {_MAX_COLUMNS} columns, or {MAX_ROWS:,} rows; split it")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[tuple[int, Sequence[Any]]] = []
    line = 1
    try:
        for record in reader:
            records.append((line, record))
            line = reader.line_num + 1
            if len(records) > 2 * MAX_ROWS:
                raise _unreadable(name, f"has more than {MAX_ROWS:,} rows; split it", line)
    except csv.Error as error:
        raise _unreadable(name, f"is not CSV: {error}", line) from None
    return _table(Sheet(name, encoding=encoding), records)


def _decoded(name: str, content: bytes) -> tuple[str, str]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise _unreadable(name, "is not text in UTF-8 or GB18030; save it as 'CSV UTF-8'")
    for encoding in _ENCODINGS:
        try:
            return content.decode(encoding), encoding.removesuffix("-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
    raise _unreadable(name, "is neither UTF-8 nor GB18030 text; save it as 'CSV UTF-8'", line)


# ── XLSX ──────────────────────────────────────────────────────────────────────────────────────────


def worksheets(name: str, content: bytes, wanted: str | None = None) -> dict[str, list[tuple[int, Sequence[Any]]]]:
    """Return the filled rows (line, cells) of an XLSX by worksheet: of `wanted` alone, of the first where it is "".

    A formula nobody has computed is an `Uncomputed`. Raises ConfigError for a file that is none, or too large.
    """
    from openpyxl import load_workbook  # here: a gateway that is sent no workbook need not carry it

    _bounded(name, content)
    try:
        values, formulas = (
            load_workbook(io.BytesIO(content), read_only=True, data_only=only) for only in (True, False)
        )
        names = [sheet.title for sheet in values.worksheets]
    except Exception as error:  # the parser raises whatever a broken part makes it stumble over
        raise _unreadable(name, f"cannot be read as an XLSX workbook ({type(error).__name__})") from error
    titles = names if wanted is None else [wanted or next(iter(names), "")]
    found: dict[str, list[tuple[int, Sequence[Any]]]] = {}
    try:
        for title in titles:
            if title not in names:
                raise _unreadable(name, f"has no worksheet '{title}'; it has {', '.join(names[:20]) or 'none'}")
            found[title] = _records(name, title, values, formulas)
    finally:
        values.close()
        formulas.close()
    return found


def _records(name: str, title: str, values: Any, formulas: Any) -> list[tuple[int, Sequence[Any]]]:
    try:
        return list(_cells(name, values[title], formulas[title]))
    except ConfigError:
        raise
    except Exception as error:
        raise _unreadable(name, f"worksheet {title} cannot be read ({type(error).__name__}: {error})") from error


def _bounded(name: str, content: bytes) -> None:
    """Raise ConfigError for an archive that would unpack to more than any table of documents has.

    The sizes are what the archive declares; reading one of its parts never yields more than that.
    """
    try:
        parts = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error) as error:
        raise _unreadable(name, f"is no XLSX workbook: {error}") from None
    if len(parts) > _MAX_PARTS or sum(part.file_size for part in parts) > _MAX_UNPACKED:
        raise _unreadable(name, f"would unpack to more than {_MAX_UNPACKED >> 20} MiB; keep only the table in it")


def _cells(name: str, values: Any, formulas: Any) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield (line, cells) with what was computed last; a formula nobody has computed yet stays a formula."""
    for sheet in (values, formulas):
        sheet.reset_dimensions()  # what a file says of its size need not be true
    both = zip(
        *(sheet.iter_rows(max_col=_MAX_COLUMNS + 1, values_only=True) for sheet in (values, formulas)), strict=True
    )
    found = 0
    for line, (shown, written) in enumerate(both, 1):
        blank = written.count(None) == len(written)
        found += not blank
        if found > MAX_ROWS + 1 or line > _LAST_LINE:
            raise _unreadable(name, f"has more than {MAX_ROWS:,} rows; split it", line)
        if not blank:
            yield (
                line,
                [Uncomputed() if s is None and w is not None else s for s, w in zip(shown, written, strict=True)],
            )


class Uncomputed:
    """Stands for a formula whose file holds no value of it."""


# ── both ──────────────────────────────────────────────────────────────────────────────────────────


def _table(sheet: Sheet, records: Iterable[tuple[int, Sequence[Any]]]) -> Sheet:
    filled = [(line, cells) for line, cells in records if any(cell not in (None, "") for cell in cells)]
    if not filled:
        raise _unreadable(sheet.file, "is empty; its first row names the columns")
    names, letters = _columns(sheet, *filled[0])
    if len(filled) - 1 > MAX_ROWS:
        raise _unreadable(sheet.file, f"has more than {MAX_ROWS:,} rows; split it", filled[MAX_ROWS][0])
    whole = Sheet(sheet.file, (), sheet.encoding, sheet.worksheet, letters)
    problems: list[Problem] = []
    rows = tuple(SheetRow(line, _named(whole, line, names, cells, problems)) for line, cells in filled[1:])
    if problems:
        raise ConfigError(problems)
    return Sheet(sheet.file, rows, sheet.encoding, sheet.worksheet, letters)


def _columns(sheet: Sheet, line: int, head: Sequence[Any]) -> tuple[list[str], dict[str, str]]:
    names = [cell.strip().lower().replace(" ", "_") if isinstance(cell, str) else "" for cell in head]
    while names and not names[-1]:
        names.pop()
    if len(names) > _MAX_COLUMNS:
        raise _unreadable(sheet.file, f"has more than {_MAX_COLUMNS} columns", line)
    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if doubled:
        raise _unreadable(sheet.file, f"names column '{doubled[0][:60]}' twice", line)
    return names, {name: _letter(number) for number, name in enumerate(names, 1) if name}


def _letter(number: int) -> str:
    """Return the letters of a column counted from 1: A … Z, AA …; no table has more than a hundred."""
    before, last = divmod(number - 1, 26)
    return (chr(64 + before) if before else "") + chr(65 + last)


def _named(
    sheet: Sheet, line: int, names: Sequence[str], cells: Sequence[Any], problems: list[Problem]
) -> dict[str, str]:
    said = {}
    for index, cell in enumerate(cells):
        column = names[index] if index < len(names) else ""
        try:
            text = _text(cell)
            if text and not column:
                raise ValueError(f"cell {index + 1} ('{text[:60]}') stands under no name of a column")
        except ValueError as error:
            problems.append(sheet.problem(line, column, str(error)))
            continue
        if text:
            said[column] = text
    return said


def _text(cell: Any) -> str:
    """Return a cell as it would be typed; raises ValueError for what has no meaning in a table of documents."""
    if isinstance(cell, Uncomputed):
        raise ValueError("is a formula without a value; open the file in a spreadsheet and save it, or write the value")
    if isinstance(cell, bool | time):
        raise ValueError(f"'{cell}' is neither text, number nor date")
    if isinstance(cell, datetime):
        if cell.time() != time():
            raise ValueError(f"'{cell}' is a time of day; write a date")
        cell = cell.date()
    if isinstance(cell, date):
        return cell.isoformat()
    text = "" if cell is None else str(cell).strip()
    if len(text) > _MAX_CELL:
        raise ValueError(f"has {len(text):,} characters; {_MAX_CELL:,} are the most")
    if text.startswith("#") and text.rstrip("!?").upper() in (
        "#REF",
        "#DIV/0",
        "#VALUE",
        "#NAME",
        "#N/A",
        "#NUM",
        "#NULL",
    ):
        raise ValueError(f"holds the spreadsheet's error {text}")
    return text
