"""Signing in, in a browser: who may not is asked, who may sees what the role allows and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import expect

from tanflow.web.access.users import User, changing
from tests.page.conftest import Look
from tests.page.plant import Plant, running
from tests.page.view import LOOKS, Language, View

PASSWORD = "correct-horse-7-battery"
REFUSED = "status of 401"  # the browser itself tells of each


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(tmp_path_factory: object) -> AsyncIterator[Plant]:
    folder: Path = tmp_path_factory.mktemp("guarded")  # type: ignore[attr-defined]
    async with running(folder) as plant:
        with changing(plant.data) as users:
            users["li.wei"] = User.of("operator", PASSWORD)
            users["chen"] = User.of("viewer", PASSWORD)
        yield plant


async def door(look: Look, guarded: Plant, address: str = "", language: Language = "en") -> View:
    """Open an address as somebody who has not signed in."""
    view = await look(language, base=guarded.base)
    view.allowed.append(REFUSED)
    await view.show(address, ".sign-in")
    return view


async def sign_in(view: View, user: str, password: str = PASSWORD) -> None:
    await view.page.locator("#user").fill(user)
    await view.page.locator("#password").fill(password)
    await view.page.keyboard.press("Enter")


async def test_it_is_sound_in_every_look(look: Look, guarded: Plant) -> None:
    for language, theme, size in LOOKS:
        view = await look(language, theme, size, guarded.base)
        view.allowed.append(REFUSED)
        await view.show("", ".sign-in")
        assert "dongguan-1" in await view.text("h1")
        await expect(view.page.locator("#user")).to_be_focused()
        await view.sane()


async def test_a_wrong_password_is_told_and_nothing_is_seen(look: Look, guarded: Plant) -> None:
    view = await door(look, guarded, "#/alerts")
    await sign_in(view, "li.wei", "not the password")
    await expect(view.page.get_by_role("alert").last).to_have_text("Name or password is wrong.")
    await expect(view.page.locator("#password")).to_have_value("")
    assert await view.page.locator(".alert, #nav a").count() == 0


async def test_an_operator_may_acknowledge_and_signs_out(look: Look, guarded: Plant) -> None:
    view = await door(look, guarded, "#/alerts")
    await sign_in(view, "li.wei")
    await view.page.wait_for_selector(".alert .acts button")
    await view.page.reload()
    await view.page.wait_for_selector(".alert .acts button")  # the session is the cookie's
    await view.page.locator("#settings").click()
    await expect(view.page.locator("#menu")).to_contain_text("li.wei, operator")
    await view.page.get_by_role("button", name="Sign out").click()
    await view.page.wait_for_selector(".sign-in")


async def test_a_viewer_sees_alerts_without_buttons(look: Look, guarded: Plant) -> None:
    view = await door(look, guarded, "#/alerts", "zh-CN")
    await sign_in(view, "chen")
    await view.page.wait_for_selector(".alert")
    assert await view.page.locator(".alert button").count() == 0


async def test_who_is_put_out_is_asked_again(look: Look, guarded: Plant) -> None:
    view = await door(look, guarded)
    await sign_in(view, "chen")
    await view.page.wait_for_selector(".strip")
    await view.page.context.clear_cookies()
    await view.page.wait_for_selector(".sign-in")
    await sign_in(view, "chen")
    await view.page.wait_for_selector(".strip")
