"""A workbook nobody vouches for → rows of sheets with the place of every cell; all faults at once, each by its cell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from carbon.papers.sheets import MAX_BYTES, read_sheet, worksheets
from config.errors import ConfigError, Problem
from config.explain import nearest, visible
from tanflow.commissioning.cells import value_of
from tanflow.commissioning.columns import Column, aliases, heading
from tanflow.commissioning.sheet_rows import CHINESE_SHEETS, SHEETS, Row

MAX_PROBLEMS: Final = 200
_MAX_COLUMNS: Final = 64
# What others call a column, as headings are compared.
_MEANT: Final = {
    **dict.fromkeys(("point", "tag", "pointname", "tagname", "id"), "name"),
    **dict.fromkeys(("register", "reg"), "modbus.address"),
    **dict.fromkeys(("datatype", "format"), "modbus.type"),
    **dict.fromkeys(("node", "nodeid"), "opcua.node"),
    **dict.fromkeys(("topic",), "mqtt.topic"),
    **dict.fromkeys(("factor", "multiplier"), "scale"),
}
_ORDERS: Final = {
    "abcd": ("big", "big"), "badc": ("big", "little"), "cdab": ("little", "big"), "dcba": ("little", "little"),
    "ab": ("big", "big"), "ba": ("big", "little"),
}  # fmt: skip


@dataclass(slots=True)
class Placed:
    """A row, and where it stands."""

    sheet: str  # as the file names it
    line: int
    row: Row
    letters: Mapping[str, str]  # column → its letter

    def problem(self, file: str, column: str, message: str) -> Problem:
        """Return what is wrong with a cell; with the whole row where the sheet has no such column."""
        known = column in self.letters
        place = f"{self.sheet}!{self.letters.get(column, 'A')}{self.line}"
        said = f"{column}: {message}" if column and not known else message
        return Problem(file, self.line, place, visible(said))


@dataclass(slots=True)
class Book:
    """The rows of a workbook by what they are, and what is wrong with its cells."""

    file: str
    rows: dict[str, list[Placed]] = field(default_factory=lambda: {name: [] for name in SHEETS})
    problems: list[Problem] = field(default_factory=list)
    given: set[str] = field(default_factory=set)  # sheets that are there


def read_book(file: str, content: bytes) -> Book:
    """Return the rows of a workbook (of a CSV file: its points); raises ConfigError for what cannot be read at all."""
    book = Book(file)
    for title, records in _records(file, content).items():
        # A single sheet of whatever name that has the columns of points is one of points.
        name = _sheet(title) or ("points" if not book.given and _looks_like_points(records) else "")
        if name:
            _take(book, title, name, records)
    if not book.given:
        names = ", ".join(SHEETS)
        raise ConfigError([Problem(file, 1, "sheet", f"has none of the worksheets {names}; points is the least")])
    return book


def _looks_like_points(records: Sequence[tuple[int, Sequence[Any]]]) -> bool:
    known = aliases(SHEETS["points"])
    first = records[0][1] if records else ()
    return sum(heading(cell) in known for cell in first if isinstance(cell, str)) >= 2


def _sheet(title: str) -> str:
    plain = heading(title)
    for name, others in CHINESE_SHEETS.items():
        if plain in (name, *others):
            return name
    return ""


def _records(file: str, content: bytes) -> dict[str, list[tuple[int, Sequence[Any]]]]:
    if len(content) <= MAX_BYTES and content.startswith(b"PK\x03\x04"):
        return worksheets(file, content)
    sheet = read_sheet(file, content)  # CSV, or a sentence about what else it is
    names = list(sheet.letters)
    return {"points": [(1, names), *((row.line, [row.cells.get(n) for n in names]) for row in sheet.rows)]}


def _take(book: Book, title: str, name: str, records: Sequence[tuple[int, Sequence[Any]]]) -> None:
    book.given.add(name)
    if not records:
        return
    line, head = records[0]
    found = _heads(book, title, name, line, head)
    letters = {column.name: _letter(number) for number, column in found.items()}
    for at, cells in records[1:]:
        placed = Placed(title, at, {}, letters)
        for number, cell in enumerate(cells):
            if number in found:
                _cell(book, placed, found[number], cell)
            elif cell not in (None, ""):
                book.problems.append(
                    Problem(book.file, at, f"{title}!{_letter(number)}{at}", "stands under no name of a column")
                )
        if placed.row:
            book.rows[name].append(placed)


def _cell(book: Book, placed: Placed, column: Column, cell: Any) -> None:
    try:
        value = value_of(cell, column)
        if column.name in ("modbus.byte_order", "modbus.word_order") and str(value).lower() in _ORDERS:
            words, bytes_ = _ORDERS[str(value).lower()]
            placed.row |= {"modbus.word_order": words, "modbus.byte_order": bytes_}
            return
    except ValueError as error:
        book.problems.append(placed.problem(book.file, column.name, str(error)))
        return
    if value is not None:
        placed.row[column.name] = value


def _heads(book: Book, title: str, name: str, line: int, head: Sequence[Any]) -> dict[int, Column]:
    known, columns = aliases(SHEETS[name]), {column.name: column for column in SHEETS[name]}
    found: dict[int, Column] = {}
    for number, cell in enumerate(head):
        if cell in (None, ""):
            continue
        place = f"{title}!{_letter(number)}{line}"
        column = known.get(heading(str(cell)))
        if number >= _MAX_COLUMNS:
            book.problems.append(Problem(book.file, line, place, f"is beyond {_MAX_COLUMNS} columns"))
        elif column is None:
            message = f"'{visible(str(cell)[:60])}' is no column of {name}{_known(str(cell), columns)}"
            book.problems.append(Problem(book.file, line, place, message))
        elif column in {c.name for c in found.values()}:
            book.problems.append(Problem(book.file, line, place, f"is a second column {column}"))
        else:
            found[number] = columns[column]
    return found


def _known(word: str, columns: Collection[str]) -> str:
    """Return which column was likely meant, else which there are; those of blocks, with a dot, by example."""
    meant = _MEANT.get(heading(word), "")
    if meant in columns:
        return f"; did you mean '{meant}'?"
    plain = [name for name in columns if "." not in name]
    dotted = next((f", and of blocks e.g. {name}" for name in columns if "." in name), "")
    return nearest(word, columns) or f"; known here: {', '.join(plain)}{dotted}"


def _letter(index: int) -> str:
    """Return the letters of a column counted from 0."""
    before, last = divmod(index, 26)
    return (chr(64 + before) if before else "") + chr(65 + last)
