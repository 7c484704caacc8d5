"""JSON and CSV of a report: a stable shape, exact decimals, and cells no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from carbon.report import machine
from carbon.report.model import Period, Report, report
from carbon.report.words import Words
from tests.carbon import report_cases as cases

WORDS = Words("en", ZoneInfo("Asia/Shanghai"))


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Report:
    with cases.plant(tmp_path_factory.mktemp("plant")) as ledger:
        return report(ledger, cases.PLANT_SITE, Period(2025, None, WORDS.zone), now_ns=cases.NOW_NS)


def test_json_has_the_documented_shape_and_exact_sums(plant: Report) -> None:
    said = json.loads(machine.to_json(plant, WORDS), parse_float=Decimal)
    assert said["format"] == "tanflow report 1"
    assert said["cover"]["ledger"] == {"seq": plant.cover.head.seq, "hash": plant.cover.head.hash}
    assert (said["cover"]["from"], said["cover"]["to"]) == ("2025-01-01", "2025-12-31")
    assert said["figures"]["location_kg"] == Decimal(plant.figures["location"]).scaleb(-6)
    scopes = said["tables"]["scopes"]
    assert [row["source"] for row in scopes["rows"] if row["depth"] == 0] == ["1", "2", "3"]
    for table in said["tables"].values():
        for key, total in (table["total"] or {}).items():
            tops = [row[key] for row in table["rows"] if row["depth"] == 0 and row["sort"] != "memo"]
            assert sum(cell for cell in tops if cell is not None) == total, key


def test_both_languages_say_the_same_to_machines(plant: Report) -> None:
    english, chinese = (json.loads(machine.to_json(plant, Words(lang, WORDS.zone))) for lang in ("en", "zh-CN"))
    assert english["tables"] == chinese["tables"]
    assert english["figures"] == chinese["figures"]


def test_csv_holds_every_monthly_line_and_no_formula(plant: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(machine.to_csv(plant, WORDS))))
    assert len(rows) == len(plant.table("lines").rows)
    ours = [r for r in rows if r["role"] == "boundary" and r["scope"] == "2" and r["method"] == "market"]
    assert sum(Decimal(r["co2e_kg"]) for r in ours) == Decimal(plant.figures["scope_2_market"]).scaleb(-6)
    assert {r["ledger"] for r in rows} == {str(plant.cover.head)}
    assert not [cell for r in rows for cell in r.values() if cell.startswith(("=", "+", "@", "\t"))]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1"])
def test_text_that_could_run_stands_behind_an_apostrophe(text: str) -> None:
    assert machine.guarded(text) == "'" + text
