"""The text of a formula → its syntax tree; whatever is not in the grammar is refused, with its column.

    formula  = either { "or" either }              a condition is 1, 0 or unknown
    either   = compare { "and" compare }
    compare  = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]
    sum      = term { ("+" | "-") term }
    term     = sign { ("*" | "/") sign }
    sign     = "-" sign | power
    power    = atom [ "^" sign ]
    atom     = number [ unit ] | name | "'" asset.point "'" | "(" formula ")"
             | function "(" [ formula { "," formula } ] ")"

A unit follows its number and ends at a blank or `*`: `1.163 kWh/m3/K * flow`. A name with a dash stands in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

MAX_LENGTH: Final = 2_000  # characters
MAX_DEPTH: Final = 40  # brackets and signs within each other
MAX_TOKENS: Final = 500

_NUMBER: Final = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])"
_UNIT: Final = r"(?:[A-Za-zµ°]\w*|%)(?:\^\d|/(?:[A-Za-zµ°]\w*|%|\([A-Za-zµ°%][\w*/^%]*\)))*"
_TOKEN: Final = re.compile(
    rf"(?P<blank>\s+)|(?P<number>{_NUMBER})|'(?P<quoted>[^'\"]*)'|(?P<word>[^\W\d]\w*(?:\.[^\W\d]\w*)?)"
    r"|(?P<op><=|>=|==|!=|[-+*/^(),<>])"
)
_AFTER_NUMBER: Final = re.compile(rf"[ \t]*(?!(?:and|or)\b)({_UNIT})")
_GLUED: Final = re.compile(rf"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?={_UNIT})")
_SAME: Final = str.maketrans("−×·÷", "-**/")
_COMPARE: Final = ("<=", ">=", "==", "!=", "<", ">")


class FormulaError(ValueError):
    """What is wrong in a formula: `why`, at `column`, which counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"column {column}: {message}")
        self.column, self.why = column, message


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    unit: str
    column: int


@dataclass(frozen=True, slots=True)
class Name:
    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator with its arguments."""

    function: str
    arguments: tuple[Node, ...]
    column: int


Node = Number | Name | Call


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at) or _GLUED.match(text, at)
        if not found:
            raise FormulaError(f"'{text[at]}' has no meaning here", at + 1)
        kind = found.lastgroup or "number"
        if kind == "number":
            yield _Token("number", found[0], at + 1)
            if unit := _AFTER_NUMBER.match(text, found.end()):
                yield _Token("unit", unit[1], unit.start(1) + 1)
                found = unit
        elif kind != "blank":
            yield _Token(kind, found[kind], at + 1)
        at = found.end()
    yield _Token("end", "", len(text) + 1)


@cache
def parse(text: str) -> Node:
    """Return the syntax tree of a formula; raises FormulaError with the column of what is wrong."""
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"a formula has at most {MAX_LENGTH} characters", MAX_LENGTH)
    tokens = list(_tokens(text.translate(_SAME)))
    if len(tokens) > MAX_TOKENS:
        raise FormulaError(f"a formula has at most {MAX_TOKENS} words and signs", tokens[MAX_TOKENS].column)
    parser = _Parser(tokens)
    tree = parser.formula()
    parser.expect("end")
    return tree


@dataclass(slots=True)
class _Parser:
    tokens: list[_Token]
    at: int = 0
    depth: int = 0

    def formula(self) -> Node:
        return self._chain(lambda: self._chain(self._compare, "and"), "or")

    def _compare(self) -> Node:
        left = self._sum()
        if self._sees(*_COMPARE):
            sign = self._next()
            left = Call(sign.text, (left, self._sum()), sign.column)
            if self._sees(*_COMPARE):
                raise FormulaError("one comparison after another; write a < b and b < c", self.tokens[self.at].column)
        return left

    def _sum(self) -> Node:
        return self._chain(lambda: self._chain(self._sign, "*", "/"), "+", "-")

    def _chain(self, part: Callable[[], Node], *signs: str) -> Node:
        left = part()
        while self._sees(*signs):
            sign = self._next()
            left = Call(sign.text, (left, part()), sign.column)
        return left

    def _sign(self) -> Node:
        if not self._sees("-"):
            return self._power()
        sign = self._next()
        with self._deeper(sign.column):
            return Call("-", (self._sign(),), sign.column)

    def _power(self) -> Node:
        base = self._atom()
        if not self._sees("^"):
            return base
        sign = self._next()
        with self._deeper(sign.column):
            return Call("^", (base, self._sign()), sign.column)

    def _atom(self) -> Node:
        token = self._next()
        if token.kind == "number":
            unit = self._next().text if self.tokens[self.at].kind == "unit" else ""
            return Number(float(token.text), unit, token.column)
        if token.kind == "quoted":
            return Name(token.text, token.column)
        if token.kind == "word" and token.text not in ("and", "or"):
            return self._call(token) if self._sees("(") else Name(token.text, token.column)
        if token.text == "(" and token.kind == "op":
            with self._deeper(token.column):
                inside = self.formula()
                self.expect(")")
            return inside
        found = f"'{token.text}'" if token.text else "the end"
        raise FormulaError(f"a number, a name or '(' is missing before {found}", token.column)

    def _call(self, name: _Token) -> Node:
        self._next()
        arguments: list[Node] = []
        with self._deeper(name.column):
            while not self._sees(")"):
                if arguments:
                    self.expect(",")
                arguments.append(self.formula())
            self._next()
        return Call(name.text, tuple(arguments), name.column)

    def expect(self, text: str) -> None:
        token = self._next()
        if token.text != text and token.kind != text:
            wanted = "the end" if text == "end" else f"'{text}'"
            found = f"'{token.text}'" if token.text else "the end"
            raise FormulaError(f"{wanted} is missing before {found}", token.column)

    def _sees(self, *texts: str) -> bool:
        token = self.tokens[self.at]
        return token.kind in ("op", "word") and token.text in texts

    def _next(self) -> _Token:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def _deeper(self, column: int) -> _Depth:
        return _Depth(self, column)


@dataclass(slots=True)
class _Depth:
    """Counts how deep the parser stands."""

    parser: _Parser
    column: int

    def __enter__(self) -> None:
        self.parser.depth += 1
        if self.parser.depth > MAX_DEPTH:
            raise FormulaError(f"more than {MAX_DEPTH} brackets within each other", self.column)

    def __exit__(self, *_: object) -> None:
        self.parser.depth -= 1
