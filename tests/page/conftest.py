"""One browser for all tests of the page and one factory with its gateway; they live in one event loop."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.page.plant import Plant, running
from tests.page.view import WIDE, Language, Theme, View, opened
from tests.waiting import DEADLINE_S

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"  # Debian's; scripts/needs installs it, nothing is downloaded here
expect.set_options(timeout=DEADLINE_S * 1000)
Look = Callable[..., Awaitable[View]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every test in this folder run in the loop its browser and gateway live in."""
    for item in items:
        if HERE in item.path.parents and isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=DEADLINE_S * 1000)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plant(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plant]:
    async with running(tmp_path_factory.mktemp("factory")) as plant:
        yield plant


@pytest_asyncio.fixture(loop_scope="session")
async def look(browser: Browser, plant: Plant) -> AsyncIterator[Look]:
    """Yield a function that opens the page for a new reader; each must have been sound to the end."""
    views: list[View] = []

    async def open_one(
        language: Language = "en", theme: Theme = "light", size: tuple[int, int] = WIDE, base: str = ""
    ) -> View:
        views.append(await opened(browser, base or plant.base, language, theme, size))
        return views[-1]

    yield open_one
    for view in views:
        await view.page.context.close()
    for view in views:
        view.sound()
