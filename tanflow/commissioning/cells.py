"""A cell as a spreadsheet hands it over ↔ a value of a configuration; what a spreadsheet does to values is told."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Any, Final

from carbon.papers.sheets import Uncomputed
from config.yaml_lines import Unreadable, read
from tanflow.commissioning.columns import Column
from tanflow.commissioning.pasted import scalar

_AS_TEXT: Final = "format the column as text and write it again"
_EXACT: Final = 2**53  # a spreadsheet keeps no larger whole number as it is
_LONGEST: Final = 32_767  # characters a cell of a spreadsheet can hold
# What XML cannot hold, and what its readers change.
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_x[0-9A-Fa-f]{4}_")
_YES: Final = {"true": True, "yes": True, "y": True, "1": True, "是": True, "false": False, "no": False, "n": False,
               "0": False, "否": False}  # fmt: skip
_WHOLE: Final = re.compile(r"[-+]?[0-9]+")
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "modbus.table": {
        "1": "coil", "2": "discrete", "3": "holding", "4": "input", "01": "coil", "02": "discrete", "03": "holding",
        "04": "input", "线圈": "coil", "离散输入": "discrete", "保持寄存器": "holding", "输入寄存器": "input",
    },
    "modbus.type": {
        "short": "int16", "word": "uint16", "dword": "uint32", "long": "int32", "float": "float32", "real": "float32",
        "double": "float64", "int": "int16", "uint": "uint16", "bit": "bool", "浮点": "float32", "单精度": "float32",
        "双精度": "float64", "浮点数": "float32", "bcd": "bcd16",
    },
    "protocol": {"modbustcp": "modbus", "modbus-tcp": "modbus", "modbusrtu": "modbus", "modbus-rtu": "modbus"},
}  # fmt: skip


def value_of(cell: Any, column: Column) -> Any:
    """Return what a cell says in a column, None where it is empty; raises ValueError with a sentence."""
    if isinstance(cell, str):
        cell = cell.strip()
    if cell is None or cell == "":
        return None
    if isinstance(cell, Uncomputed):
        raise ValueError("is a formula without a value; open the file in a spreadsheet and save it, or write the value")
    if isinstance(cell, date | time):
        raise ValueError(f"is the date or time {cell}: the spreadsheet has changed what was typed; {_AS_TEXT}")
    if isinstance(cell, str) and cell.startswith("#") and cell.rstrip("!?").upper() in _ERRORS:
        raise ValueError(f"holds the spreadsheet's error {cell}")
    return _READERS[column.kind](cell, column)


_ERRORS: Final = frozenset(("#REF", "#DIV/0", "#VALUE", "#NAME", "#N/A", "#NUM", "#NULL"))


def cell_of(value: Any, column: Column) -> Any:
    """Return the cell that says a value; raises ValueError for text that no spreadsheet can hold."""
    if column.kind == "value":
        return _text_cell(scalar(value))
    if isinstance(value, bool):
        return value
    if isinstance(value, float):  # a spreadsheet keeps fifteen digits
        return value if float(f"{value:.15g}") == value else repr(value)
    if isinstance(value, int):
        return value if abs(value) < _EXACT else str(value)
    text = str(value)
    return _text_cell(json.dumps(text, ensure_ascii=False) if not text or text.startswith('"') else text)


def _text_cell(text: str) -> str:
    if _UNWRITABLE.search(text) or len(text) > _LONGEST:
        raise ValueError("holds characters, or more of them, than a cell of a spreadsheet can")
    return text


def plain(text: str) -> str:
    """Return a text as it is meant where only ASCII is: full-width digits and letters made narrow, blanks taken off."""
    return unicodedata.normalize("NFKC", text).strip()


def _text(cell: Any, column: Column) -> str:
    if isinstance(cell, str):
        return _unquoted(cell)
    if isinstance(cell, int | float) and not isinstance(cell, bool) and column.name == "address" and cell == int(cell):
        return str(int(cell))  # a unit's number, or a meter's, whose leading zeros are put back
    said = "TRUE" if cell is True else "FALSE" if cell is False else repr(cell)
    raise ValueError(f"is {said}, where text belongs: leading zeros and 1E5 are lost in a number; {_AS_TEXT}")


def _unquoted(text: str) -> str:
    """Return a text without the quotes that keep it: "" is a text that is there, and empty."""
    if not (text.startswith('"') and text.endswith('"')):
        return text
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text


def _number(cell: Any, column: Column) -> float | int:
    if isinstance(cell, bool):
        raise ValueError("is TRUE or FALSE, not a number")
    if isinstance(cell, str):
        text = plain(cell)
        try:
            return int(text) if _WHOLE.fullmatch(text) else float(text)
        except ValueError:
            raise ValueError(f"'{cell[:40]}' is no number; write e.g. 0.1") from None
    return cell  # type: ignore[no-any-return]


def _whole(cell: Any, column: Column) -> int:
    if isinstance(cell, str) and re.fullmatch(r"0[xX][0-9a-fA-F]+", plain(cell)):
        return int(plain(cell), 16)
    number = _number(cell, column)
    if not math.isfinite(number) or number != int(number):
        raise ValueError(f"{number} is no whole number")
    return int(number)


def _yes_no(cell: Any, column: Column) -> bool:
    text = plain(str(cell)).lower()
    if text not in _YES:
        raise ValueError(f"'{text[:40]}' is neither yes nor no")
    return _YES[text]


def _word(cell: Any, column: Column) -> str:
    if isinstance(cell, float) and cell == int(cell):
        cell = int(cell)
    text = plain(str(cell))
    return _WORDS.get(column.name, {}).get(text.lower().replace(" ", ""), text)


def _value(cell: Any, column: Column) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        data, _, issues = read(cell)
    except Unreadable as error:
        raise ValueError(f"'{cell[:60]}' cannot be read: {error}") from None
    if issues:
        raise ValueError(issues[0][2])
    return data


_READERS: Final[Mapping[str, Callable[[Any, Column], Any]]] = {
    "text": _text, "number": _number, "whole": _whole, "yes_no": _yes_no, "word": _word, "value": _value,
}  # fmt: skip
