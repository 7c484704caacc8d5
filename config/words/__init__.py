"""One file of words per language → the words of page and messages in the reader's language."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, Final, Literal, get_args

import orjson

Language = Literal["en", "zh-CN"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
DEFAULT: Final[Language] = "en"


@cache
def words(language: Language) -> dict[str, Any]:
    """Return all words of a language, nested as in its file; raises KeyError for a language we do not speak."""
    if language not in LANGUAGES:
        raise KeyError(f"no words in {language!r}; there are {', '.join(LANGUAGES)}")
    found: dict[str, Any] = orjson.loads((resources.files(__package__) / f"{language}.json").read_bytes())
    return found


def advice(language: Language, said: str) -> str:
    """Return what one of our assets' types advises in a language; what a user wrote stays as it is."""
    found: str = words(language)["alerts"]["advice"].get(said, said)
    return found


def text(language: Language, key: str, **fields: object) -> str:
    """Return the sentence at a dotted key, e.g. "notify.firing", with its {places} filled.

    Raises KeyError for a key that is not in the file or leads to a section, and for a place nothing was given for.
    """
    found: Any = words(language)
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, str):
        raise KeyError(f"no sentence {key!r} in config/words/{language}.json")
    return found.format_map(fields)
