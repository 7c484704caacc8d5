"""Assets in a browser: the tree by eye and by keys, one asset with its trend of a year, its grades and its carbon."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page

from config import asset_types
from config.model import Asset
from config.vocabulary import grading_of, grading_said
from tests.page.conftest import Look
from tests.page.plant import Plant
from tests.page.view import LOOKS, Language, Theme

ASSET = "#/assets/compressor-2"
POWER = "tr.asset:has(a[href$='main-meter']) .of-power .amount"
SCREW = {"drive": "variable_speed_oil_injected_rotary", "cooling": "air", "pressure_mpa": 0.7}
DRAWN = ".trend canvas"


@pytest.mark.parametrize(("language", "theme", "size"), LOOKS)
async def test_they_are_sound_in_every_look(
    look: Look, language: Language, theme: Theme, size: tuple[int, int]
) -> None:
    view = await look(language, theme, size)
    await view.show("#/assets", "tr.asset")
    await view.sane()
    await view.show(ASSET, DRAWN)
    await view.page.wait_for_selector(".of-origin table")
    await view.page.wait_for_selector(".runs rect")
    await view.sane()


async def test_the_tree_lives(look: Look) -> None:
    view = await look()
    await view.show("#/assets", POWER)
    before = await view.text(POWER)
    await view.page.wait_for_function(
        "([at, before]) => document.querySelector(at).textContent !== before", arg=[POWER, before]
    )


async def test_what_feeds_an_asset_stands_above_it(look: Look) -> None:
    view = await look()
    await view.show("#/assets", "tr.asset")
    levels = dict(
        await view.page.eval_on_selector_all(
            "tr.asset", "all => all.map(r => [r.querySelector('a').textContent, r.ariaLevel])"
        )
    )
    assert (levels["main-meter"], levels["chiller-1"], levels["furnace-1"]) == ("2", "3", "2")
    assert "fed by main-meter" in await view.text("tr.asset:has-text('chiller-1')")


async def test_the_tree_is_searched_and_walked_without_a_mouse(look: Look) -> None:
    view = await look()
    await view.show("#/assets", "tr.asset")
    keys = view.page.keyboard
    await view.page.get_by_label("Search assets").fill("gas")
    await view.page.wait_for_function("() => document.querySelectorAll('tr.asset:not([hidden])').length === 1")
    assert "1 of " in await view.text(".card [role=status]")
    await view.page.get_by_label("Search assets").fill("")
    await view.page.locator("tr.area").first.focus()
    await keys.press("ArrowLeft")
    assert await view.page.locator("tr.area").first.get_attribute("aria-expanded") == "false"
    await keys.press("ArrowRight")
    await keys.press("ArrowDown")
    await keys.press("ArrowDown")
    chosen = await view.page.evaluate("document.activeElement.querySelector('a').textContent")
    await keys.press("Enter")
    await view.page.wait_for_selector(DRAWN)
    assert await view.text("h1") == chosen


async def test_a_year_comes_from_roll_ups_and_zooming_in_asks_finer(look: Look) -> None:
    view = await look()
    asked = _questions(view.page)
    await view.show(ASSET, DRAWN)
    await view.page.get_by_role("button", name="Year").click()
    await view.page.wait_for_function(
        "() => document.querySelector('.trend-said').textContent.includes('mean of each 6 h')"
    )
    year = [q for q in asked if q.get("step") == "6h"]
    assert {q["aggregate"] for q in year} >= {"mean", "min", "max"}
    assert int(year[0]["to"]) - int(year[0]["from"]) > 365 * 86_400 * 10**9
    await view.page.locator(".trend-place").focus()
    for _ in range(8):
        await view.page.keyboard.press("+")
    await _until_said(view.page, "mean of each 15 min")
    assert "15min" in {q.get("step") for q in asked}
    await view.page.get_by_role("button", name="15 min").click()
    await view.page.wait_for_function(
        "() => document.querySelector('.trend-said').textContent.includes('every reading')"
    )
    assert "step" not in asked[-1]


async def test_a_curve_is_moved_and_zoomed_by_mouse(look: Look) -> None:
    view = await look()
    asked = _questions(view.page)
    await view.show(ASSET, DRAWN)
    await view.page.get_by_role("button", name="15 min").click()
    await _until_said(view.page, "every reading")
    place = await view.page.locator(".trend-place").bounding_box()
    assert place
    x, y, mouse = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2, view.page.mouse
    start, end = int(asked[-1]["from"]), int(asked[-1]["to"])
    async with view.page.expect_request(lambda _: int(asked[-1]["to"]) < end):
        await mouse.move(x, y)
        await mouse.down()
        await mouse.move(x + place["width"] / 3, y, steps=4)
        await mouse.up()
    await view.page.locator(".trend-place").focus()
    span = (end - start) / 1.25  # a live end is asked for with a quarter before it
    shorter = pytest.approx(span / 1.5 * (0.25 + 1 + 0.25), rel=0.05)
    async with view.page.expect_request(lambda _: int(asked[-1]["to"]) - int(asked[-1]["from"]) == shorter):
        await mouse.wheel(0, -100)


async def test_a_curve_is_compared_and_told_as_a_table(look: Look) -> None:
    view = await look()
    asked = _questions(view.page)
    await view.show(ASSET, DRAWN)
    await view.page.get_by_label("Compare with").select_option("week")
    await view.page.get_by_role("button", name="15 min").click()
    await view.page.wait_for_function(
        "() => document.querySelector('.trend-said').textContent.includes('every reading')"
    )
    spans = sorted({int(q["to"]) for q in asked})
    assert spans[-1] - spans[0] > 6 * 86_400 * 10**9
    await view.page.locator(".trend .as-table summary").click()
    row = view.page.locator(".trend .as-table tbody tr").first
    assert re.search(r"\d\d:\d\d:\d\d", await row.inner_text())
    assert "good" in await row.inner_text()
    label = await view.page.locator(".trend [role=img]").first.get_attribute("aria-label")
    assert "Power" in (label or "")


async def test_what_emitted_is_amount_times_factor_with_its_source(look: Look, plant: Plant) -> None:
    view = await look()
    await view.show(ASSET, ".of-origin tbody tr")
    rows = await view.page.eval_on_selector_all(
        ".of-origin tbody tr",
        "all => all.map(r => [...r.cells].slice(1, 4).map(c => c.textContent.replaceAll(',', '')))",
    )
    assert len(rows) in (2, 4)  # by location and by market; of closed hours, too, where the plant's clock passed one
    for cells in rows:
        amount, factor, kg = (float(re.search(r"[\d.]+", cell)[0]) for cell in cells)  # type: ignore[index]
        assert amount * factor == pytest.approx(kg, abs=0.002)
    assert "mee" in (await view.text(".factors")).lower()


async def test_a_reading_shows_its_trend_and_its_live_value(look: Look) -> None:
    view = await look()
    await view.show("#/assets/main-meter", ".readings tbody tr")  # a compressor may be off at this time of day
    await view.page.get_by_role("button", name="Show the trend of Frequency").click()
    await _until_said(view.page, "Hz")
    assert (await view.page.locator(".trend-tools select").first.input_value()).endswith(".frequency")
    at = ".readings tr:has(button[title$='power.power']) td"
    before = await view.text(at)
    await view.page.wait_for_function(
        "([at, before]) => document.querySelector(at).innerText !== before", arg=[at, before]
    )


# Readings at 0, 1, 2, 7 and 8 s; the second has no value, the last two are uncertain.
ROWS = """[0, 1, 2, 7, 8].map((s, i) => (
    {at: s * 1000, end: s * 1000, value: i === 1 ? null : i, severity: [0, 2, 0, 1, 1][i]}))"""
STATES = "[{at: 0, value: 1}, {at: 60000, value: 1}, {at: 240000, value: 0}]"


async def test_gaps_marks_and_bands_are_computed_as_by_hand(look: Look) -> None:
    view = await look()
    await view.show("#/assets", "tr.asset")

    async def js(module: str, call: str) -> Any:
        return await view.page.evaluate(f"async () => {{ const m = await import('/js/{module}.js'); return {call}; }}")

    assert await js("trend_data", f"m.gapsOf({ROWS}, 0, 1)") == [{"from": 3000, "to": 7000}]
    drawn = await js("trend_data", f"m.curve({ROWS}, m.gapsOf({ROWS}, 0, 1))")
    assert drawn == [[0, 0], [1000, None], [2000, 2], [3000, None], [7000, 3], [8000, 4]]
    marks = await js("trend_data", f"m.marksOf({ROWS}, 0)")
    assert [(m["from"], m["to"], m["severity"]) for m in marks] == [(1000, 2000, 2), (7000, 8000, 1)]
    assert await js("trend_data", "m.stepFor(366 * 864e5, {kind: 'gauge', period_s: 1}).text") == "6h"
    assert await js("trend_data", "m.stepFor(9e5, {kind: 'gauge', period_s: 1}).text") == "none"
    # Around the middle of what is long past, to the end of what is live; nothing lies beyond now.
    assert await js("trend_move", "m.zoomed({from: 0, to: 4e5}, 0.5, 1e9)") == {"from": 100_000, "to": 300_000}
    assert await js("trend_move", "m.zoomed({from: 0, to: 4e5}, 0.5, 4e5)") == {"from": 200_000, "to": 400_000}
    assert await js("trend_move", "m.moved({from: 0, to: 100}, 1, 150)") == {"from": 50, "to": 150}
    # 6, 6.5 and 7.2 with 8 measured, and 35 % of 1.2 beyond.
    scale = await js("bands", "m.scale({1: 6, 2: 6.5, 3: 7.2}, 8, false)")
    assert (scale["begin"], scale["end"]) == (pytest.approx(5.58), pytest.approx(8.42))
    runs = await js("states", f"m.runs({STATES}, {{from: 0, to: 300000}}, 60000)")
    held = [(run["from"], run["to"], run["value"]) for run in runs]
    assert held == [(0, 120_000, 1), (120_000, 240_000, None), (240_000, 300_000, 0)]


@pytest.mark.parametrize(
    ("kind", "kpi", "facts", "chinese"),
    [
        ("compressor", "specific-power-loaded", SCREW | {"rated_kw": 75},
         "未分级：在所用资料中，GB 19153-2019 对应驱动方式：变频喷油螺杆；冷却方式：风冷；75 kW；0.7 MPa的一行不完整"),
        ("compressor", "specific-power-loaded", SCREW | {"rated_kw": 60},
         "未分级：GB 19153-2019 列出的额定功率为 55 kW、75 kW，没有 60 kW"),
        ("compressor", "specific-power-loaded", {"cooling": "air"},
         "未分级：按 GB 19153-2019 分级还缺少驱动方式、额定功率、额定排气压力"),
        ("chiller", "full-load-cop", {"use": "data_centre", "condenser": "evaporative"}, ""),
        ("boiler", "efficiency", {"boiler": "biomass", "capacity_t_h": -1.0}, ""),
    ],
    ids=["blank", "size", "unstated", "table", "row"],
)  # fmt: skip
async def test_why_there_is_no_grade_is_told_in_the_readers_language(
    look: Look, kind: str, kpi: str, facts: dict[str, Any], chinese: str
) -> None:
    """In English as the gateway itself says it, but for the keys of facts that are missing."""
    asset = Asset.model_validate({"type": kind, "facts": facts})
    grade = asset_types.load_all()[kind].kpis[kpi].grade
    assert grade is not None
    found = grading_of(asset, grade)
    view = await look()
    await view.show("#/assets", "tr.asset")

    async def told(language: str) -> str:
        script = """async ([reason, language]) => {
            const [bands, words, format] = await Promise.all(
                ["bands", "words", "format"].map((m) => import(`/js/${m}.js`)));
            const t = await words.loadWords(language);
            return bands.ungradedWords({t, format: format.createFormat(t, "UTC")}, reason);
        }"""
        return str(await view.page.evaluate(script, [asdict(found.reason), language]))

    assert await told("en") == re.sub(r" \([a-z_]+\)", "", grading_said(asset, found))
    in_chinese = await told("zh-CN")
    assert in_chinese == (chinese or in_chinese)
    assert not re.search(r"[a-z]{3}|⟨|{", in_chinese)


async def test_a_figure_without_a_grade_says_why(look: Look) -> None:
    """The variable-speed machine, whose row is blank in our source, as if its first window had closed."""
    view = await look("zh-CN")
    await view.show("#/assets", "tr.asset")
    script = """async () => {
        const names = ["bands", "words", "format"];
        const [bands, words, format] = await Promise.all(names.map((m) => import(`/js/${m}.js`)));
        const t = await words.loadWords("zh-CN");
        const {kpis} = await (await fetch("/api/assets/compressor-1")).json();
        const shown = bands.figures({t, format: format.createFormat(t, "UTC")}, () => {});
        shown.take(kpis.map((kpi) => ({...kpi, value: 6, end_ns: 1e18})));
        return [...shown.node.querySelectorAll(".standard")].map((told) => told.textContent);
    }"""
    (told,) = [words for words in await view.page.evaluate(script) if words.startswith("未分级")]
    assert "变频喷油螺杆" in told


async def _until_said(page: Page, words: str) -> None:
    """Wait until the line below the curve says something."""
    await page.locator(".trend-said", has_text=words).wait_for()


def _questions(page: Page) -> list[dict[str, str]]:
    """Return a list that fills with the parameters of every question to the history."""
    asked: list[dict[str, str]] = []

    def note(url: str) -> None:
        parts = urlsplit(url)
        if parts.path == "/api/query" and ".state." not in url:
            asked.append({name: values[0] for name, values in parse_qs(parts.query).items()})

    page.on("request", lambda request: note(request.url))
    return asked
