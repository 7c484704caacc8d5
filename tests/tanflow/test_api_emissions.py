"""What the account says, over HTTP: the same integers as in the ledger, by the site's months, days and hours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.model import Api
from tanflow.web.app import application
from tests.carbon.plant import GAS, HOUR_S, IMPORT, Plant, open_plant

DAY_S = 24 * HOUR_S
LOCATION = {"stream": "main.electricity", "scope": 2, "method": "location"}


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[tuple[Plant, httpx.AsyncClient]]:
    async with open_plant(folder) as plant:
        app = application(plant.gateway, Api(), "").app
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield plant, client


async def booked(plant: Plant) -> None:
    """Book 100 kWh in the last hour of the first of January, 50 kWh and 10 m³ in the first hour of the second."""
    await plant.append(IMPORT, [DAY_S, DAY_S + HOUR_S], [100.0, 50.0], HOUR_S)
    await plant.append(GAS, [DAY_S + HOUR_S], [10.0], HOUR_S)
    await plant.tick(2 * DAY_S)
    await plant.book()


def of(found: dict[str, Any], line: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {row["period"]: row for row in found["rows"] if all(row[k] == v for k, v in line.items())}


async def test_days_are_those_of_the_site(tmp_path: Path) -> None:
    async with asking(tmp_path) as (plant, client):
        await booked(plant)
        found = (await client.get("/api/emissions?from=2025-01-01&to=2025-01-03&by=day")).json()
        days = of(found, LOCATION)
        assert {day: row["energy_kwh"] for day, row in days.items()} == {0: 100.0, 1: 50.0}
        assert days[0]["co2e_kg"] == pytest.approx(100 * 0.4403)  # Guangdong, data of 2022
        assert days[0]["covered"] == 1.0
        assert len(found["head"]["hash"]) == 64


async def test_hours_months_and_years_add_up_to_the_same(tmp_path: Path) -> None:
    async with asking(tmp_path) as (plant, client):
        await booked(plant)
        totals = set()
        for by in ("hour", "day", "month", "year"):
            found = (await client.get(f"/api/emissions?from=2025-01-01&to=2025-02-01&by={by}")).json()
            totals.add(round(sum(row["co2e_kg"] for row in found["rows"]), 6))
        assert len(totals) == 1


async def test_the_account_is_shown_as_it_stood(tmp_path: Path) -> None:
    async with asking(tmp_path) as (plant, client):
        await booked(plant)
        before = (await client.get("/api/emissions?from=2025-01-01&to=2025-02-01")).json()
        await plant.append(IMPORT, [DAY_S], [1.0], 0)
        await plant.tick(3 * DAY_S)
        await plant.book()
        now = (await client.get("/api/emissions?from=2025-01-01&to=2025-02-01")).json()
        then = (await client.get(f"/api/emissions?from=2025-01-01&to=2025-02-01&as_of={before['head']['seq']}")).json()
        assert then["rows"] == before["rows"]
        assert of(now, LOCATION)[0]["energy_kwh"] == 151.0


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("from=gestern", "is no day"),
        ("from=2025-02-01&to=2025-01-01", "must be later"),
        ("from=2020-01-01&to=2025-01-01&by=hour", "more than 1000 periods"),
        ("from=2020-01-01&to=2025-01-01&by=day", "more than 1000 periods"),
        ("from=0001-01-01&to=9999-12-31&by=month", "not between the years 1970 and 2200"),
        ("from=1970-01-01&to=2199-12-31&by=month", "more than 1000 periods"),
        ("by=week", "none of"),
        ("as_of=-3", "no block"),
        ("until=2025-01-01", "unknown parameter"),
    ],
)
async def test_what_cannot_be_meant_is_a_sentence(tmp_path: Path, question: str, says: str) -> None:
    async with asking(tmp_path) as (_, client):
        answer = await client.get(f"/api/emissions?{question}")
        assert answer.status_code == 400
        assert says in answer.json()["error"]
