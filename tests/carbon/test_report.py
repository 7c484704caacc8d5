"""Ledgers of known content → what their reports state, and that every table adds up to the last milligram."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from carbon.entries import Activity
from carbon.ledger import Ledger, Reason
from carbon.report.model import Period, Report, report
from carbon.report.rounding import printed
from carbon.report.table import Table, Word
from config.errors import GatewayError
from tests.carbon import report_cases as cases

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Report:
    with cases.plant(tmp_path_factory.mktemp("plant")) as ledger:
        return report(ledger, cases.PLANT_SITE, Period(2025, None, SHANGHAI), now_ns=cases.NOW_NS)


def shown(table: Table, key: str) -> int:
    """Return the printed total of a column in its last place."""
    total = printed(table).total[table.column(key)]
    assert isinstance(total, int)
    return total


def test_the_steel_year_is_stated_as_published(tmp_path: Path) -> None:
    # Σ 959,636.71 kWh (UCI 851); × 0.4585 kg/kWh = 439,993.43 kg.
    with cases.steel(tmp_path) as ledger:
        made = report(ledger, cases.STEEL_SITE, Period(2018, None, ZoneInfo("Asia/Seoul")), now_ns=cases.NOW_NS)
    for name, key in (("scopes", "location"), ("scopes", "market"), ("iso", "location"), ("gases", "co2e"),
                      ("gbt", "co2e"), ("months", "total_location"), ("assets", "scope_2_location"),
                      ("areas", "scope_2_market"), ("factors", "location")):  # fmt: skip
        assert shown(made.table(name), key) == 439_993, name
    assert shown(made.table("energy"), "energy") == 95_963_671  # in 0.01 kWh
    # 959,636.71 kWh · 3.6 MJ = 3,454.692 GJ; · 0.1229 kgce = 117.939 tce (GB/T 2589-2020)
    assert (shown(made.table("energy"), "heat"), shown(made.table("energy"), "coal")) == (3_454_692, 117_939)
    assert made.figures["energy_boundary"] == 959_636_710_000
    assert len(made.table("lines").rows) == 24
    # One meter of class 1 and a factor without an uncertainty: ±1 %, not ±1 %/√35,040.
    assert made.table("uncertainty").rows[4].cells[3] == pytest.approx(0.01)


def test_a_month_of_the_year_is_the_same_as_in_the_year(tmp_path: Path) -> None:
    with cases.steel(tmp_path) as ledger:
        zone = ZoneInfo("Asia/Seoul")
        year, march = (report(ledger, cases.STEEL_SITE, Period(2018, m, zone), now_ns=cases.NOW_NS) for m in (None, 3))
    cells = year.table("months").rows[2].cells
    assert march.table("months").rows[0].cells == cells
    assert march.figures["location"] == cells[5]


def test_parts_add_up_exactly_in_every_table(plant: Report) -> None:
    for table in plant.tables:
        for place, column in enumerate(table.columns):
            if not (column.adds and table.total):
                continue
            for above, row in enumerate(table.rows):
                below = [table.rows[i].cells[place] for i in table.children(above) if table.rows[i].counts]
                if below:
                    assert sum(c for c in below if isinstance(c, int)) == row.cells[place], (table.name, row)


def test_tables_agree_with_each_other(plant: Report) -> None:
    exact = plant.figures
    for name, key, figure in (
        ("scopes", "location", "location"), ("scopes", "market", "market"), ("scopes", "biogenic", "biogenic"),
        ("iso", "market", "market"), ("gases", "co2e", "location"), ("months", "total_location", "location"),
        ("months", "scope_2_market", "scope_2_market"), ("areas", "scope_1", "scope_1"),
        ("areas", "energy", "energy_boundary"),
        ("assets", "energy", "energy_boundary"), ("assets", "scope_2_location", "scope_2_location"),
        ("factors", "location", "location"), ("factors", "market", "market"),
    ):  # fmt: skip
        table = plant.table(name)
        assert table.exact_total(table.column(key)) == exact[figure], (name, key)


def test_what_no_meter_below_explains_is_shown_with_own_power(plant: Report) -> None:
    table = plant.table("assets")
    energy = table.column("energy")
    by_name = {
        (c.key if isinstance(c := row.cells[0], Word) else c, row.depth): row.cells[energy] for row in table.rows
    }
    main, own = by_name["main-meter", 0], by_name["own_used", 1]
    parts = by_name["compressor-1", 1] + by_name["chiller-1", 1]  # type: ignore[operator]
    # Own generation used = made − given away (a tenth of it).
    assert own == plant.figures["energy_export"] - plant.figures["energy_own"]
    assert by_name["unaccounted", 1] == main - parts - own  # type: ignore[operator]
    assert by_name["itself", 2] == by_name["chiller-1", 1] - by_name["pump-1", 2]  # type: ignore[operator]


def test_a_restated_month_shows_both_versions(tmp_path: Path) -> None:
    with cases.plant(tmp_path) as ledger:
        period = Period(2025, None, SHANGHAI)
        now = report(ledger, cases.PLANT_SITE, period, now_ns=cases.NOW_NS)
        head = ledger.head().seq
        before = report(ledger, cases.PLANT_SITE, period, as_of=head - 1, now_ns=cases.NOW_NS)
    (row,) = now.table("restatements").rows
    told = dict(zip((c.key for c in now.table("restatements").columns), row.cells, strict=True))
    assert told["month"] == "2025-03"
    assert told["why"] == "ratio typed as 400/5, is 500/5"
    assert (told["by"], told["approved_by"], told["entries"]) == ("li.lei", "han.meimei", 31)
    # 500/5 for 400/5: a quarter more, each of 31 days rounded once.
    assert told["location_after"] == pytest.approx(told["location_before"] * 1.25, abs=31)
    march = before.table("months").rows[2].cells[5], now.table("months").rows[2].cells[5]
    assert march[1] - march[0] == told["location_difference"]  # type: ignore[operator]
    assert before.cover.head.seq == head - 1
    assert not before.table("restatements").rows
    others = [(a.cells, b.cells) for i, (a, b) in enumerate(zip(
        before.table("months").rows, now.table("months").rows, strict=True)) if i != 2]  # fmt: skip
    assert all(a == b for a, b in others)


def test_late_readings_are_told_by_month(tmp_path: Path) -> None:
    with cases.plant(tmp_path) as ledger:
        old = next(e for e in ledger.read() if len(e)).take(slice(0, 1))
        for _ in range(3):
            with ledger.writing() as w:
                w.entries(old, Reason("late", "readings came after their hour was closed"))
        made = report(ledger, cases.PLANT_SITE, Period(2025, None, SHANGHAI), now_ns=cases.NOW_NS)
    late = [r for r in made.table("restatements").rows if r.cells[2] == Word("reason.late")]
    assert [(r.cells[8], r.cells[11]) for r in late] == [(3, 0)]  # three entries, no difference


def test_findings_name_what_a_verifier_asks_about(plant: Report) -> None:
    keys = [finding.key for finding in plant.findings if isinstance(finding, Word)]
    assert keys.count("finding.substituted") == 3
    assert {"finding.overdue", "finding.fallback"} <= set(keys)


def test_a_whole_year_lacks_nothing_but_what_nobody_registered(tmp_path: Path) -> None:
    with cases.steel(tmp_path, registered=False) as ledger:
        zone = ZoneInfo("Asia/Seoul")
        made = report(ledger, cases.STEEL_SITE, Period(2018, None, zone), now_ns=cases.NOW_NS)
        assert {f.key for f in made.findings if isinstance(f, Word)} == {
            "finding.no_residual_mix",
            "finding.unregistered",
        }
        assert made.table("quality").rows[0].cells[6:8] == (1.0, 1.0)


def test_time_without_data_is_a_finding(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        start = cases.ns("2025-03-01", "Asia/Shanghai")
        hours = [start + h * cases.HOUR_NS for h in range(15 * 24)]
        half = Activity.make(hours, cases.HOUR_NS, [0] * len(hours), 10**9)
        of = cases.line("main-meter.electricity", "supply", "meter", "boundary", 2, "purchased_electricity", "location")
        with ledger.writing() as w:
            cases.book(w, half, of, cases.GRID)
        made = report(ledger, cases.PLANT_SITE, Period(2025, 3, SHANGHAI), now_ns=cases.NOW_NS)
    # 15 of 31 days: 51.6 % of the month has no data; and the line has no market-based twin.
    assert Word("finding.missing", (("stream", "main-meter.electricity"), ("share", "51.6 %"))) in made.findings
    assert Word("finding.no_market") in made.findings


def test_the_gbt_terms_take_off_what_was_given_away(plant: Report) -> None:
    # 214,194.89 kWh given away at the mean factor of every month, which is 0.4403 kg/kWh in all of them.
    table = plant.table("gbt")
    given = table.rows[4].cells[3]
    assert given == pytest.approx(-214_194.886816e6 * 0.4403, abs=200)
    assert table.exact_total(3) == plant.figures["scope_1"] + plant.figures["scope_2_location"] + given  # type: ignore[operator]


def test_a_period_without_entries_and_a_block_that_is_not_there_are_told(tmp_path: Path) -> None:
    with cases.steel(tmp_path) as ledger:
        zone = ZoneInfo("Asia/Seoul")
        with pytest.raises(GatewayError, match="no entry in 2019-02"):
            report(ledger, cases.STEEL_SITE, Period(2019, 2, zone))
        with pytest.raises(GatewayError, match="no block 99"):
            report(ledger, cases.STEEL_SITE, Period(2018, None, zone), as_of=99)
