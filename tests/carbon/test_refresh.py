"""Virtual meters follow whatever changes their parts: late amounts, a corrected ratio; their factors stay."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from pathlib import Path

import pytest

from carbon.entries import MICRO, MeterVersion
from carbon.factor import Factor, FactorSteps
from carbon.ledger import Ledger, Reason, verify
from carbon.refresh import following, refresh_virtual
from carbon.report.places import places
from carbon.report.tally import Tally
from carbon.restate import Correction, Span, restate_activity, restate_factors
from pipeline.factors import Provenance
from tanflow.cli import main
from tests.carbon.plant import CONFIG, HOUR_S, IMPORT, PRESS, START_NS, Plant, open_plant

DAY_NS = 24 * HOUR_S * 1_000_000_000
ACCOUNT = """
accounting:
  virtual: {rest: {asset: tenant, plus: [main.electricity], minus: [press.electricity]}}
  meters: {Q2: {device: press.m, serial: A2, accuracy: 1, ct: {ratio: 400/5}}}
"""
VIRTUAL = CONFIG.replace("connections:", ACCOUNT + "connections:", 1).replace(
    "      oven:", "      tenant: {type: building, fed_by: main}\n      oven:", 1
)
REST = "tenant.electricity.rest/2/purchased_electricity/location"
OTHER = Factor("a/b/c/2025", "kWh", (0.25, 0, 0, 0, 0), 1.0, Provenance("a", "b", 2025, "2025", "co2", "c"))


async def one_hour(plant: Plant) -> Span:
    """100 kWh at the main meter, 60 of them in the press: 40 are the tenant's."""
    await plant.append(IMPORT, [HOUR_S], [100.0], HOUR_S)
    await plant.append(PRESS, [HOUR_S], [60.0], HOUR_S)
    await plant.tick(2 * HOUR_S)
    await plant.book()
    return Span(START_NS, START_NS + DAY_NS, plant.gateway.books.zone)


async def test_a_virtual_meter_is_part_of_what_its_parts_count(tmp_path: Path) -> None:
    async with open_plant(tmp_path, VIRTUAL) as plant:
        await one_hour(plant)
        with Ledger.open(plant.folder) as ledger:
            roles = {line.stream: line.role for line in ledger.lines.values()}
        assert roles["tenant.electricity.rest"] == "breakdown"
        assert plant.kwh(REST) == {0: 40.0}


async def test_a_corrected_ratio_moves_what_follows_from_the_meter(tmp_path: Path) -> None:
    async with open_plant(tmp_path, VIRTUAL) as plant:
        span = await one_hour(plant)
        with Ledger.open(plant.folder, write=True) as ledger:
            (number, version), *_ = [(n, v) for n, v in ledger.meters.items() if v.meter == "Q2"]
            right = MeterVersion(**version.to_json() | {"ratio": 60.0})
            corrections = {number: Correction(right, Fraction(3, 4))}
            said = Reason("restatement", "the plate says 300/5", "Li")
            follow = following(ledger, plant.gateway.books)
            measured = {n for n, line in ledger.lines.items() if line.asset == "press"}
            difference = restate_activity(ledger, measured, corrections, span, said, follow=follow)
            told = {row["line"]: row for row in difference.rows(ledger.lines)}
            again = restate_activity(ledger, measured, corrections, span, said, follow=follow)
        # 400/5 was 300/5: 60 kWh were 45, so that 55 of the 100 are the tenant's.
        assert plant.kwh("press.electricity/2/purchased_electricity/location") == {0: 45.0}
        assert plant.kwh(REST) == {0: 55.0}
        assert (told[REST]["energy_kwh_before"], told[REST]["energy_kwh_after"]) == (40.0, 55.0)
        assert again.changed == 0
        assert not verify(plant.folder, None).problems


async def test_a_restated_factor_stays_when_parts_change(tmp_path: Path) -> None:
    async with open_plant(tmp_path, VIRTUAL) as plant:
        span = await one_hour(plant)
        with Ledger.open(plant.folder, write=True) as ledger:
            (rest,) = [n for n, line in ledger.lines.items() if line.key == REST]
            restate_factors(ledger, {rest: FactorSteps.constant(OTHER)}, span, Reason("restatement", "x", "Li"))
            with ledger.writing() as w:
                assert refresh_virtual(ledger, w, plant.gateway.books, span.start_ns, span.end_ns) == 0
        assert plant.kg(REST) == {0: 10.0}
        await plant.append(PRESS, [HOUR_S], [20.0], 0)
        await plant.tick(3 * HOUR_S)
        await plant.book()
        assert plant.kwh(REST) == {0: 20.0}
        assert plant.kg(REST) == {0: 5.0}  # 20 kWh at 0.25


async def test_a_virtual_meter_on_a_metered_asset_is_not_added_to_it_in_the_report(tmp_path: Path) -> None:
    async with open_plant(tmp_path, VIRTUAL.replace("rest: {asset: tenant", "rest: {asset: main")) as plant:
        span = await one_hour(plant)
        with Ledger.open(plant.folder) as ledger:
            tally = Tally.of(ledger.sums([span.start_ns, span.end_ns]), ledger.lines, ledger.factors, 1)
        (main,) = places(tally, {"press": "main"})
        assert main.amounts[0] == 100_000_000
        assert main.rest[0] == 40_000_000


def test_a_filled_gap_moves_what_follows_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def book() -> None:
        async with open_plant(tmp_path, VIRTUAL) as plant:
            await plant.append(IMPORT, [HOUR_S, 2 * HOUR_S, 3 * HOUR_S], [100.0] * 3, HOUR_S)
            await plant.append(PRESS, [HOUR_S, 3 * HOUR_S], [60.0] * 2, HOUR_S)
            await plant.tick(4 * HOUR_S)
            await plant.book()

    asyncio.run(book())
    said = "gaps fill --by Li --approved-by Wang --reason outage --stream press.electricity --counted 70"
    days = "--from 2025-01-01 --to 2025-01-02 -c gateway.yaml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["tanflow", *said.split(), *days.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    with Ledger.open(tmp_path / "data") as ledger:
        (rest,) = [n for n, line in ledger.lines.items() if line.key == REST]
        assert [a // MICRO for rows in ledger.read(lines={rest}) for a in rows.amount.tolist()] == [40, 30, 40]
