"""The catalogues: complete in every language, and nothing the report says is missing from them."""

from __future__ import annotations

import re
from importlib import resources
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from carbon.report.table import Word, word
from carbon.report.totals import CATEGORIES
from carbon.report.words import LANGUAGES, Words, catalogue
from config.errors import GatewayError
from config.points import Carrier

FOLDER = resources.files("carbon.report")
SOURCES = "\n".join(f.read_text("utf-8") for f in FOLDER.iterdir() if f.name.endswith(".py"))


def test_every_language_has_the_same_keys_and_braces() -> None:
    english = catalogue("en")
    for language in LANGUAGES:
        said = catalogue(language)
        assert set(said) == set(english)
        for key, sentence in said.items():
            assert sentence.strip(), key
            assert set(re.findall(r"\{\w+\}", sentence)) == set(re.findall(r"\{\w+\}", english[key])), key


def test_what_tanflow_knows_has_a_word() -> None:
    known = catalogue("en")
    assert {f"carrier.{name}" for name in get_args(Carrier)} <= set(known)
    assert {f"category.{name}" for names in CATEGORIES.values() for name in names} <= set(known)


def test_every_key_of_the_sources_is_in_the_catalogue() -> None:
    keys = set(re.findall(r"""\b(?:word|words|w)\("([a-z_.0-9]+)["',]""", SOURCES))
    keys |= set(re.findall(r"""\bw\("([a-z_.]+)"\)""", (FOLDER / "templates" / "report.html").read_text("utf-8")))
    assert keys
    assert keys <= set(catalogue("en"))
    columns = set(re.findall(r"""\bColumn\("([a-z_0-9]+)\"""", SOURCES))
    assert {f"column.{name}" for name in columns} <= set(catalogue("en"))
    tables = set(re.findall(r"""\bTable\("([a-z_]+)\"""", SOURCES))
    assert {f"table.{name}.{part}" for name in tables for part in ("title", "intro")} <= set(catalogue("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_and_instants(language: str) -> None:
    words = Words(language, ZoneInfo("Asia/Shanghai"))
    assert words.cell("mass", 439_993) == "439.993"
    assert words.cell("energy", -95_963_671) == "−959,636.71"
    assert words.cell("share", 0.0853) == "8.5 %"
    assert words.cell("mass", None) == "—"
    assert words.time(1_735_660_800 * 10**9) == "2025-01-01 00:00:00+08:00"


def test_what_a_user_typed_is_not_filled_in_again() -> None:
    words = Words("en", ZoneInfo("UTC"))
    evil = word("finding.overdue", meter="{serial}{due}{nothing}", serial="S", due="never")
    assert words.say(evil) == "Calibration of meter {serial}{due}{nothing} (serial S) was due on never."
    assert words.say("plain {braces}") == "plain {braces}"
    assert isinstance(evil, Word)


def test_a_language_that_is_not_there_is_told() -> None:
    with pytest.raises(GatewayError, match="en, zh-CN"):
        catalogue("de")
