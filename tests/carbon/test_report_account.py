"""A gateway's own account → its report: what was booked hour by hour is what is stated."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from carbon.books import Books
from carbon.entries import MICRO
from carbon.ledger import Ledger
from carbon.market.year import allocate_year, restate_market
from carbon.papers.documents import Documents
from carbon.papers.manual import Account
from carbon.report.model import Period, report
from carbon.report.remarks import remarks
from carbon.report.table import Word
from config.load import load
from tests.carbon.papers import documents, enter
from tests.carbon.plant import CONFIG, GAS, HOUR_S, IMPORT, PRESS, START_NS, SUN, open_plant

SHANGHAI = ZoneInfo("Asia/Shanghai")
PERIOD = Period(2025, 1, SHANGHAI)
CERTIFICATES = """kind,scheme,market,technology,production_month,mwh,cancelled_on,first_id,last_id
certificate,GEC,CN,wind,2025-01,1,2025-06-01,A1,A1
certificate,GEC,CN,wind,2025-02,1,2025-06-01,A2,A2"""


async def test_what_the_gateway_books_is_what_the_report_states(tmp_path: Path) -> None:
    ends = [h * HOUR_S for h in range(1, 25)]
    async with open_plant(tmp_path) as plant:
        for key, amount in ((IMPORT, 100.0), (PRESS, 70.0), (GAS, 50.0), (SUN, 10.0)):
            await plant.append(key, ends, [amount] * 24, HOUR_S)
        await plant.tick(25 * HOUR_S)
        await plant.book()
        entries, folder = plant.entries(), plant.folder
    now = START_NS + 24 * HOUR_S * 10**9
    with Ledger.open(folder) as ledger:
        made = report(ledger, load(tmp_path / "gateway.yaml").gateway, PERIOD, now_ns=now)
        lines = ledger.lines
    top = [lines[n].role == "boundary" and lines[n].method != "market" for n in entries.line.tolist()]
    assert made.figures["location"] == int(entries.co2e[top].sum())
    # 2,400 kWh at 0.4403 kg/kWh, Guangdong's average of 2022, the newest published at the time.
    assert made.figures["scope_2_location"] == pytest.approx(2_400 * 0.4403e6)
    # The press took 70 of 100 kWh and of 10 kWh of the roof: 40 kWh an hour nobody metered.
    rest = next(row for row in made.table("areas").rows if row.cells[0] == Word("unaccounted"))
    assert rest.cells[1] == 24 * 40_000_000
    power = {row.cells[0].key: row.cells[2] for row in made.table("power").rows if isinstance(row.cells[0], Word)}
    assert power["power.own_used"] == pytest.approx(10 / 110)
    assert {f.key for f in made.findings if isinstance(f, Word)} == {"finding.no_residual_mix", "finding.unregistered"}


def test_a_year_of_papers_alone_is_reported_with_who_entered_them(tmp_path: Path) -> None:
    papers = documents(tmp_path)
    enter(papers, "kind,asset,carrier,from,to,quantity,unit\ndelivery,genset,diesel,2025-01-01,2025-01-31,3.1,t")
    loaded = load(tmp_path / "gateway.yaml")
    with Ledger.open(tmp_path / "data") as ledger:
        made = report(ledger, loaded.gateway, PERIOD)
    (document,) = made.table("documents").rows
    assert document.cells[5:9] == ("3.1", "t", "Ann", "Bo")
    # 3.1 t · 43.33 GJ/t · 0.0202 tC/GJ · 0.98 · 44/12 = 9.750 t (NDRC guidelines)
    assert made.figures["scope_1"] == pytest.approx(3.1 * 43.33 * 0.0202 * 0.98 * 44 / 12 * 1e9, rel=1e-6)
    assert made.findings == ()


async def test_invoices_and_green_power_come_from_those_who_compare_and_allocate(tmp_path: Path) -> None:
    contract = "{supplier: wind, kg_per_kwh: 0, valid_from: 2025-01-01, valid_to: 2025-12-31, share: 0.5}"
    config = CONFIG + f"accounting: {{market: {{contracts: {{ppa: {contract}}}}}}}\n"
    ends = [h * HOUR_S for h in range(1, 25)]
    async with open_plant(tmp_path, config) as plant:
        await plant.append(IMPORT, ends, [100.0] * 24, HOUR_S)
        await plant.tick(25 * HOUR_S)
        await plant.book()
        folder = plant.folder
    loaded = load(tmp_path / "gateway.yaml")
    books = Books.of(loaded.gateway, loaded.templates, tmp_path)
    account = Account.of(loaded.gateway, loaded.templates, tmp_path)
    papers = Documents(account, folder)
    enter(papers, "kind,asset,carrier,from,to,quantity,unit\ninvoice,main,electricity,2025-01-01,2025-01-01,3000,kWh")
    with Ledger.open(folder, write=True) as ledger:
        assert remarks(books, ledger, PERIOD).green is None  # nothing is allocated yet
        restate_market(books, ledger, 2025, allocate_year(books, ledger, 2025), "li.lei")
        said = remarks(books, ledger, PERIOD)
        now = START_NS + 24 * HOUR_S * 10**9
        made = report(ledger, loaded.gateway, PERIOD, now_ns=now, remarks=said.sentences, green=said.green)
    # Half of 2,400 kWh is contracted; the invoice says 3,000 kWh, 20 % more than the meter.
    assert said.green == 1_200 * MICRO
    assert [s for s in said.sentences if s.startswith("invoice ") and "20.00 % less than invoiced" in s]
    assert set(said.sentences) <= set(made.findings)
    power = {row.cells[0].key: row.cells[2] for row in made.table("power").rows if isinstance(row.cells[0], Word)}
    assert power["power.green"] == pytest.approx(0.5)
    # The market-based total halves; the table of corrections tells it, and that the location-based one did not move.
    assert made.figures["scope_2_market"] == pytest.approx(made.figures["scope_2_location"] / 2, abs=24)
    (row,) = made.table("restatements").rows
    assert row.cells[2] == Word("reason.allocation")
    assert (row.cells[11], row.cells[14]) == (0, made.figures["scope_2_market"] - made.figures["scope_2_location"])


async def test_green_power_keeps_to_the_vintage_it_was_allocated_by(tmp_path: Path) -> None:
    config = CONFIG + "accounting: {market: {vintage: month}}\n"
    async with open_plant(tmp_path, config) as plant:
        await plant.append(IMPORT, [h * HOUR_S for h in range(1, 25)], [100.0] * 24, HOUR_S)
        await plant.tick(25 * HOUR_S)
        await plant.book()
        folder = plant.folder
    loaded = load(tmp_path / "gateway.yaml")
    books = Books.of(loaded.gateway, loaded.templates, tmp_path)
    account = Account.of(loaded.gateway, loaded.templates, tmp_path)
    enter(Documents(account, folder), CERTIFICATES)
    with Ledger.open(folder, write=True) as ledger:
        restate_market(books, ledger, 2025, allocate_year(books, ledger, 2025), "li.lei")
        assert remarks(books, ledger, PERIOD).green == 1_000 * MICRO  # those of February are a surplus
