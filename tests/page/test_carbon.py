"""The carbon account in a browser: the ledger's figures to the gram, corrections, the report for who may have it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Route

from config.model import Api
from tests.page.conftest import Look
from tests.page.plant import Plant
from tests.page.view import LOOKS, Language, Theme
from tests.services.ports import free_port
from tests.tanflow.asked_plant import HOUR_S, Asked, asked_plant
from tests.tanflow.test_api_carbon import NOW_S, a_month, restate

Booked = tuple[Asked, str]
JANUARY = "#/carbon?year=2025&month=1"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def booked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Booked]:
    """Yield a plant with two booked months, the first restated, and the address of its page."""
    folder: Path = tmp_path_factory.mktemp("booked")
    async with asked_plant(folder, NOW_S) as plant:
        await a_month(plant)
        restate(plant, 0.5)
    async with asked_plant(folder, NOW_S + HOUR_S) as plant:
        api = Api(port=free_port())
        page = Plant(plant.gateway, api, folder)
        await page.answer()
        yield plant, page.base
        await page.fall_silent()


@pytest.mark.parametrize(("language", "theme", "size"), LOOKS)
async def test_it_is_sound_in_every_look(
    look: Look, booked: Booked, language: Language, theme: Theme, size: tuple[int, int]
) -> None:
    view = await look(language, theme, size, base=booked[1])
    for address in ("#/carbon?year=2025", "#/carbon?year=2024"):
        await view.show(address, ".carbon-grid:not([hidden])")
        await view.sane()


async def test_the_figures_are_those_of_the_ledger_to_the_gram(look: Look, booked: Booked) -> None:
    plant, base = booked
    january = (await plant.get("/api/carbon?year=2025"))["months"][0]
    view = await look(base=base)
    await view.show(JANUARY, ".scopes tbody tr")
    rows = [line.split("\t") for line in (await view.text(".scopes tbody")).splitlines() if "\t" in line]
    one, two, three, total = [[float(cell.replace(",", "")) for cell in row[-2:]] for row in rows]
    assert one == [pytest.approx(january["scope1"], abs=6e-4)] * 2
    assert two == [pytest.approx(january[f"scope2_{side}"], abs=6e-4) for side in ("location", "market")]
    sums = [sum(column) for column in zip(one, two, three, strict=True)]
    assert total == pytest.approx(sums, abs=2e-3)
    assert total[0] != total[1]
    lines = await view.text(".of-lines")
    assert f"{january['scope2_location']:,.3f}" in lines  # the lines are those of the month


async def test_a_correction_says_who_why_and_how_much(look: Look, booked: Booked) -> None:
    plant, base = booked
    (told,) = (await plant.get("/api/carbon?year=2025"))["restatements"]
    view = await look(base=base)
    await view.show("#/carbon?year=2025", ".of-restatements tbody tr")
    said = await view.text(".of-restatements tbody tr")
    assert f"{told['difference_kg']:,.3f}".replace("-", "") in said
    for words in ("Li", "approved by Wang", "factor of 2023", "2025-01", "restatement"):
        assert words in said
    assert (await plant.get("/api/carbon?year=2025"))["head"]["hash"] in await view.text(".of-head")


async def test_a_month_is_picked_in_the_table(look: Look, booked: Booked) -> None:
    view = await look(base=booked[1])
    await view.show("#/carbon?year=2025", ".of-months tbody tr")
    await view.page.get_by_role("button", name="Show Feb alone").click()
    await view.page.wait_for_function("() => document.querySelector('.of-scopes h2').textContent === 'February 2025'")
    assert view.page.url.endswith("#/carbon?year=2025&month=2")


async def test_a_report_is_downloaded(look: Look, booked: Booked) -> None:
    view = await look(base=booked[1])
    await view.show(JANUARY, "form.report")
    await view.page.get_by_label("Format").select_option("json")
    async with view.page.expect_download() as download:
        await view.page.get_by_role("button", name="Download").click()
    file = await download.value
    path = await file.path()
    assert file.suggested_filename.endswith(".json")
    content = await asyncio.to_thread(lambda: json.loads(Path(path).read_text("utf-8")))
    assert content["cover"]["ledger"]["seq"] > 0


async def test_who_may_not_export_is_told_so(look: Look, booked: Booked) -> None:
    view = await look(base=booked[1])

    async def as_viewer(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(json=await answer.json() | {"role": "viewer", "permissions": ["read"]})

    await view.page.route("**/api/me", as_viewer)
    await view.show(JANUARY, ".of-report")
    assert await view.page.locator("form.report").count() == 0
    assert "not download" in await view.text(".of-report")
