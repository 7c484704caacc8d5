"""The gateway in a browser: its state and connections, dead letters, raw words with all their readings, and acts."""

from __future__ import annotations

import pytest
from playwright.async_api import Route

from pipeline.acts import ACT_KEY, Act, record
from pipeline.log.writer import DeadLetter, Entry
from tests.page.conftest import Look
from tests.page.plant import Plant
from tests.page.view import LOOKS, Language, Theme

PARTS = {
    "": ".figures .figure",
    "/letters": "[role=status]",
    "/commissioning?device=main-meter.meter": ".reading.configured",
    "/commissioning?device=furnace-1.plc": ".commissioning td",
    "/commissioning?device=pv-1.inverter": ".message pre",
    "/commissioning?device=chiller-1.controller": ".of-records td",  # long names
    "/acts": "[role=status]",
}


@pytest.mark.parametrize(("language", "theme", "size"), LOOKS)
async def test_it_is_sound_in_every_look(look: Look, language: Language, theme: Theme, size: tuple[int, int]) -> None:
    view = await look(language, theme, size)
    for address, shown in PARTS.items():
        await view.show(f"#/gateway{address}", shown)
        await view.readable()
    for address in ("", "/commissioning?device=main-meter.meter"):
        await view.show(f"#/gateway{address}", PARTS[address])
        await view.accessible()


async def test_every_connection_and_component_is_told(look: Look, plant: Plant) -> None:
    view = await look()
    await view.show("#/gateway", "table")
    shown = await view.text("main")
    for name in plant.gateway.board.components:
        assert name.removeprefix("collector.") in shown
    assert "4 of 4 answer" in shown
    row = await view.text("tbody tr:has-text('floor')")
    assert " ms" in row
    assert {"Misses", "Latency"} <= set((await view.text("thead")).split("\t"))
    before = await view.text(".figures div:nth-child(6) .figure")
    await view.page.wait_for_function(
        "before => document.querySelector('.figures div:nth-child(6) .figure').textContent !== before", arg=before
    )


async def test_a_dead_letter_is_shown_with_its_reason_and_first_bytes(look: Look, plant: Plant) -> None:
    letter = DeadLetter(
        plant.gateway.clock.now_ns(), "collector.broker", "dongguan-1/pv-1", "no JSON: «½»", b'{"power_kw": 1'
    )
    await plant.gateway.log.append(Entry(dead=[letter]))
    view = await look()
    await view.show("#/gateway/letters", "tbody tr")
    said = await view.text("tbody tr")
    for words in ("collector.broker", "dongguan-1/pv-1", "no JSON: «½»", "7b 22 70", '{"power_kw"'):
        assert words in said


async def test_raw_words_are_read_in_every_way_and_the_expected_value_is_found(look: Look) -> None:
    view = await look()
    await view.show("#/gateway/commissioning?device=compressor-1.meter", ".reading.configured")
    assert await view.text(".of-readings h2") == "Readings of voltage_l1_n"
    assert await view.page.locator(".reading.configured").count() == 1
    await view.page.get_by_label("Hold").check()
    shown = (await view.text("tbody tr:has-text('frequency') td:nth-child(5)")).replace("Hz", "").strip()
    await view.page.get_by_label("Expected value").fill(shown)
    assert "near" in await view.text(".answer [role=status]")
    await view.page.get_by_role("button", name="frequency", exact=True).click()
    near = view.page.locator(".of-readings .reading.near.configured")
    await near.wait_for()
    assert float((await near.inner_text()).split()[0]) == pytest.approx(float(shown))
    assert await view.text(".of-readings h2") == "Readings of frequency"
    near_it = await view.page.evaluate(
        "async () => { const {near} = await import('/js/commissioning_match.js');"
        " return [near(230, 229), near(23000, 229), near(240, 229), near(null, 1), near(0, 0)]; }"
    )
    assert near_it == [{"power": 0}, {"power": -2}, None, None, {"power": 0}]


async def test_acts_are_listed_newest_first(look: Look, plant: Plant) -> None:
    gateway = plant.gateway
    series = gateway.table.ids[ACT_KEY]
    for what in ("login", "acknowledge"):
        act = Act("li.wei", "operator", what, {"note": f"after {what}"})
        await record(gateway.log, gateway.clock, gateway.table.revision, series, act)
    view = await look()
    await view.show("#/gateway/acts", "tbody tr")
    rows = await view.page.locator("tbody tr").all_inner_texts()
    first = next(i for i, row in enumerate(rows) if "after acknowledge" in row)
    assert "li.wei" in rows[first]
    assert "acknowledged" in rows[first]
    assert "after login" in rows[first + 1]


async def test_a_viewer_is_offered_neither_raw_words_nor_acts(look: Look) -> None:
    view = await look()

    async def as_viewer(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(json=await answer.json() | {"role": "viewer", "permissions": ["read"]})

    await view.page.route("**/api/me", as_viewer)
    await view.show("#/gateway", ".figures .figure")
    assert (await view.text(".parts")).split("\n") == ["State", "Dead letters"]
    await view.show("#/gateway/acts", ".empty")
    assert "auditors" in await view.text("main")


async def test_a_display_is_compared_and_the_record_is_shown(look: Look, plant: Plant) -> None:
    view = await look()
    await view.show("#/gateway/commissioning?device=main-meter.meter", ".of-records tbody tr")
    missing = await view.page.locator(".of-records tbody tr:has-text('no record')").count()
    await view.page.select_option(".of-records select", "main-meter.energy_import")
    await view.page.fill(".of-records input[name=shown]", "1.5")
    await view.page.fill(".of-records input[name=by]", "Li")
    await view.page.fill(".of-records input[name=serial]", "AB-7")
    await view.page.click(".of-records button.main")
    await view.page.wait_for_selector(".of-records tbody tr:has-text('AB-7')")
    assert "Recorded: the display shows 1.5" in await view.text(".of-records [role=status]")
    assert await view.page.locator(".of-records tbody tr:has-text('no record')").count() == missing - 1
    await view.readable()
    rows = plant.gateway.log.reader.query("SELECT about FROM acts WHERE what = 'commission'")
    assert '"shown":"1.5"' in rows[-1][0]
