"""Alerts in a browser: what is open, pending, over and silenced, why one fired, and what people may do about it."""

from __future__ import annotations

import pytest
from playwright.async_api import Route, expect

from tests.page.conftest import Look
from tests.page.plant import ADVICE, FIRES, WAITS, WARNS, Plant
from tests.page.view import LOOKS, Language, Theme

ADDRESSES = {
    "": ".alert.critical",
    "?show=pending": ".alert",
    "?show=ended": ".filters",
    "?show=silences": ".card",
}


@pytest.mark.parametrize(("language", "theme", "size"), LOOKS)
async def test_it_is_sound_in_every_look(
    look: Look, plant: Plant, language: Language, theme: Theme, size: tuple[int, int]
) -> None:
    view = await look(language, theme, size)
    for address, shown in ADDRESSES.items():
        await view.show(f"#/alerts{address}", shown)
        await view.sane()
    episode = next(e for e in plant.gateway.desk.open.values() if e.name == FIRES)
    await view.show(f"#/alerts/{episode.id}", ".alert-head")
    await view.page.wait_for_selector(".chart canvas")
    await view.sane()
    await view.page.locator(".acts button").last.click()
    await view.page.wait_for_selector("dialog[open]")
    await view.sane()


async def test_the_gravest_comes_first_with_what_to_do(look: Look) -> None:
    view = await look()
    await view.show("#/alerts", ".alert")
    first = view.page.locator(".alert").first
    said = await first.inner_text()
    assert FIRES in said
    assert ADVICE in said
    assert "main-meter" in said
    assert "limit 1 kW" in said
    assert await first.locator("svg[role=img]").get_attribute("aria-label") == "critical"


async def test_what_is_about_to_fire_is_told_apart(look: Look) -> None:
    view = await look()
    await view.show("#/alerts?show=pending", ".alert")
    assert WAITS in await view.text("ul.alerts")
    assert FIRES not in await view.text("ul.alerts")


async def test_why_it_fired_is_a_curve_with_its_limit_and_a_sentence(look: Look, plant: Plant) -> None:
    view = await look()
    episode = next(e for e in plant.gateway.desk.open.values() if e.name == WARNS)
    await view.show(f"#/alerts/{episode.id}", ".alert-head")
    await view.page.wait_for_selector(".chart canvas")
    assert "Fires when compressor-1.power is above 1 kW; over again below 0.5 kW." in await view.text(".rule")


@pytest.mark.parametrize(("unit", "lines"), [("kW", ["Watched value", "Limit"]), ("s", ["Watched value"])])
async def test_a_limit_is_drawn_among_values_of_its_own_unit_only(
    look: Look, plant: Plant, unit: str, lines: list[str]
) -> None:
    """What is frozen is shown by a power; its limit, 900 s, is no 900 kW."""
    view = await look()
    episode = next(e for e in plant.gateway.desk.open.values() if e.name == WARNS)

    async def answer(route: Route) -> None:
        found = await (await route.fetch()).json()
        for alert in found["alerts"]:
            alert["unit"] = unit
        await route.fulfill(json=found)

    await view.page.route("**/api/alerts*", answer)
    await view.show(f"#/alerts/{episode.id}", ".alert-head")
    await view.page.wait_for_selector(".chart canvas")
    legend = "echarts.getInstanceByDom(document.querySelector('canvas').closest('.chart')).getOption().legend[0].data"
    assert await view.page.evaluate(f"{legend}.map((one) => one.name)") == lines


async def test_an_alert_that_is_not_there_says_so(look: Look) -> None:
    view = await look()
    await view.show("#/alerts/nothing.none@1", "h1")
    await expect(view.page.locator("h1")).to_contain_text("There is no alert")


async def test_acknowledging_takes_it_from_the_open_ones(look: Look, plant: Plant) -> None:
    view = await look()
    await view.show("#/alerts", ".alert")
    row = view.page.locator(".alert", has_text=WARNS)
    await row.get_by_role("button", name="Acknowledge").click()
    await view.page.get_by_label("Note").fill("I am looking <b>at it</b>")
    await view.page.locator("dialog").get_by_role("button", name="Acknowledge").click()
    await expect(row).to_have_count(0)
    await view.page.get_by_role("button", name="Acknowledged").click()
    await expect(view.page.locator(".alert", has_text=WARNS)).to_contain_text("“I am looking <b>at it</b>”")
    (episode,) = [e for e in plant.gateway.desk.open.values() if e.name == WARNS]
    assert episode.acknowledged is not None
    await view.show(f"#/alerts/{episode.id}", ".alert-head")
    await expect(view.page.locator("table")).to_contain_text("acknowledged")


async def test_silencing_needs_a_reason_and_can_be_ended(look: Look, plant: Plant) -> None:
    view = await look()
    await view.show("#/alerts", ".alert")
    row = view.page.locator(".alert", has_text=FIRES)
    await row.get_by_role("button", name="Silence").click()
    dialog = view.page.locator("dialog")
    await dialog.get_by_role("button", name="Silence").click()
    assert await dialog.count() == 1  # without a reason nothing is sent
    await dialog.get_by_label("8 h").check()
    await dialog.get_by_label("Why").fill("works on the roof")
    await dialog.get_by_role("button", name="Silence").click()
    await expect(row).to_contain_text("works on the roof")
    (silence,) = plant.gateway.desk.silences.values()
    assert silence.until_ns - silence.from_ns == pytest.approx(8 * 3_600e9, abs=60e9)
    await view.page.get_by_role("button", name="Silences").click()
    await expect(view.page.get_by_role("table")).to_contain_text("works on the roof")
    await view.page.get_by_role("button", name="End now").click()
    await expect(view.page.locator(".page")).to_contain_text("Nothing is silenced.")
    assert not plant.gateway.desk.silences


async def test_escape_leaves_a_dialog_and_the_focus_returns(look: Look) -> None:
    view = await look()
    await view.show("#/alerts", ".alert")
    button = view.page.locator(".alert").first.get_by_role("button", name="Silence")
    await button.focus()
    await view.page.keyboard.press("Enter")
    await expect(view.page.get_by_label("Why")).to_be_focused()
    await view.page.keyboard.press("Escape")
    await expect(view.page.locator("dialog")).to_have_count(0)
    await expect(button).to_be_focused()
