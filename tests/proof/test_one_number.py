"""After a restatement a month's total is one number: in InfluxDB, the account's API, its year, the report.

What the account publishes reaches a real InfluxDB by the gateway's own sink, before the restatement and after; there
the same points are written over. Every sum is compared to the milligram; so is a day of the overview.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from typer.testing import CliRunner

from carbon.ledger import Ledger
from tanflow.cli import app
from tests.proof.running import running
from tests.services.influxd import Influxd
from tests.tanflow.asked_plant import DAY_S, GAS, GRID, IMPORT, START_NS, SUN, Asked, asked_plant
from tests.waiting import until

DATABASE = "plant"
NOW_S = 2 * DAY_S + 30 * 60  # half past midnight: today holds nothing yet
ROW = {
    "region": "CN-GD", "region_name": "Guangdong", "kind": "location_average", "value": "0.4123456", "unit": "kg/kWh",
    "gas": "co2", "data_year": "2024", "valid_from": "2024-01-01", "valid_to": "2025-12-31", "publisher": "MEE",
    "publication": "made for this test", "published_on": "2024-12-30", "source": "test", "confidence": "low",
    "licence": "none",
}  # fmt: skip
TABLE = f"{','.join(ROW)}\n{','.join(ROW.values())}\n"
LINES = (("scope1", 1, "factor"), ("scope2_location", 2, "location"), ("scope2_market", 2, "market"))
Milligrams = dict[str, int]


def mg(kg: float) -> int:
    return round(kg * 1e6)


def in_influx(influx: Influxd) -> Milligrams:
    """Return what the account's points of January sum to by scope and method."""
    found = {}
    for name, scope, method in LINES:
        where = f"\"scope\" = '{scope}' AND \"method\" = '{method}' AND \"role\" = 'boundary'"
        during = f"time > {START_NS} AND time <= {START_NS + 31 * DAY_S * 10**9}"
        rows = influx.query(
            DATABASE, f'SELECT sum("account_co2e_kg") AS kg FROM "emissions" WHERE {where} AND {during}'
        )
        found[name] = mg(sum(row["kg"] for row in rows))
    return found


async def in_emissions(plant: Asked) -> Milligrams:
    rows = (await plant.get("/api/emissions?from=2025-01-01&to=2025-02-01"))["rows"]
    return {
        name: sum(mg(r["co2e_kg"]) for r in rows if (r["scope"], r["method"], r["role"]) == (scope, method, "boundary"))
        for name, scope, method in LINES
    }


async def in_carbon(plant: Asked) -> Milligrams:
    january = (await plant.get("/api/carbon?year=2025"))["months"][0]
    return {name: mg(january[name]) for name, _, _ in LINES}


async def in_report(plant: Asked) -> Milligrams:
    january = (await plant.get("/api/report?year=2025&format=json"))["tables"]["months"]["rows"][0]
    columns = {"scope1": "scope_1_kg", "scope2_location": "scope_2_location_kg", "scope2_market": "scope_2_market_kg"}
    return {name: mg(january[column]) for name, column in columns.items()}


async def in_overview(plant: Asked) -> tuple[int, int]:
    """Return yesterday as the overview shows it [mg], by location and market."""
    whole = (await plant.get("/api/overview"))["yesterday"]["whole_day"]
    return mg(whole["co2_kg"]), mg(whole["co2_market_kg"])


async def of_the_day(plant: Asked) -> tuple[int, int]:
    """Return the same day of the ledger [mg]."""
    rows = (await plant.get("/api/emissions?from=2025-01-02&to=2025-01-03&by=day"))["rows"]
    ours = [r for r in rows if r["role"] == "boundary" and r["scope"] in (1, 2)]
    location, market = (
        sum(mg(r["co2e_kg"]) for r in ours if r["method"] in ("factor", method)) for method in ("location", "market")
    )
    return location, market


async def everywhere(plant: Asked, influx: Influxd) -> Milligrams:
    """Return January as all places say it, once they agree; the sink has delivered what was published."""
    seen = (await in_emissions(plant), await in_carbon(plant), await in_report(plant), in_influx(influx))
    assert seen[0] == seen[1] == seen[2] == seen[3]
    day = await of_the_day(plant)
    shown = []
    for _ in range(600):  # an overview may be a few seconds old
        shown.append(await in_overview(plant))
        if shown[-1] == day:
            return seen[0]
        await asyncio.sleep(0.2)
    raise AssertionError(f"the overview shows {shown[-1]}, the ledger's day is {day}")


async def delivered(plant: Asked) -> None:
    """Wait until every block of the ledger is published, and the database has it."""
    gateway = plant.gateway
    with Ledger.open(plant.folder) as ledger:
        seq = ledger.head().seq
    await until(lambda: gateway.publisher.seq >= seq, what="the ledger's last block is published")
    position = gateway.log.position
    await until(lambda: gateway.deliveries["db"].position >= position, what="the database has it")


async def restated(folder: Path) -> None:
    """Restate January by another table of factors, as a user does, while the gateway runs."""
    (folder / "new.csv").write_text(TABLE, "utf-8")
    order = ["restate", "--factors", str(folder / "new.csv"), "--from", "2025-01-01", "--to", "2025-02-01"]
    order += ["--reason", "factor of 2024", "--by", "Li", "-c", str(folder / "gateway.yaml")]
    done = await asyncio.to_thread(CliRunner().invoke, app, order)
    assert done.exit_code == 0, done.output


async def test_a_restated_month_is_one_number_everywhere(influx: Influxd, tmp_path: Path) -> None:
    influx.create(DATABASE)
    sink = f"sinks: {{db: {{type: influxdb, api: v1, url: '{influx.url}', database: {DATABASE}}}}}"
    async with asked_plant(tmp_path, NOW_S, sink) as plant:
        for key, rate in ((IMPORT, 123.456789), (GAS, 7.654321), (SUN, 11.1)):
            await plant.steady(key, 0, 2 * DAY_S, rate)
        async with running(plant.gateway):
            await until(lambda: plant.gateway.accountant.counters.committed > 0, what="two days are booked")
            await delivered(plant)
            before = await everywhere(plant, influx)
            assert abs(before["scope2_location"] - mg(48 * 123.456789 * GRID)) < 48 * 10
            await restated(tmp_path)
            await delivered(plant)
            after = await everywhere(plant, influx)
            (told,) = (await plant.get("/api/carbon?year=2025"))["restatements"]
        assert after["scope2_location"] != before["scope2_location"]
        assert abs(after["scope2_location"] - mg(48 * 123.456789 * 0.4123456)) < 48 * 10
        assert (after["scope1"], after["scope2_market"]) == (before["scope1"], before["scope2_market"])
        # Losses of the grid go by the location's factor too: they are part of what a correction changes.
        assert (told["who"], told["why"], told["month"]) == ("Li", "factor of 2024", "2025-01")
        assert mg(told["difference_kg"]) <= after["scope2_location"] - before["scope2_location"] < 0
