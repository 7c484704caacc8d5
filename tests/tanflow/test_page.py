"""The page's files: complete, self-contained, and without a way from data to markup."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from tanflow.web.static_files import static_files

_PACKAGE = resources.files("tanflow.web")
_NAMES = {path: path[1:] or "page.html" for path in static_files()}
PAGE_FILES = {path for path, name in _NAMES.items() if (_PACKAGE / name).is_file()}
FILES = {_NAMES[path]: (_PACKAGE / _NAMES[path]).read_text("utf-8") for path in sorted(PAGE_FILES)}


@pytest.mark.parametrize("name", FILES)
def test_nothing_outside_is_asked_for(name: str) -> None:
    text = FILES[name].replace("http://www.w3.org/2000/svg", "")  # a name, never fetched
    assert not re.search(r"""(https?:|wss?:)?//[a-z0-9.-]+\.[a-z]""", text)
    assert not re.search(r"@import|@font-face|data:|blob:", text)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_data_never_becomes_markup_or_code(name: str) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|localStorage"
    assert not re.search(forbidden, FILES[name])


def test_the_policy_allows_what_the_page_holds() -> None:
    html = FILES["page.html"]
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", html)
    wanted = re.findall(r'(?:src|href)="([^"]+)"', html)
    wanted += [f"/{name}" for text in FILES.values() for name in re.findall(r'from "\./([^"]+)"', text)]
    assert set(wanted) <= set(PAGE_FILES)


def test_every_element_the_script_looks_for_is_there() -> None:
    there = set(re.findall(r'\sid="([^"]+)"', FILES["page.html"]))
    looked_for = {name for text in FILES.values() for name in re.findall(r'\b(?:at|getElementById)\("([^"]+)"\)', text)}
    assert looked_for <= there
    named = set(re.findall(r'aria-labelledby="([^"]+)"', FILES["page.html"]))
    assert named <= there


def test_every_word_stands_in_one_place() -> None:
    known = set(re.findall(r"^  (\w+):", FILES["page_words.js"], re.MULTILINE))
    used = {word for text in FILES.values() for word in re.findall(r"\bWORDS\.(\w+)", text)}
    assert used == known
