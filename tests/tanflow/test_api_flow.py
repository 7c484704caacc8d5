"""Energy on its way: what comes into a node goes out of it, nothing twice, and the rest that no meter shows is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.entries import Line
from carbon.factor import GASES
from carbon.report.tally import Tally
from pipeline.clock import SECOND_NS
from tanflow.web.site.sankey import Diagram, diagram
from tests.tanflow.asked_plant import (
    DAY_S,
    EXPORT,
    GAS,
    GRID,
    HOUR_S,
    IMPORT,
    PRESS,
    START_NS,
    STEEL,
    SUN,
    Asked,
    asked_plant,
)

NOW_S = DAY_S + 10.5 * HOUR_S
Links = dict[tuple[str, str], dict[str, Any]]


async def even_flows(plant: Asked) -> None:
    """200 kW from the grid, 50 kW made of which 20 kW are given away, 80 kW at the press, gas and steel at the oven."""
    for key, rate in ((IMPORT, 200.0), (SUN, 50.0), (EXPORT, 20.0), (PRESS, 80.0), (GAS, 10.0), (STEEL, 2.0)):
        await plant.steady(key, DAY_S, int(NOW_S), rate)
    await plant.book(NOW_S)


def links(found: dict[str, Any]) -> Links:
    return {(link["source"], link["target"]): link for link in found["links"]}


async def test_today_flows_from_carriers_through_areas_to_assets_and_products(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await even_flows(plant)
        found = await plant.get("/api/flow?span=today")
        kwh = {ends: link["kwh"] / 10.5 for ends, link in links(found).items()}
        gas = plant.gateway.books.rules["oven.natural_gas"][0][1].factors[-1].kwh * 10
        assert kwh == {
            ("carrier:electricity", "area:hall"): pytest.approx(200),
            ("carrier:solar", "area:hall"): pytest.approx(30),
            ("carrier:solar", "export"): pytest.approx(20),
            ("carrier:natural_gas", "area:melting"): pytest.approx(gas),
            ("area:hall", "asset:press"): pytest.approx(80),
            ("area:hall", "rest:main"): pytest.approx(150),
            ("area:melting", "asset:oven"): pytest.approx(gas),
            ("asset:oven", "product:oven"): pytest.approx(gas),
        }
        assert (found["from_ns"], found["excess_kwh"], found["silent"]) == (START_NS + DAY_S * SECOND_NS, {}, [])
        nodes = {node["id"]: node for node in found["nodes"]}
        assert nodes["product:oven"]["amount"] == pytest.approx(21)
        assert [nodes[n]["kind"] for n in ("carrier:solar", "rest:main", "export")] == ["own", "rest", "export"]


async def test_emissions_are_those_of_what_comes_in_and_own_power_carries_none(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await even_flows(plant)
        drawn = links(await plant.get("/api/flow?span=today"))
        bought = drawn["carrier:electricity", "area:hall"]["co2e_kg"]
        assert bought == pytest.approx(10.5 * 200 * GRID)
        assert drawn["carrier:solar", "area:hall"]["co2e_kg"] == 0
        parts = [drawn["area:hall", end]["co2e_kg"] for end in ("asset:press", "rest:main")]
        assert sum(parts) == pytest.approx(bought)
        assert parts[0] == pytest.approx(bought * 80 / 230, rel=1e-6)


async def test_live_is_the_last_quarter_of_an_hour_in_kilowatts(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S + 30) as plant:
        await even_flows(plant)
        found = await plant.get("/api/flow")
        assert found["to_ns"] - found["from_ns"] == 900 * SECOND_NS
        drawn = links(found)
        assert drawn["carrier:electricity", "area:hall"]["kw"] == pytest.approx(200)
        assert drawn["area:hall", "asset:press"]["kw"] == pytest.approx(80)
        assert drawn["carrier:electricity", "area:hall"]["co2e_kg_per_h"] == pytest.approx(200 * GRID)


async def test_a_silent_meter_is_named_and_what_nobody_measured_is_no_zero(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await plant.steady(IMPORT, DAY_S, int(NOW_S), 200.0)
        await plant.book(NOW_S)
        found = await plant.get("/api/flow?span=today")
        assert found["silent"] == ["oven.natural_gas", "press.electricity", "roof.solar"]
        assert set(links(found)) == {("carrier:electricity", "area:hall"), ("area:hall", "asset:main")}


async def test_nothing_known_is_nothing_drawn(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        for span in ("15min", "today"):
            found = await plant.get(f"/api/flow?span={span}")
            assert (found["nodes"], found["links"]) == ([], [])
        answer = await plant.client.get("/api/flow?span=week")
        assert (answer.status_code, "none of" in answer.json()["error"]) == (400, True)


# ── any plant ─────────────────────────────────────────────────────────────────────────────────────

ASSETS = ("main", "hall", "mill", "saw", "fan")
AREAS = ("north", "south")


def account(rows: list[tuple[Line, int, int]]) -> Tally:
    """Return a tally of (line, energy [mWh], emissions [mg])."""
    lines = {n: line for n, (line, _, _) in enumerate(rows)}
    numbers = np.arange(len(rows), dtype=np.int64)
    zeros = np.zeros(len(rows), np.int64)
    energy, mass = (np.array([row[i] for row in rows], np.int64) for i in (1, 2))
    names = ("count", "amount", "energy", "estimated", "substituted", "covered_ns", "span_ns", *GASES, "biogenic")
    values = dict.fromkeys(names, zeros) | {"amount": energy, "energy": energy, "co2": mass}
    return Tally(lines, {}, 1, numbers, zeros, zeros, zeros, values)


def line(asset: str, area: str, role: Any, carrier: str = "electricity", kind: str = "other") -> Line:
    scope: Any = 0 if role in ("own", "export") else 2
    stream = f"{asset}.{carrier}" + (".export" if role == "export" else "")
    return Line(stream, asset, area, kind, carrier, "kWh", role, scope, "purchased_electricity", "location")


@st.composite
def plants(draw: st.DrawFn) -> tuple[Tally, dict[str, str]]:
    """Draw meters below each other in any order, with parts that may show more than the whole, own power and export."""
    energy = st.integers(0, 10**12)
    area = st.sampled_from(AREAS)
    fed_by = {name: draw(st.sampled_from(ASSETS[: n + 1])) for n, name in enumerate(ASSETS[1:])}
    rows = [(line("main", draw(area), "boundary", kind="meter"), draw(energy), draw(energy))]
    for name in draw(st.sets(st.sampled_from(ASSETS[1:]))):
        kind = draw(st.sampled_from(("meter", "other")))
        rows.append((line(name, draw(area), "breakdown", kind=kind), draw(energy), draw(energy)))
    for carrier in draw(st.sets(st.sampled_from(("solar", "wind")))):
        rows.append((line(f"{carrier}-1", draw(area), "own", carrier), draw(energy), 0))
        fed_by |= {f"{carrier}-1": "main"} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        rows.append((line("main", "north", "export"), draw(energy), 0))
    return account(rows), fed_by


def sums(drawn: Diagram, node: str, end: int, which: int) -> int:
    return sum(total[which] for ends, total in drawn.links.items() if ends[end] == node)


@given(plants())
def test_what_comes_into_a_node_goes_out_of_it(plant: tuple[Tally, dict[str, str]]) -> None:
    drawn = diagram(*plant)
    for node in drawn.nodes.values():
        if node["layer"] == "area":
            for which in (0, 1):
                assert sums(drawn, node["id"], 1, which) == sums(drawn, node["id"], 0, which)


@given(plants())
def test_all_that_comes_in_and_is_made_arrives_once(plant: tuple[Tally, dict[str, str]]) -> None:
    """Where parts show more than the meter above them, by just so much more arrives, and it is told."""
    tally, fed_by = plant
    drawn = diagram(tally, fed_by)
    energy = tally.values["energy"]
    taken = tally.add(energy, tally.energy_of("boundary"))
    made, given_away = (tally.add(energy, tally.energy_of(role)) for role in ("own", "export"))
    sold = min(made, given_away)
    arrived = sum(total[0] for ends, total in drawn.links.items() if ends[1].startswith("area:"))
    exported = sums(drawn, "export", 1, 0)
    assert exported == sold
    assert arrived == taken + made - sold + sum(drawn.excess.values())


@given(plants())
def test_emissions_of_what_comes_in_are_shared_out_and_not_doubled(plant: tuple[Tally, dict[str, str]]) -> None:
    tally, fed_by = plant
    drawn = diagram(tally, fed_by)
    arrived = sum(total[1] for ends, total in drawn.links.items() if ends[1].startswith("area:"))
    bought = sums(drawn, "carrier:electricity", 0, 0)
    assert arrived == (tally.add(tally.mass, tally.scope(2)) if bought else 0)
