"""What stands around the pages: going about by keyboard, language and colours, a connection that is lost, the wall."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.page.conftest import Look
from tests.page.plant import Plant
from tests.page.view import NARROW

PAGES = {"Overview": ".strip", "Assets": ".page.assets h1", "Alerts": ".page.alerts h1", "Carbon": ".page.carbon h1",
         "Gateway": ".page.gateway h1"}  # fmt: skip


async def test_every_page_is_reached_by_its_name_and_named_in_the_title(look: Look) -> None:
    view = await look()
    await view.show("", ".strip")
    for name, shown in PAGES.items():
        link = view.page.locator("#nav").get_by_role("link", name=name)
        await link.click()
        await view.page.wait_for_selector(shown)
        assert await link.get_attribute("aria-current") == "page"
        title = await view.page.title()
        assert title.startswith(name)
        assert title.endswith("· dongguan-1")


async def test_the_keyboard_alone_goes_everywhere(look: Look) -> None:
    view = await look()
    await view.show("", ".strip")
    page = view.page
    await page.keyboard.press("Tab")
    await expect(page.locator("#skip")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await page.locator("#nav a").first.focus()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".alert")
    await expect(page.locator("#main")).to_be_focused()  # a screen reader goes on with the new page
    await page.locator("#settings").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#menu")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#menu")).not_to_be_visible()


async def test_an_address_that_is_none_says_so(look: Look) -> None:
    view = await look("zh-CN")
    await view.show("#/nowhere", "h1")
    await expect(view.page.locator("h1")).to_have_text("没有这个页面。")
    await view.sane()


async def test_language_and_colours_are_kept(look: Look) -> None:
    view = await look("en", "dark")
    await view.show("", ".strip")
    page = view.page
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(ground)
    await page.locator("#settings").click()
    await page.get_by_label("Colours").select_option("light")
    light = await page.evaluate(ground)
    assert dark != light
    await page.get_by_label("Language").select_option("zh-CN")
    await page.wait_for_selector("html[lang=zh-CN] .strip")
    await expect(page.locator("#nav a").first).to_have_text("总览")
    await page.reload()
    await page.wait_for_selector("html[lang=zh-CN] .strip")
    assert await page.evaluate(ground) == light


async def test_a_lost_connection_is_shown_and_a_restored_one_goes_on(look: Look, plant: Plant) -> None:
    view = await look()
    view.allowed += [
        "ERR_CONNECTION_REFUSED",
        "ERR_INCOMPLETE_CHUNKED_ENCODING",
        "ERR_CONNECTION_RESET",
        "ERR_EMPTY_RESPONSE",
    ]
    await view.show("", ".strip .power_now .amount")
    page = view.page
    await page.wait_for_selector("#state:visible")
    await expect(page.locator("#lost")).to_be_hidden()
    await plant.fall_silent()
    try:
        await expect(page.locator("#lost")).to_contain_text("No connection to the gateway since")
        assert "lost" in (await page.locator("html").get_attribute("class") or "")
        age = await view.text("#lost")
        await expect(page.locator("#state")).to_have_text("unknown")
        await expect(page.locator("#lost")).not_to_have_text(age)  # what is shown grows older before one's eyes
        assert await view.text(".strip .power_now .amount")  # old values stay, greyed
        await view.accessible()
    finally:
        await plant.answer()
    await expect(page.locator("#lost")).to_be_hidden()
    assert "lost" not in (await page.locator("html").get_attribute("class") or "")


async def test_a_gateway_that_does_not_answer_at_first_is_waited_for(look: Look, plant: Plant) -> None:
    view = await look()
    view.allowed += ["ERR_FAILED"]
    refuse = "**/api/me"
    await view.page.route(refuse, lambda route: route.abort())
    await view.page.goto(view.base)
    await expect(view.page.locator("#lost")).to_have_text("The gateway does not answer. Trying again.")
    await view.page.unroute(refuse)
    await view.page.wait_for_selector(".strip")


async def test_the_wall_shows_large_figures_and_no_navigation(look: Look) -> None:
    view = await look(size=(3840, 2160))
    await view.show("", ".strip .amount")
    size = "parseFloat(getComputedStyle(document.documentElement).fontSize)"
    desk = await view.page.evaluate(size)
    await view.show("?wall", ".strip .amount")
    assert await view.page.evaluate(size) > 1.2 * desk >= 1.2 * 20
    await expect(view.page.locator("#nav")).to_be_hidden()
    await view.sane()


async def test_a_phone_has_the_pages_at_the_thumb(look: Look) -> None:
    view = await look("zh-CN", "light", NARROW)
    await view.show("", ".strip")
    box = await view.page.locator("#nav").bounding_box()
    assert box
    assert box["y"] > NARROW[1] - 100
    await view.page.locator("#nav a").nth(2).click()
    await view.page.wait_for_selector(".alert")


async def test_the_wall_goes_round_and_stays_with_what_is_critical(look: Look) -> None:
    view = await look()
    await view.page.clock.install()
    await view.show("?wall#/overview", ".strip .amount")
    await view.page.wait_for_selector(".alert-lines li")
    await view.page.clock.run_for(31_000)
    await expect(view.page).to_have_url(re.compile("#/alerts$"))
    await view.page.wait_for_selector(".alert.critical")
    await view.page.clock.run_for(31_000)
    await expect(view.page).to_have_url(re.compile("#/alerts$"))
