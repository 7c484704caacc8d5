"""The overview in a browser: figures of the running factory that change, in every look, readable for everyone."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.page.conftest import Look
from tests.page.plant import FIRES
from tests.page.view import LOOKS, NARROW, Language, Theme

POWER = ".strip .power_now .amount"


@pytest.mark.parametrize(("language", "theme", "size"), LOOKS)
async def test_it_is_sound_in_every_look(look: Look, language: Language, theme: Theme, size: tuple[int, int]) -> None:
    view = await look(language, theme, size)
    await view.show("#/overview", ".alert-lines li")
    await view.page.wait_for_selector(".flow canvas, .flow table")
    assert FIRES in await view.text(".alert-lines")
    await view.sane()


async def test_its_figures_live(look: Look) -> None:
    view = await look()
    await view.show("#/overview", POWER)
    power = view.page.locator(POWER)
    await expect(power).to_have_text(re.compile(r"\d"))
    await expect(power).not_to_have_text(await power.inner_text())


async def test_what_is_unknown_is_no_zero(look: Look) -> None:
    view = await look()
    await view.show("#/overview", ".strip .cost_today .amount")
    assert await view.text(".strip .cost_today .figure") == "–"  # the demo has no tariff
    assert "no tariff" in await view.text(".strip .cost_today")


async def test_the_flow_is_a_diagram_or_a_table_of_energy_or_carbon(look: Look) -> None:
    view = await look()
    await view.show("#/overview", ".flow canvas")
    flow = view.page.locator(".flow")
    await flow.get_by_role("button", name="Table").click()
    table = flow.get_by_role("table")
    await table.wait_for()
    head = await table.locator("thead").inner_text()
    assert "kW" in head
    assert "kg/h CO₂e" in head
    assert await table.locator("tbody tr").count() >= 5
    await flow.get_by_role("button", name="Today").click()
    await expect(table.locator("thead")).to_contain_text("kWh")
    await flow.get_by_role("button", name="Diagram").click()
    await view.page.wait_for_selector(".flow canvas:visible")
    await flow.get_by_role("button", name="CO₂e").click()
    await expect(flow).to_contain_text("emissions since midnight")
    assert await flow.locator(".sankey").get_attribute("role") == "img"


async def test_a_phone_gets_the_flow_as_a_table(look: Look) -> None:
    view = await look(size=NARROW)
    await view.show("#/overview", ".flow table")


async def test_an_alert_leads_to_its_page(look: Look) -> None:
    view = await look()
    await view.show("#/overview", ".alert-lines a")
    await view.page.locator(".alert-lines a", has_text=FIRES).click()
    await view.page.wait_for_selector(".alert-head")
    assert re.search(rf"#/alerts/main-meter\.{FIRES}(@|%40)\d+$", view.page.url)
