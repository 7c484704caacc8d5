"""YAML text → plain data and the line of every key; strict, bounded, and without YAML's surprises.

Plain `no`, `on` and `12:30` are text, as in YAML 1.2. Refused: a key given twice, tags, several documents,
deep nesting, and aliases that expand without bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

MAX_DEPTH: Final = 32
MAX_VALUES: Final = 1_000_000  # aliases counted as what they expand to
_MERGE: Final = "<<"
_LOADER: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    ".inf": float("inf"),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}
_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,39})")
_BASED: Final = re.compile(r"0x[0-9a-fA-F]{1,32}|0o[0-7]{1,32}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

Issue = tuple[int, tuple[str | int, ...], str]  # line, path, message


class Unreadable(Exception):
    """The text cannot be read at all from `line` on."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Place:
    """The line a value stands on (of its key, where it has one), the places inside it, a plain scalar as written."""

    line: int
    inside: dict[str | int, Place]
    text: str = ""


_NOTHING: Final[dict[str | int, Place]] = {}  # inside every scalar; nobody adds to it


@dataclass(slots=True)
class _Open:
    """A block being read."""

    data: Any
    place: Place
    key: str | int | None
    anchor: str | None
    values: int = 1
    next_key: tuple[str | None, int] | None = None  # None as key: a merge
    merges: list[tuple[Any, Place]] = field(default_factory=list)


def read(text: str) -> tuple[Any, Place, list[Issue]]:
    """Return the data, where everything stands, and what is wrong with it; raises Unreadable."""
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.YAMLError as error:
        line = _line_of(text, error)
        raise Unreadable(line, _sentence(text, line, error)) from None
    return reader.root, reader.top, reader.issues


def _line_of(text: str, error: yaml.YAMLError) -> int:
    """Return the line to look at: where an open quote, bracket or key began, else where reading stopped."""
    context = str(getattr(error, "context", ""))
    began = getattr(error, "context_mark", None) if "scanning" in context or "flow" in context else None
    if mark := began or getattr(error, "problem_mark", None):
        return min(int(mark.line), max(0, len(text.splitlines()) - 1)) + 1  # the end is not a line more
    position = getattr(error, "position", 0)
    return text.count("\n", 0, position if isinstance(position, int) else 0) + 1


def _sentence(text: str, line: int, error: yaml.YAMLError) -> str:
    lines = text.split("\n")
    if line <= len(lines) and re.match(r" *\t", lines[line - 1]):
        return "not YAML: a tab stands at the beginning; indent with spaces only"
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed"
    context = getattr(error, "context", None)
    return f"not YAML: {f'{context}: ' if context else ''}{problem}; look at indentation, quotes and colons"


class _Reader:
    """Builds data from parser events without recursion, so that no input can exhaust the stack."""

    def __init__(self) -> None:
        self.root: Any = None
        self.top = Place(1, {})
        self.issues: list[Issue] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, Place, int]] = {}
        self._documents = 0
        self._values = 0
        self._does: dict[type[yaml.Event], Callable[[Any, int], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._begin,
            yaml.SequenceStartEvent: self._begin,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }

    def take(self, event: yaml.Event) -> None:
        if (do := self._does.get(type(event))) is not None:
            do(event, event.start_mark.line + 1 if event.start_mark else 1)

    def _document(self, event: yaml.DocumentStartEvent, line: int) -> None:
        self._documents += 1
        if self._documents > 1:
            raise Unreadable(line, "a second document begins ('---'); keep one configuration per file")

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if event.tag is not None:
            self._refuse_tag(event.tag, line)
        text = event.value
        if "\0" in text:
            raise Unreadable(line, "a text holds a NUL character (\\0); no name, path or address can have one")
        plain = event.implicit[0] and not event.style
        if self._expects_key():
            self._key(text, line, merge=plain and text == _MERGE)
            return
        value = _resolve(text) if plain else text
        place = Place(self._stands(line), _NOTHING, text if plain else "")
        if event.anchor:
            self._anchors[event.anchor] = (value, place, 1)
        self._attach(value, place, 1)

    def _begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, line: int) -> None:
        if event.tag is not None:
            self._refuse_tag(event.tag, line)
        if self._expects_key():
            raise Unreadable(line, "a block or list cannot be a key; write 'key: value'")
        if len(self._open) >= MAX_DEPTH:
            raise Unreadable(line, f"nested deeper than {MAX_DEPTH} levels")
        data: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        place = Place(self._stands(line), {})
        key = self._attach(data, place, 1)
        self._open.append(_Open(data, place, key, event.anchor))

    def _end(self, _event: yaml.Event, _line: int) -> None:
        block = self._open.pop()
        for data, place in block.merges:
            for key in data.keys() - block.data.keys():
                block.data[key] = data[key]
                block.place.inside[key] = place.inside[key]
        if block.anchor:
            self._anchors[block.anchor] = (block.data, block.place, block.values)
        if self._open:
            self._open[-1].values += block.values - 1  # the block itself was counted when it began

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        if self._expects_key():
            raise Unreadable(line, f"the alias '*{event.anchor}' cannot be a key")
        if event.anchor not in self._anchors:
            raise Unreadable(line, f"the alias '*{event.anchor}' has no finished anchor '&{event.anchor}' above it")
        data, place, values = self._anchors[event.anchor]
        self._attach(data, Place(self._stands(line), place.inside, place.text), values)

    def _stands(self, line: int) -> int:
        """Return where a value that begins in `line` is looked for: where its key stands, if it has one."""
        next_key = self._open[-1].next_key if self._open else None
        return next_key[1] if next_key else line

    def _expects_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].data, dict) and self._open[-1].next_key is None

    def _key(self, key: str, line: int, *, merge: bool) -> None:
        block = self._open[-1]
        if not merge and key in block.data:
            first = block.place.inside[key].line
            self._issue(line, f"given twice; first in line {first}, keep one", key)
        block.next_key = (None if merge else key, line)

    def _attach(self, value: Any, place: Place, values: int) -> str | int | None:
        """Put a value where it belongs and return its key or index there."""
        self._values += values
        if self._values > MAX_VALUES:
            raise Unreadable(place.line, f"aliases expand to more than {MAX_VALUES:,} values")
        if not self._open:
            self.root, self.top = value, place
            return None
        block = self._open[-1]
        block.values += values
        if isinstance(block.data, list):
            block.data.append(value)
            block.place.inside[len(block.data) - 1] = place
            return len(block.data) - 1
        assert block.next_key is not None
        (key, _), block.next_key = block.next_key, None
        if key is None:
            self._merge(block, value, place)
            return None
        block.data[key] = value
        block.place.inside[key] = place
        return key

    def _merge(self, block: _Open, value: Any, place: Place) -> None:
        if isinstance(value, dict) and place.inside.keys() == value.keys():
            block.merges.append((value, place))
        else:
            self._issue(place.line, "'<<:' takes one alias of a block, e.g. '<<: *defaults'", _MERGE)

    def _refuse_tag(self, tag: str, line: int) -> None:
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        self._issue(line, f"the tag '{shown}' is not used here; leave it out, and put text in quotes")

    def _issue(self, line: int, message: str, *last: str | int) -> None:
        self.issues.append((line, (*self._path(), *last), message))

    def _path(self) -> Iterator[str | int]:
        yield from (block.key for block in self._open if block.key is not None)
        if self._open and self._open[-1].next_key:
            yield self._open[-1].next_key[0] or _MERGE


def _resolve(text: str) -> Any:
    """Return what a plain scalar means in YAML 1.2; numbers of any other form stay text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) and len(text) <= 40:
        return float(text)
    return text


def locate(top: Place, path: Sequence[str | int]) -> tuple[int, tuple[str | int, ...]]:
    """Return the line of the innermost existing place on a path and the path up to there.

    Parts that stand nowhere (a union's tag, a missing key) are skipped.
    """
    here, walked = top, []
    for part in path:
        if part in here.inside:
            here = here.inside[part]
            walked.append(part)
    return here.line, tuple(walked)


def written(top: Place, path: Sequence[str | int]) -> str:
    """Return the plain scalar at a path as it stands in the text; nobody would know 1e100000 again as a number."""
    for part in path:
        top = top.inside.get(part, top)
    return top.text
