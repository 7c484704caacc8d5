"""A message's payload → a document, and what stands at a path of it; raises Rejected in words for a person."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

import orjson

from config.errors import Rejected
from config.protocols.mqtt import EACH

LARGEST: Final = 1 << 20  # a payload of readings is never longer [bytes]
MOST: Final = 10_000  # elements of a list, or lines, that one message may bring
# What devices print that JSON does not allow: +1.5, 007, .5, 1.
_PLAIN_NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_DECIMAL_COMMA: Final = re.compile(r"\s*[+-]?(\d+,?\d*|,\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_SWITCH: Final = {"on": 1.0, "true": 1.0, "1": 1.0, "off": 0.0, "false": 0.0, "0": 0.0}
_UNESCAPED_DOT: Final = re.compile(r"(?<!\\)\.")

Path = tuple[tuple[str, int | None], ...]
Number = Callable[[Any], float]


# ── payload → document ────────────────────────────────────────────────────────────────────────────


def decode(payload: bytes) -> Any:
    """Return the document of a JSON payload, or the number of a plain one. Raises Rejected."""
    if len(payload) > LARGEST:
        _too_long(payload)
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        with_point = payload[:400].decode("ascii", "replace")
        if len(payload) <= 400 and _PLAIN_NUMBER.fullmatch(with_point):
            return _finite(float(with_point), with_point)
        raise Rejected(f"neither JSON nor a number: {error}") from error


def decode_text(payload: bytes) -> str:
    """Return a payload that is one value and nothing else. Raises Rejected."""
    if len(payload) > 400:
        raise Rejected(f"{len(payload)} bytes are no single value")
    return _utf8(payload).strip()


def csv_decoder(separator: str, *, header: bool) -> Callable[[bytes], list[Any]]:
    """Return what takes the lines of CSV (RFC 4180) apart: a list of cells each, or with `header` cells by name.

    It raises Rejected for what is no CSV, and where a line has other columns than the header.
    """

    def lines(payload: bytes) -> list[Any]:
        if len(payload) > LARGEST:
            _too_long(payload)
        try:
            rows = [row for row in csv.reader(io.StringIO(_utf8(payload)), delimiter=separator, strict=True) if row]
        except csv.Error as error:
            raise Rejected(f"not CSV: {error}") from error
        cells = [[cell.strip() for cell in row] for row in rows]
        if not header:
            return cells
        if not cells:
            raise Rejected("empty, where a header is expected")
        names, *rest = cells
        if len(set(names)) < len(names):
            raise Rejected(f"two columns have the same name in the header {separator.join(names)[:80]}")
        if any(len(row) != len(names) for row in rest):
            raise Rejected(f"a line has other columns than the header {separator.join(names)[:80]}")
        return [dict(zip(names, row, strict=True)) for row in rest]

    return lines


def _too_long(payload: bytes) -> NoReturn:
    raise Rejected(f"{len(payload)} bytes are more than the {LARGEST} a payload may have")


def _utf8(payload: bytes) -> str:
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Rejected(f"not text: {error}") from error


# ── document → value ──────────────────────────────────────────────────────────────────────────────


def compile_path(path: str) -> Path:
    """Return a dotted path ready for use: `meter.values.0`; `\\.` is a dot inside a key, empty means the whole."""
    steps = [step.replace("\\.", ".") for step in _UNESCAPED_DOT.split(path)] if path else []
    return tuple((step, int(step) if step.isascii() and step.isdecimal() else None) for step in steps)


def compile_each(path: str) -> tuple[Path, Path]:
    """Return the path to the list and the path in each element: `data[*].kw` is data and kw."""
    before, _, after = path.partition(EACH)
    return compile_path(before.removesuffix(".")), compile_path(after.removeprefix("."))


def compile_column(column: str) -> Path:
    """Return the path of a CSV column, by its name or number, in a line."""
    name = column.replace("\\.", ".")
    return ((name, int(name) if name.isascii() and name.isdecimal() else None),)


def find(document: Any, path: Path) -> Any:
    """Return what stands at `path`: steps are keys of objects and indices of lists. Raises LookupError."""
    at = document
    for key, index in path:
        if isinstance(at, dict):
            at = at[key]
        elif isinstance(at, list) and index is not None:
            at = at[index]
        else:
            raise KeyError(key)
    return at


def elements(document: Any, path: Path) -> list[Any]:
    """Return the list at `path`. Raises Rejected where there is none, or more than one message may bring."""
    try:
        found = find(document, path)
    except LookupError as error:
        raise Rejected("its list is missing in the payload") from error
    if not isinstance(found, list):
        raise Rejected(f"is {_kind(found)}, where {EACH} is of a list")
    if len(found) > MOST:
        raise Rejected(f"{len(found)} elements are more than the {MOST} one message may bring")
    return found


def number_reader(text: str | None) -> Number:
    """Return what turns a value into a number: true is 1, false 0, null NaN; text only in the way that is said.

    It raises Rejected.
    """
    return _number if text is None else _TEXTS[text]


def _number(value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    if value is None:
        return math.nan
    raise Rejected(f"is {_kind(value)}, not a number")


def _plain(value: Any) -> float:
    return _from_text(value, _PLAIN_NUMBER) if isinstance(value, str) else _number(value)


def _comma(value: Any) -> float:
    return _from_text(value, _DECIMAL_COMMA) if isinstance(value, str) else _number(value)


def _from_text(value: str, form: re.Pattern[str]) -> float:
    if not value:
        return math.nan
    if len(value) > 400 or not form.fullmatch(value):
        raise Rejected(f"is the text {value[:40]!r}, not a number")
    return _finite(float(value.replace(",", ".")), value)


def _switch(value: Any) -> float:
    if not isinstance(value, str):
        return _number(value)
    found = _SWITCH.get(value.strip().lower())
    if found is None:
        raise Rejected(f"is the text {value[:40]!r}, not on or off, true or false")
    return found


_TEXTS: Final[dict[str, Number]] = {"number": _plain, "decimal_comma": _comma, "on_off": _switch}


def _finite(number: float, written: str) -> float:
    if not math.isfinite(number):
        raise Rejected(f"{written[:40]!r} is more than a number may be")
    return number


def _kind(value: Any) -> str:
    return {str: "a text", dict: "a JSON object", list: "a JSON list", type(None): "null"}.get(type(value), "a number")
