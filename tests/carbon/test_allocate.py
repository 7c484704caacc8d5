"""Certificates and contracts of a year → market-based entries; the location-based ones never move."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbon.ledger import Ledger, verify
from carbon.market.year import allocate_year, restate_market
from carbon.papers.register import Filed
from carbon.papers.rows import parse
from tanflow.cli import main
from tests.carbon.plant import CONFIG, HOUR_S, IMPORT, PRESS, SUN, Plant, open_plant

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


EXPORTING = CHINA.replace("uncovered: ex_market", 'uncovered: ex_market, sold_mwh: {"2025-01": 0.052}').replace(
    "type: float32}}}\n      press:",
    "type: float32}}, export: {quantity: energy_index, unit: kWh, modbus: {address: 2, type: float32}}}\n      press:",
    1,
)


async def sunny_hour(plant: Plant) -> None:
    """100 kWh bought, 140 generated, 30 of them exported; so 110 of the own power were used."""
    for key, kwh in ((IMPORT, 100.0), (SUN, 140.0), ("main.export.energy", 30.0)):
        await plant.append(key, [10 * DAY_S], [kwh], HOUR_S)
    await plant.tick(50 * DAY_S)
    await plant.book()


async def market_total(plant: Plant) -> float:
    with Ledger.open(plant.folder) as ledger:
        lines = {n for n, line in ledger.lines.items() if (line.role, line.method) == ("boundary", "market")}
        return sum(float(rows.co2e.sum()) / 1e6 for rows in ledger.read(lines=lines))


async def test_own_power_whose_certificates_were_sold_counts_like_power_that_nothing_covers(tmp_path: Path) -> None:
    async with open_plant(tmp_path, EXPORTING) as plant:
        await sunny_hour(plant)
        assert await market_total(plant) == pytest.approx(100 * 0.5856, abs=1e-3)
        restate(plant)
        # Certificates of 52 kWh sold: 30 of what was exported, 22 of own use: (100 + 22) · 0.5856 kg.
        assert await market_total(plant) == pytest.approx(122 * 0.5856, abs=1e-3)
        assert plant.kwh("roof.solar/1/own_generation/factor") == {239: 140.0}
        assert plant.kwh("roof.solar/2/purchased_electricity/market") == {239: 0.0}  # its energy is counted once
        assert restate(plant)[0] == 0
        assert not verify(plant.folder, None).problems


async def test_certificates_sold_are_often_known_after_the_power_was_booked(tmp_path: Path) -> None:
    async with open_plant(tmp_path, EXPORTING.replace('sold_mwh: {"2025-01": 0.052}', "vintage: year")) as plant:
        await sunny_hour(plant)
        assert restate(plant)[0] == 0
    async with open_plant(tmp_path, EXPORTING) as plant:
        restate(plant)
        assert await market_total(plant) == pytest.approx(122 * 0.5856, abs=1e-3)
    async with open_plant(tmp_path, EXPORTING.replace("0.052", "0.2")) as plant:
        with Ledger.open(plant.folder) as ledger:
            told = allocate_year(plant.gateway.books, ledger, 2025).findings
        assert any("only 140.000 kWh were generated" in sentence for sentence in told)


async def test_the_command_shows_what_is_covered_and_writes_only_when_it_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_plant(tmp_path, CHINA) as plant:
        await two_months(plant)
        certificate(plant, 2)
    folder = plant.folder
    before = Ledger.open(folder).head()

    def call(*words: str) -> str:
        config = str(tmp_path / "gateway.yaml")
        monkeypatch.setattr("sys.argv", ["tanflow", *words, "-c", config, "--data", str(folder)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    said = call("allocate", "--year", "2025", "--by", "Li", "--dry-run")
    assert Ledger.open(folder).head() == before
    # January: 2 of 3 MWh are covered.
    assert "covered by GEC0001–GEC0002" in said
    assert "66.67 %" in said
    assert "would get a new version" in said
    said = call("allocate", "--year", "2025", "--by", "Li")
    assert "have a new version" in said
    assert Ledger.open(folder).head().seq > before.seq
    said = call("findings", "--year", "2025")
    assert "unstated: " in said
    assert said.rstrip().endswith("findings")
