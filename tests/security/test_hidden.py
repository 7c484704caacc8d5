"""A secret is found in others' words however it is written there."""

from __future__ import annotations

import base64
import urllib.parse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config import hidden
from config.errors import Rejected


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test know another's secrets."""
    monkeypatch.setattr(hidden, "_known", set())
    hidden._to_hide.cache_clear()


SECRETS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=8, max_size=40)


@given(secret=SECRETS, before=st.binary(max_size=7), behind=st.binary(max_size=7))
@example(secret="päss/w+rd=%&'\"\\", before=b"user:", behind=b"")
def test_nothing_of_it_is_left(secret: str, before: bytes, behind: bytes) -> None:
    hidden._known.clear()
    hidden.remember(secret)
    assert secret not in hidden.hide(f"refused: {secret}!")
    quoted = urllib.parse.quote(secret, safe="")
    assert quoted not in hidden.hide(f"http://h/?token={quoted}&x")
    coded = base64.b64encode(before + secret.encode() + behind).decode()
    assert hidden.hide(f"Basic {coded}") != f"Basic {coded}"
    assert secret not in str(Rejected(f"they said {secret!s}"))


def test_words_without_it_stay_as_they_are() -> None:
    hidden.remember("abc")  # too short to be told from words
    hidden.remember("correct horse")
    assert hidden.hide("abc, a correct answer from a horse") == "abc, a correct answer from a horse"
