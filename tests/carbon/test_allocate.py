"""Certificates and contracts of a year → market-based entries; the location-based ones never move."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbon.allocate import allocate_year, restate_market
from carbon.ledger import Ledger, verify
from carbon.register import Filed
from carbon.rows import parse
from tests.carbon.plant import CONFIG, HOUR_S, IMPORT, PRESS, Plant, open_plant

CHINA = CONFIG.replace("connections:", "accounting: {market: {uncovered: ex_market}}\nconnections:", 1)
DAY_S = 24 * HOUR_S
LOCATION, MARKET = (f"main.electricity/2/purchased_electricity/{method}" for method in ("location", "market"))


async def two_months(plant: Plant) -> None:
    """3 MWh in January and 1 MWh in February of 2025, 2 MWh of the first in the press below."""
    await plant.append(IMPORT, [10 * DAY_S, 11 * DAY_S, 40 * DAY_S], [1_000.0, 2_000.0, 1_000.0], HOUR_S)
    await plant.append(PRESS, [11 * DAY_S], [2_000.0], HOUR_S)
    await plant.tick(50 * DAY_S)
    await plant.book()


def certificate(plant: Plant, mwh: int, month: str = "2025-01") -> None:
    """Enter green certificates that were cancelled for the plant's year."""
    said = {
        "kind": "certificate", "asset": "site", "scheme": "GEC", "market": "CN", "technology": "wind",
        "production_month": month, "mwh": str(mwh), "cancelled_on": "2025-06-30",
        "first_id": "GEC0001", "last_id": f"GEC{mwh:04d}",
    }  # fmt: skip
    problems: list[str] = []
    document = parse(said, lambda column, message: problems.append(f"{column}: {message}"))
    assert document is not None, problems
    with Ledger.open(plant.folder, write=True) as ledger, ledger.writing() as w:
        w.document(Filed(0, document, "", "a test", "Li", "Wang").to_json())


def restate(plant: Plant) -> tuple[float, ...]:
    with Ledger.open(plant.folder, write=True) as ledger:
        allocated = allocate_year(plant.gateway.books, ledger, 2025)
        difference = restate_market(plant.gateway.books, ledger, 2025, allocated, "Li")
        return float(difference.changed), float(sum(allocated.allocation.surplus.values()))


async def test_what_certificates_cover_counts_nothing_and_the_rest_the_uncovered_figure(tmp_path: Path) -> None:
    async with open_plant(tmp_path, CHINA) as plant:
        await two_months(plant)
        before = plant.kg(LOCATION)
        certificate(plant, 2)
        restate(plant)
        # January: 1 of 3 MWh uncovered, times 0.5856 kg/kWh (ex_market of 2022, published 2024-12-20): 585.6 kg.
        # The latest published by the first of January 2025; February 1 MWh at the same.
        assert sum(plant.kg(MARKET).values()) == pytest.approx(585.6 + 585.6, abs=1e-3)
        # Below the main meter the same share is covered: 2 of the 3 MWh, so 2/3 of its 2 MWh.
        assert sum(plant.kg("press.electricity/2/purchased_electricity/market").values()) == pytest.approx(
            2_000 / 3 * 0.5856, abs=1e-3
        )
        assert plant.kg(LOCATION) == before
        assert not verify(plant.folder, None).problems


async def test_allocating_twice_changes_nothing(tmp_path: Path) -> None:
    async with open_plant(tmp_path, CHINA) as plant:
        await two_months(plant)
        certificate(plant, 2)
        assert restate(plant)[0] > 0
        assert restate(plant)[0] == 0


async def test_never_more_is_covered_than_was_bought(tmp_path: Path) -> None:
    async with open_plant(tmp_path, CHINA) as plant:
        await two_months(plant)
        certificate(plant, 9)
        _, surplus = restate(plant)
        assert surplus == 5_000 * 1e6  # 9 MWh for the 4 MWh of the year
        assert sum(plant.kg(MARKET).values()) == 0
