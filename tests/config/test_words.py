"""The words: both languages say the same things, with the same places in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from config import asset_types
from config.words import LANGUAGES, advice, text, words


def sentences(found: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield every sentence with its dotted key."""
    for key, value in found.items():
        if isinstance(value, dict):
            yield from sentences(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def test_every_language_has_the_same_keys_in_the_same_order() -> None:
    known = {language: [key for key, _ in sentences(words(language))] for language in LANGUAGES}
    for language, keys in known.items():
        assert keys == known["en"], f"{language}: {set(keys) ^ set(known['en'])}"


def test_every_sentence_has_the_places_of_the_english_one() -> None:
    english = dict(sentences(words("en")))
    for language in LANGUAGES:
        for key, sentence in sentences(words(language)):
            assert isinstance(sentence, str), key
            assert sentence.strip(), key
            assert set(re.findall(r"{(\w*)}", sentence)) == set(re.findall(r"{(\w*)}", english[key])), key


def test_chinese_is_chinese() -> None:
    """A sentence of words in the Chinese file is in Chinese letters; symbols, units, names and commands may stay."""
    latin = re.compile(r"[A-Za-z]{3,}(?: [a-z]+)+")
    for key, sentence in sentences(words("zh-CN")):
        assert not latin.search(re.sub(r"{\w+}|`[^`]*`", "", sentence)), f"{key}: {sentence}"


def test_all_that_asset_types_bring_has_words() -> None:
    """Names and advice of the alarms our asset types bring are known in every language; English says it as they do."""
    alarms = [item for kind in asset_types.load_all().values() for item in kind.alarms.items()]
    for language in LANGUAGES:
        known = words(language)["alerts"]
        assert {name for name, _ in alarms} | {"disk-low"} == set(known["names"])
        assert {alarm.advice for _, alarm in alarms} - {""} == set(known["advice"])
    assert all(key == sentence for key, sentence in words("en")["alerts"]["advice"].items())


def test_all_figures_asset_types_bring_have_names() -> None:
    names = {name for kind in asset_types.load_all().values() for name in kind.kpis}
    assert names <= set(words("en")["page"]["assets"]["kpi_name"])


def test_all_that_a_type_lets_state_has_words() -> None:
    """The page has a name for every fact of a machine, and for every word one may be."""
    facts = [item for kind in asset_types.load_all().values() for item in kind.facts.items()]
    known = words("en")["page"]["assets"]
    assert {name for name, _ in facts} == set(known["fact"])
    assert {one for _, fact in facts for one in fact.one_of} == set(known["fact_value"])


def test_advice_of_ours_is_translated_and_a_users_own_is_not() -> None:
    ours = next(iter(words("en")["alerts"]["advice"]))
    assert advice("en", ours) == ours
    assert advice("zh-CN", ours) == words("zh-CN")["alerts"]["advice"][ours] != ours
    assert advice("zh-CN", "Ask Chen.") == "Ask Chen."


def test_a_sentence_is_found_and_filled() -> None:
    assert text("en", "ages.min", n=3) == "3 min"
    assert text("zh-CN", "ages.min", n=3) == "3 分钟"


@pytest.mark.parametrize("key", ["nothing", "page.shell", "page.shell.overview.more"])
def test_an_unknown_key_is_told(key: str) -> None:
    with pytest.raises(KeyError, match=re.escape(key)):
        text("en", key)


def test_an_unknown_language_is_told() -> None:
    with pytest.raises(KeyError, match="zh-CN"):
        words("fr")  # type: ignore[arg-type]
