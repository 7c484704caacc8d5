"""The page's files: small, complete, self-contained, and without a way from data to markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final

import pytest

from config.words import words
from tanflow.web.static_files import static_files
from tests.config.test_words import sentences

FOLDER: Final = Path(str(resources.files("tanflow.web"))) / "static"
OURS: Final = {
    f.relative_to(FOLDER).as_posix(): f.read_text("utf-8")
    for f in sorted(FOLDER.rglob("*"))
    if f.is_file() and "vendor" not in f.parts
}
SCRIPTS: Final = {name: text for name, text in OURS.items() if name.endswith(".js")}
LARGEST: Final = 1_500_000  # of all that one reader loads, unpacked [bytes]
KNOWN: Final = {key for key, _ in sentences(dict(words("en")))}
# Sections whose words are not the page's alone.
SHARED: Final = ("notify.", "units.", "alerts.names.", "alerts.advice.")


def test_the_whole_page_is_small() -> None:
    files = static_files()
    loaded = sum(len(file.plain) for path, file in files.items() if not re.search(r"LICENSE|NOTICE|/words/", path))
    assert loaded + max(len(files[f"/words/{name}.json"].plain) for name in ("en", "zh-CN")) <= LARGEST


@pytest.mark.parametrize("name", OURS)
def test_nothing_outside_is_asked_for(name: str) -> None:
    text = OURS[name].replace("http://www.w3.org/2000/svg", "")  # a name, never fetched
    assert not re.search(
        r"""(https?:|wss?:)?//[a-z0-9.-]+\.[a-z]""", re.sub(r"(^|\s)//.*", "", text, flags=re.MULTILINE)
    )
    assert not re.search(r"@import|@font-face|data:[a-z]+/|WebSocket|EventSource|sendBeacon", text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_data_never_becomes_markup_or_code(name: str) -> None:
    text = SCRIPTS[name]
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc"
        r"|sessionStorage|document\.cookie"
    )
    assert not re.search(forbidden, text)
    assert not re.search(
        r"""setAttribute\(\s*["'](style|on)|\bel\("\w+",\s*\{[^}]*\bstyle:|renderMode:\s*["']html""", text
    )
    kept = set(re.findall(r"localStorage\.setItem\((\w+)", text))
    assert kept <= {"KEPT"}  # the two choices of a reader: language and colours
    assert name in ("js/words.js", "js/theme.js") or "localStorage" not in text


def test_charts_are_drawn_in_one_place() -> None:
    assert [name for name, text in SCRIPTS.items() if "echarts" in text.lower() and "vendor" in text] == ["js/chart.js"]


def test_the_policy_allows_what_the_page_holds() -> None:
    html = OURS["index.html"]
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", html)
    wanted = re.findall(r'(?:src|href)="(/[^"]+)"', html)
    assert set(wanted) <= set(static_files())


def _imported(name: str) -> Iterator[str]:
    for path in re.findall(r"""(?:from|import)\s*\(?\s*["'](\.{1,2}/[^"']+)["']""", SCRIPTS[name]):
        yield (FOLDER / name).parent.joinpath(path).resolve().relative_to(FOLDER).as_posix()


def test_no_module_is_missing_and_none_is_left_over() -> None:
    reached, new = {"js/main.js"}, ["js/main.js"]
    while new:
        found = set(_imported(new.pop())) - reached
        missing = [name for name in found if not (FOLDER / name).is_file()]
        assert not missing
        reached |= found
        new += [name for name in found if name in SCRIPTS]
    assert set(SCRIPTS) <= reached


def test_every_style_sheet_is_used() -> None:
    linked = set(re.findall(r'href="/(css/[^"]+)"', OURS["index.html"]))
    assert linked == {name for name in OURS if name.endswith(".css")}


def test_every_element_the_scripts_look_for_is_there() -> None:
    there = set(re.findall(r'\sid="([^"]+)"', OURS["index.html"]))
    looked_for = {name for text in SCRIPTS.values() for name in re.findall(r'\bbyId\("([^"]+)"\)', text)}
    assert looked_for <= there
    assert set(re.findall(r'(?:aria-labelledby|popovertarget)="([^"]+)"', OURS["index.html"])) <= there


def _asked() -> tuple[set[str], list[re.Pattern[str]]]:
    """Return the keys the scripts name whole, and what those they put together look like."""
    whole: set[str] = set()
    made: list[re.Pattern[str]] = []
    for text in SCRIPTS.values():
        whole |= set(re.findall(r"""["'`]((?:page|alerts|ages|quality|units)(?:\.\w+)+)["'`]""", text))
        for parts in re.findall(r"`((?:page|alerts|ages|quality|units)\.[^`]*\$\{[^`]*)`", text):
            pattern = re.sub(r"\\?\$\\?\{.*?\}", "[^.]+", parts.replace(".", r"\."))
            made.append(re.compile(pattern))
    return whole, made


def test_every_word_the_page_asks_for_is_known() -> None:
    whole, made = _asked()
    assert whole <= KNOWN
    dead = [pattern.pattern for pattern in made if not any(pattern.fullmatch(key) for key in KNOWN)]
    assert dead == []


def test_every_word_of_the_page_is_used() -> None:
    whole, made = _asked()
    used = {key for key in KNOWN if key in whole or any(pattern.fullmatch(key) for pattern in made)}
    assert sorted(key for key in KNOWN - used if not key.startswith(SHARED)) == []
