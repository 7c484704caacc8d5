"""Words that may hold a secret → the same without it, however it is written there; what was read is remembered here."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_plus

_INSTEAD: Final = "…"
_SHORTEST: Final = 4  # of what is looked for [characters]: anything shorter stands in every other word
_SHORTEST_CODED: Final = 8
_known: set[str] = set()


def remember(value: str) -> None:
    """Let a secret that has been read appear in no error, log or answer from now on."""
    if len(value) >= _SHORTEST and value not in _known:
        _known.add(value)
        _to_hide.cache_clear()


def hide(words: str) -> str:
    """Return words without any secret known here; the other side may have said it, or a library."""
    for form in _to_hide():
        if form in words:
            words = words.replace(form, _INSTEAD)
    return words


@lru_cache(maxsize=1)
def _to_hide() -> tuple[str, ...]:
    return tuple(sorted({form for value in _known for form in forms(value)}, key=len, reverse=True))


def forms(value: str) -> set[str]:
    """Return how a value may be written: as it is, quoted for a URL, JSON or Python, in base64 within anything."""
    found = {value, quote(value, safe=""), quote(value), quote_plus(value), json.dumps(value)[1:-1], repr(value)[1:-1]}
    found.add(value.encode().decode("latin-1"))  # bytes of it, shown one by one
    return {form for form in found if len(form) >= _SHORTEST} | _coded(value.encode())


def _coded(raw: bytes) -> set[str]:
    """Return what of a value's base64 does not depend on what stands before and behind it (RFC 4648 §4, §5)."""
    found = set()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw)
        first, end = (0, 2, 3)[before], (before + len(raw)) * 8 // 6
        found |= {text[first:end].decode(), text[first:end].translate(bytes.maketrans(b"+/", b"-_")).decode()}
    return {form for form in found if len(form) >= _SHORTEST_CODED}
