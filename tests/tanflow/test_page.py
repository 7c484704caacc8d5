"""The page's files: complete, self-contained, and without a way from data to markup."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from tanflow.web.guard import PAGE_FILES
from tests.tanflow.web import open_site

FILES = {name: (resources.files("tanflow.web") / name).read_text("utf-8") for name, _ in PAGE_FILES.values()}


async def test_every_file_is_served_as_it_is(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        for path, (name, kind) in PAGE_FILES.items():
            answer = await site.client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
            assert answer.text == FILES[name]


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
