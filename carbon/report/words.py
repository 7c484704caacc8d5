"""A catalogue of one language → the words, numbers and dates a report shows in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Final, Literal
from zoneinfo import ZoneInfo

import yaml

from carbon.report.table import UNITS, Cell, Column, Kind, Word
from config.errors import GatewayError

Language = Literal["en", "zh-CN"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh-CN")
_MINUS: Final = "\N{MINUS SIGN}"


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return all words of a language by key, nested keys joined by dots; raises GatewayError where there is none."""
    if language not in LANGUAGES:
        raise GatewayError(f"there is no report in '{language}'; choose one of {', '.join(LANGUAGES)}")
    text = (resources.files("carbon.report") / "catalogue" / f"{language}.yaml").read_text("utf-8")
    return dict(_flat("", yaml.safe_load(text)))


def _flat(prefix: str, tree: dict[str, object]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in tree.items():
        found += _flat(f"{prefix}{key}.", value) if isinstance(value, dict) else [(prefix + key, str(value))]
    return found


def term(group: str, name: str) -> Word | str:
    """Return the word of a thing tanflow knows (a carrier, a category), or its own name."""
    return Word(f"{group}.{name}") if f"{group}.{name}" in catalogue("en") else name


@dataclass(frozen=True, slots=True)
class Words:
    """How one language says things; times are told on the site's clock."""

    language: Language
    zone: ZoneInfo

    def __call__(self, key: str, **values: str | int | float | Word) -> str:
        """Return the text of a key; raises KeyError for one the catalogue lacks."""
        return self.say(Word(key, tuple(values.items())))

    def say(self, text: Word | str) -> str:
        """Return the text of a word, its braces filled; what the user typed stays as it is."""
        if not isinstance(text, Word):
            return text
        values = dict(text.values)
        sentence = catalogue(self.language)[text.key]
        return re.sub(r"\{(\w+)\}", lambda brace: self._filled(values[brace[1]]), sentence)

    def _filled(self, value: str | int | float | Word) -> str:
        if isinstance(value, int):
            return self.grouped(value, 0)
        return f"{value:,.6g}".replace("-", _MINUS) if isinstance(value, float) else self.say(value)

    def heading(self, column: Column) -> str:
        """Return what stands above a column, without its unit."""
        return self.say(column.label) if column.label else self(f"column.{column.key}")

    def unit(self, kind: Kind) -> str:
        return UNITS[kind].unit if kind in UNITS else ""

    def grouped(self, value: int, decimals: int) -> str:
        """Return an integer of the last place shown as a number with its thousands apart."""
        whole, part = divmod(abs(value), 10**decimals)
        text = f"{whole:,}" + (f".{part:0{decimals}d}" if decimals else "")
        return (_MINUS if value < 0 else "") + text

    def cell(self, kind: Kind, value: Cell) -> str:
        """Return a cell as text; integers of a shown kind are already in its last place."""
        if value is None:
            return self("none")
        if isinstance(value, Word | str):
            return self.say(value)
        if kind in UNITS and isinstance(value, int):
            return self.grouped(value, UNITS[kind].decimals)
        if kind == "share":
            return f"{100 * value:,.1f} %".replace("-", _MINUS)
        if kind == "time":
            return self.time(int(value))
        return f"{value:,.6g}".replace("-", _MINUS)

    def time(self, ns: int) -> str:
        """Return an instant to the second on the site's clock, with its distance from UTC."""
        return datetime.fromtimestamp(ns // 10**9, self.zone).isoformat(sep=" ")
