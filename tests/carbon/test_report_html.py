"""The HTML report: complete in itself, safe whatever is typed, and its printed figures add up."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from carbon.report.charts import Series, stacked
from carbon.report.flow import sankey
from carbon.report.html import to_html
from carbon.report.model import Period, Report, report
from carbon.report.places import Flow
from carbon.report.words import LANGUAGES, Language, Words
from tests.carbon import report_cases as cases

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Report:
    with cases.plant(tmp_path_factory.mktemp("plant")) as ledger:
        return report(ledger, cases.PLANT_SITE, Period(2025, None, SHANGHAI), now_ns=cases.NOW_NS)


class Tables(HTMLParser):
    """Collects what the document holds: tags, and the rows of each section's table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.rows: dict[str, list[tuple[str, list[str]]]] = {}
        self._section, self._total, self._cell = "", False, False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        said = dict(attrs)
        if tag == "section":
            self._section = said.get("id") or ""
        if tag in ("thead", "tbody"):
            self._total = said.get("class") == "total"
        if tag == "tr":
            self.rows.setdefault(self._section, []).append(("total" if self._total else said.get("class") or "", []))
        if tag in ("td", "th"):
            self._cell = True
            self.rows[self._section][-1][1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[self._section][-1][1][-1] += data


def number(text: str) -> int | None:
    """Return a printed number in its last place."""
    plain = text.strip().replace("−", "-").replace(",", "")
    return int(plain.replace(".", "")) if re.fullmatch(r"-?\d+\.\d{2,3}", plain) else None


@pytest.mark.parametrize("language", LANGUAGES)
def test_printed_parts_add_up_to_printed_totals(plant: Report, language: Language) -> None:
    tables = Tables(to_html(plant, Words(language, SHANGHAI))).rows
    checked = 0
    for name, rows in tables.items():
        totals = [cells for kind, cells in rows if kind == "total"]
        tops = [cells for kind, cells in rows if kind.startswith("d0") and "memo" not in kind]
        for place, cell in enumerate(totals[0] if totals else ()):
            if (total := number(cell)) is not None:
                assert sum(number(cells[place]) or 0 for cells in tops) == total, (name, place)
                checked += 1
    assert checked > 40


def test_what_is_typed_never_becomes_markup(plant: Report) -> None:
    text = to_html(plant, Words("en", SHANGHAI))
    parsed = Tables(text)
    assert "&lt;script&gt;alert" in text
    assert not parsed.tags & {"script", "iframe", "object", "img", "link"}
    assert not {name for name in parsed.names if name.startswith("on")}


def test_nothing_outside_is_asked_for(plant: Report) -> None:
    text = to_html(plant, Words("zh-CN", SHANGHAI))
    assert not re.search(r"https?://|url\((?!#h)|@import|src=", text)
    assert "default-src 'none'" in text


def test_the_cover_states_who_what_and_from_which_ledger(plant: Report) -> None:
    text = to_html(plant, Words("zh-CN", SHANGHAI))
    for said in ("10,854.093", "10,255.622", "运营控制权", "2025-01-01 至 2025-12-31", "IPCC AR5", "范围一", "基于市场",
                 plant.cover.head.hash, "李雷 🏭"):  # fmt: skip
        assert said in text
    assert text.startswith("<!doctype html>")


def test_a_year_that_goes_on_says_so(tmp_path: Path) -> None:
    with cases.plant(tmp_path) as ledger:
        during = cases.ns("2025-06-01", "Asia/Shanghai")
        made = report(ledger, cases.PLANT_SITE, Period(2025, None, SHANGHAI), now_ns=during)
    assert "the period has not ended" in to_html(made, Words("en", SHANGHAI))


def test_pictures_hold_with_nothing_one_and_many() -> None:
    words = Words("en", SHANGHAI)
    assert "<svg" in stacked([], [], "t", "nothing")
    assert "<svg" in stacked(["<b>"], [Series("<i>&", 0, [0.0])], "t", "zero")
    assert "<b>" not in stacked(["<b>"], [Series("<i>&", 0, [1e-9])], "t", "x")
    assert sankey([], words, "none", {}) == ""
    many = [Flow("electricity", f"area {i % 3}", f"asset {i} " + "x" * 200, 10**9 * (i + 1)) for i in range(60)]
    drawn = sankey(many, words, "many", {})
    assert drawn.count('class="node"') == 1 + 3 + 14 + 3  # source, areas, the largest ends, the rest of each area
    assert "nan" not in drawn
