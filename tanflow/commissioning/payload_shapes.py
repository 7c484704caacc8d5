"""A payload of a stranger → what it is (JSON, CSV, a number …), the values in it by path, and its likely time."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from collectors.mqtt_payload import number_reader
from collectors.mqtt_time import time_parser
from config.errors import Rejected
from config.protocols.mqtt import EACH

Kind = Literal["JSON", "CSV", "number", "text", "binary", "empty"]
_LEAVES: Final = 200  # values of one payload that are told
_DEEPEST: Final = 10
_SIGNS: Final = ("\\", EACH, "{point}")  # that mean something in a path
_SHOWN: Final = 60  # characters
_YEAR_NS: Final = 365 * 86_400 * 10**9
_NEAR_NS: Final = 86_400 * 10**9
_TIME_NAME: Final = re.compile(r"(^|[^a-z])(t|ts|tm|time|timestamp|date|datetime|utc|when|at)([^a-z]|$)", re.IGNORECASE)
_ISO: Final = re.compile(r"\d{4}-?\d\d-?\d\d[T ]\d\d:?\d\d")
_SEPARATORS: Final = (";", "\t", "|", ",")
_COMMA: Final = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value: the path a configuration names it by, what it is, and an example."""

    path: str
    kind: str
    example: str
    value: Any

    @property
    def is_number(self) -> bool:
        return self.kind in ("number", "true/false", "number as text", "decimal comma", "on/off")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a payload is made of; `time` is the path that is likely its time, `form` how that is written."""

    kind: Kind
    leaves: tuple[Leaf, ...] = ()
    more: bool = False
    time: str = ""
    form: str = ""
    offset: str = ""  # what is odd about the time, for a person
    separator: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What payloads of the same form have in common."""
        return self.kind, tuple((leaf.path, leaf.kind) for leaf in self.leaves), self.time, self.form


def shape(payload: bytes, now_ns: int) -> Shape:
    """Return what a payload is; whatever the bytes are, the work is bounded by their number."""
    if not payload:
        return Shape("empty")
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return _plain(payload, now_ns)
    if isinstance(document, (int, float)):
        return Shape("number", (_leaf("", document),))
    return _timed("JSON", list(_walk(document, "", 0)), now_ns)


def _plain(payload: bytes, now_ns: int) -> Shape:
    try:
        text = payload.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return Shape("binary", (Leaf("", "bytes", payload[:16].hex(" "), None),))
    if not text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return Shape("binary", (Leaf("", "bytes", payload[:16].hex(" "), None),))
    alone = _leaf("", text)
    if alone.is_number:
        return Shape("number", (alone,))
    for separator in _SEPARATORS:
        if separator in text and (leaves := _columns(text, separator)):
            found = _timed("CSV", leaves, now_ns)
            return Shape("CSV", found.leaves, found.more, found.time, found.form, found.offset, separator)
    return Shape("text", (alone,))


def _columns(text: str, separator: str) -> list[Leaf]:
    """Return the columns of CSV, by their names where the first line is a header; none where it is no CSV."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator, strict=True) if row][:100]
    except csv.Error:
        return []
    if len({len(row) for row in rows}) != 1 or len(rows[0]) < 2:
        return []
    first = [_leaf("", cell) for cell in rows[0]]
    header = len(rows) > 1 and not any(leaf.is_number for leaf in first) and len(set(rows[0])) == len(rows[0])
    names = [name.strip() for name in rows[0]] if header else [str(n) for n in range(len(rows[0]))]
    leaves = [_leaf(name, cell.strip()) for name, cell in zip(names, rows[-1], strict=True)]
    return leaves if any(leaf.is_number for leaf in leaves) and all(names) else []


def _walk(node: Any, path: str, depth: int) -> Iterator[Leaf]:
    """Yield the values of a JSON document; of a list of objects that are alike those of the last."""
    if isinstance(node, dict) and depth < _DEEPEST:
        for key, part in node.items():
            escaped = key.replace(".", "\\.")
            inner = f"{path}.{escaped}" if path else escaped
            if not key or any(sign in key for sign in _SIGNS):
                yield Leaf(inner, "under a name no path can have", "…", None)
            else:
                yield from _walk(part, inner, depth + 1)
    elif isinstance(node, list) and depth < _DEEPEST:
        samples = [part for part in node if isinstance(part, dict)]
        if samples and len(samples) == len(node) and "[*]" not in path and _are_alike(samples):
            yield from _walk(samples[-1], f"{path}[*]", depth + 1)
        else:
            for index, part in enumerate(node[: _LEAVES + 1]):
                yield from _walk(part, f"{path}.{index}" if path else str(index), depth + 1)
    else:
        yield _leaf(path, node)


def _are_alike(samples: list[dict[str, Any]]) -> bool:
    """Return whether objects in a list look like samples of the same: they have the same keys, a time among them."""
    keys = set(samples[0])
    return all(set(one) == keys for one in samples) and any(_TIME_NAME.search(key) for key in keys)


def _leaf(path: str, value: Any) -> Leaf:
    return Leaf(path, _kind(value), _example(value), value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, (int, float)):
        return "number"
    if value is None:
        return "null"
    if not isinstance(value, str):
        return "empty list" if isinstance(value, list) else "too deep"
    if value.lower() in ("on", "off", "true", "false"):
        return "on/off"
    if _COMMA.fullmatch(value):
        return "decimal comma"
    try:
        return "number as text" if value.strip() and number_reader("number")(value) is not None else "text"
    except Rejected:
        return "text"


def _example(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


# ── time ──────────────────────────────────────────────────────────────────────────────────────────


def _timed(kind: Kind, leaves: list[Leaf], now_ns: int) -> Shape:
    kept = tuple(leaves[:_LEAVES])
    candidates = [found for leaf in kept if (found := _time(leaf, now_ns)) is not None]
    more = len(leaves) > _LEAVES
    if not candidates:
        return Shape(kind, kept, more)
    _, path, form, offset = min(candidates)
    return Shape(kind, kept, more, path, form, offset)


def _time(leaf: Leaf, now_ns: int) -> tuple[int, str, str, str] | None:
    """Return (how unlikely, path, format, what is odd about it) of a value that may be a time."""
    named = bool(_TIME_NAME.search(leaf.path.rpartition(".")[2]))
    for form in ("iso", "s", "ms", "us", "ns"):
        if form == "iso" and not (isinstance(leaf.value, str) and _ISO.match(leaf.value)):
            continue
        if isinstance(leaf.value, (bool, type(None), list, dict)):
            continue
        try:
            away = time_parser(form)(leaf.value) - now_ns
        except Rejected:
            continue
        if form == "iso" or abs(away) < _NEAR_NS or (named and abs(away) < _YEAR_NS):
            return (0 if named else 1), leaf.path, form, _odd(leaf.value, form, away)
    return None


def _odd(value: Any, form: str, away_ns: int) -> str:
    """Return a hint where a time without an offset is about whole quarters of an hour away from UTC."""
    quarters, rest = divmod(away_ns + 450 * 10**9, 900 * 10**9)
    local = form == "iso" and not re.search(r"(Z|[+-]\d\d:?\d\d)$", str(value))
    if local and quarters and abs(quarters) <= 56 and abs(rest - 450 * 10**9) < 300 * 10**9:
        return f"{quarters / 4:+g} h from UTC: local time? then say time_zone:"
    return ""


def commonest(shapes: list[Shape]) -> Shape | None:
    """Return a shape with the time and form most have, for a connection to state once."""
    if not shapes:
        return None
    (most, _), *_ = Counter((s.kind, s.time, s.form, s.separator) for s in shapes).most_common(1)
    return next(s for s in shapes if (s.kind, s.time, s.form, s.separator) == most)
