"""A page in a real browser, watched: what it asks, what it complains of, what a reader sees, whom it shuts out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from playwright.async_api import Browser, BrowserContext, Page

from config.words import words
from tests.config.test_words import sentences
from tests.waiting import DEADLINE_S

Language = Literal["en", "zh-CN"]
Theme = Literal["light", "dark"]
WIDE, NARROW = (1440, 900), (360, 740)
# Every value of each beside every value of the others: languages, themes and widths in pairs.
LOOKS: Final[tuple[tuple[Language, Theme, tuple[int, int]], ...]] = (
    ("en", "light", WIDE),
    ("zh-CN", "dark", WIDE),
    ("en", "dark", NARROW),
    ("zh-CN", "light", NARROW),
)
_AXE: Final = Path(__file__).parent / "axe" / "axe.min.js"
_KEY: Final = re.compile(r"⟨|\b(?:page|alerts|notify|units|ages|quality)\.[a-z_]+(?:\.[a-z_]+)*\b")
_RULES: Final = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@cache
def english_only() -> frozenset[str]:
    """Return the English sentences of several words that no other language shares."""
    chinese = dict(sentences(dict(words("zh-CN"))))
    return frozenset(
        text for key, text in sentences(dict(words("en"))) if " " in text and "{" not in text and text != chinese[key]
    )


@dataclass(slots=True)
class View:
    """One page of one reader, and what went wrong so far."""

    page: Page
    base: str
    language: Language
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)  # parts of complaints that are meant to be

    async def show(self, address: str, until: str) -> None:
        """Go to an address, e.g. "#/alerts", and wait for what `until` selects."""
        await self.page.goto(self.base + address)
        await self.page.wait_for_selector(until)

    async def text(self, selector: str = "body") -> str:
        return await self.page.locator(selector).first.inner_text()

    def sound(self) -> None:
        """Raise AssertionError for a complaint of the browser or a request to another place."""
        kept = [c for c in self.complaints if not any(part in c for part in self.allowed)]
        assert kept == []
        assert self.elsewhere == []

    async def readable(self) -> None:
        """Raise AssertionError for a key that shows, a foreign sentence, or a page wider than its window."""
        shown = await self.text()
        assert not (found := _KEY.search(shown)), f"…{shown[max(0, found.start() - 60) : found.end() + 60]}…"
        if self.language != "en":
            foreign = {line.strip() for line in shown.splitlines()} & english_only()
            assert not foreign
        width = await self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], f"the page is {width[0]} px wide in a window of {width[1]}"

    async def accessible(self) -> None:
        """Raise AssertionError for what axe finds grave."""
        await self.page.evaluate(_AXE.read_text("utf-8"))
        found = await self.page.evaluate("rules => axe.run(document, {...rules, resultTypes: ['violations']})", _RULES)
        grave = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
        assert grave == [], "\n".join(_told(v) for v in grave)

    async def sane(self) -> None:
        """All of it."""
        await self.readable()
        await self.accessible()
        self.sound()


def _told(violation: dict[str, Any]) -> str:
    nodes = [f"{n['html'][:160]} — {n['failureSummary'][:240]}" for n in violation["nodes"][:4]]
    return f"{violation['impact']} {violation['id']}: {violation['help']}\n  " + "\n  ".join(nodes)


async def opened(browser: Browser, base: str, language: Language, theme: Theme, size: tuple[int, int]) -> View:
    """Return the view of a new reader, who has chosen nothing yet; its context is closed by the caller."""
    context: BrowserContext = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=language,
        color_scheme=theme,
        reduced_motion="reduce",
    )
    page = await context.new_page()
    page.set_default_timeout(DEADLINE_S * 1000)
    view = View(page, base, language)
    page.on(
        "console",
        lambda m: (
            view.complaints.append(f"{m.text} {m.location.get('url', '')}") if m.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda e: view.complaints.append(f"{e}"))
    page.on("request", lambda r: view.elsewhere.append(r.url) if not r.url.startswith((base, "blob:" + base)) else None)
    return view
