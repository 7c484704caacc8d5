"""`tanflow drift` as a person uses it: a press whose energy follows its product, and 5 % beyond it from a known day."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from carbon.books import Books
from carbon.drift import Days
from carbon.entries import MICRO, Activity
from carbon.ledger import Ledger, Reason
from carbon.local_time import midnight_ns
from config.load import load
from tanflow.commands import drift
from tests.tanflow.command import said

HOUR = 3_600_000_000_000
BERLIN = ZoneInfo("Europe/Berlin")
CONFIG = """version: 1
site: {name: works, region: DE, zone: Europe/Berlin}
connections: {plc: {protocol: opcua, url: "opc.tcp://127.0.0.1:4840"}}
areas:
  hall:
    assets:
      press:
        type: other
        devices:
          d:
            connection: plc
            points:
              energy: {quantity: energy_index, unit: kWh, opcua: {node: "ns=2;s=e"}}
              mass: {quantity: mass_index, unit: t, carrier: product, opcua: {node: "ns=2;s=m"}}
accounting: {upstream: false, market: {uncovered: location_average}}
factors: {tables: [grid.csv]}
"""
TABLE = """region,kind,value,unit,gas,data_year,valid_from,valid_to,publisher,publication,published_on,source,confidence
DE,location_average,0.4,kg/kWh,co2,2024,2024-01-01,2025-12-31,ministry,notice,2025-01-01,letter,high
"""
JANUARY, APRIL, CHANGE, JULY = date(2025, 1, 1), date(2025, 4, 1), date(2025, 5, 1), date(2025, 7, 1)
Tanflow = Callable[..., tuple[int, str]]


def product(day: int) -> int:
    """Return the tonnes of each hour of a day: 1, 2, 3 by turns."""
    return 1 + day % 3


def kwh(day: int) -> float:
    """Return the kWh of each hour: 100 + 50 for each tonne, ± 1 in turns of three days, 5 % more from the change."""
    usual = 100 + 50 * product(day) + (1 if day // 3 % 2 else -1)
    return usual * (1.05 if JANUARY + timedelta(day) >= CHANGE else 1.0)


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    """A ledger of January to June 2025, where 10 May has three hours only."""
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    (tmp_path / "grid.csv").write_text(TABLE)
    loaded = load(tmp_path / "gateway.yaml")
    books = Books.of(loaded.gateway, loaded.templates, tmp_path)
    starts, amounts, made = [], [], []
    for day in range((JULY - JANUARY).days):
        today = JANUARY + timedelta(day)
        first, after = midnight_ns(today, BERLIN), midnight_ns(today + timedelta(1), BERLIN)
        hours = range(first, first + 3 * HOUR if today == date(2025, 5, 10) else after, HOUR)
        starts += list(hours)
        amounts += [round(kwh(day) * MICRO)] * len(hours)
        made += [product(day) * MICRO] * len(hours)
    with Ledger.open(tmp_path / "data", write=True) as ledger, ledger.writing() as w:
        for name, column in (("press.electricity", amounts), ("press.product", made)):
            stream = np.full(len(starts), books.names.index(name))
            w.entries(books.entries(w, Activity.make(starts, HOUR, stream, column)), Reason("live"))
    return tmp_path


@pytest.fixture
def tanflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], factory: Path) -> Tanflow:
    monkeypatch.chdir(factory)
    monkeypatch.setattr(drift.out, "width", 80)

    def call(*arguments: object) -> tuple[int, str]:
        return said(monkeypatch, capsys, "drift", *arguments).both

    return call


def test_a_day_of_changing_clocks_has_its_own_length(factory: Path) -> None:
    """30 March 2025 had 23 hours in Berlin; it is day 88, 2 t and 201 kWh in each hour."""
    with Ledger.open(factory / "data") as ledger:
        period = (date(2025, 3, 30), date(2025, 3, 31))
        days = Days.read(ledger, "press.electricity", "press.product", period, BERLIN)
    assert (days.hours.tolist(), days.product.tolist(), days.energy.tolist()) == ([23.0], [46.0], [23.0 * 201])


def test_the_drift_is_the_five_percent_there_are(tanflow: Tanflow) -> None:
    """January to March: 90 days, idle 100 kW and 50 kWh/t within the scatter of ± 24 kWh a day. May and June: each of
    the 60 whole days 24 · 0.05 · (200 ± 1) kWh on the mean of 2 t/h: 5 % of 288,000 is 14,400."""
    code, said = tanflow("press", "--baseline-from", JANUARY, "--baseline-to", APRIL, "--from", APRIL, "--to", JULY)
    assert code == 0, said
    assert "press.electricity, 90 days, R² 1.000" not in said
    assert re.search(r"press.electricity, 90 days, R² 0\.99\d, scatter 24 kWh", said), said
    assert re.search(r"kWh = (99\.\d+|100(\.\d+)?) · hours \+ (49\.\d+|50(\.\d+)?) · t", said), said
    rows = {line[:7]: line.split() for line in said.splitlines() if line.startswith("2025-")}
    assert [rows[m][1] for m in ("2025-04", "2025-05", "2025-06")] == ["30", "30", "30"]
    assert [float(rows[m][5]) for m in ("2025-04", "2025-05", "2025-06")] == pytest.approx([0, 5, 5], abs=0.15)
    total = float(re.search(r"drift: ([+\d,]+) kWh", said)[1].replace(",", ""))  # type: ignore[index]
    assert total == pytest.approx(14_400, abs=300)
    since = date.fromisoformat(re.search(r"significant since ([\d-]+)", said)[1])  # type: ignore[index]
    assert CHANGE <= since <= CHANGE + timedelta(3)
    assert "left out: 1 days" in said
    assert max(map(len, said.splitlines())) <= 80


def test_no_drift_is_said_and_a_short_period_shows_its_days(tanflow: Tanflow) -> None:
    code, said = tanflow("press", "--baseline-from", JANUARY, "--baseline-to", APRIL, "--to", "2025-04-13")
    assert code == 0, said
    assert "not significant" in said
    assert sum(line.startswith("2025-04-") for line in said.splitlines()) == 12


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("press", "--baseline-from", "2025-01-01", "--baseline-to", "2025-01-12"), "only 11 days have whole readings"),
        (("press", "--baseline-from", "2025-01-01", "--baseline-to", "2025-04-01", "--product", "press.steam"),
         "no stream 'press.steam'; it holds press.electricity, press.product"),
        (("pres", "--baseline-from", "2025-01-01", "--baseline-to", "2025-04-01"), "there is no asset 'pres'"),
        (("press", "--baseline-from", "2025-01-01", "--baseline-to", "2025-04-01", "--from", "2024-01-01", "--to",
          "2024-02-01"), "none of the 31 days"),
        (("press", "--baseline-from", "2025-01-01", "--baseline-to", "2024-04-01"), "must be before"),
        (("press", "--baseline-from", "January", "--baseline-to", "2024-04-01"), "is not a day"),
    ],
)  # fmt: skip
def test_what_carries_no_baseline_is_refused(tanflow: Tanflow, arguments: tuple[str, ...], sentence: str) -> None:
    code, said = tanflow(*arguments)
    assert code != 0
    assert sentence in re.sub(r"\s*[│\n]+\s*", " ", said), said
