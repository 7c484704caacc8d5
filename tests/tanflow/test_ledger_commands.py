"""`tanflow ledger` and `tanflow restate` as a person uses them: on a factory's account, by the command line."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest
from rich.console import Console

from carbon.books import Books
from carbon.entries import MICRO, Activity
from carbon.ledger import Head, Ledger, Reason, verify
from config.errors import GatewayError
from config.load import load
from tanflow.commands import differences
from tanflow.commands import ledger as ledger_commands
from tests.tanflow.command import Said, said

HOUR = 3_600_000_000_000
SHANGHAI = ZoneInfo("Asia/Shanghai")
CONFIG = """version: 1
site: {name: works, region: CN-GD, zone: Asia/Shanghai}
connections: {floor: {protocol: modbus}}
areas:
  hall:
    assets:
      main: {type: meter, devices: {m: {connection: floor, address: 10.0.0.1/1, template: eastron_sdm630}}}
      press:
        type: other
        fed_by: main
        devices: {m: {connection: floor, address: 10.0.0.2/1, template: eastron_sdm630}}
accounting:
  upstream: false
  market: {uncovered: location_average}
  meters:
    main-ct: {device: main.m, serial: S1, accuracy: 0.5, ct: {ratio: 400/5}}
    press-ct: {device: press.m, serial: S2, accuracy: 1}
"""
TABLE = """region,kind,value,unit,gas,data_year,valid_from,valid_to,publisher,publication,published_on,source,confidence
CN-GD,location_average,0.4,kg/kWh,co2,2024,2024-01-01,2025-12-31,ministry,notice,2025-01-01,letter,high
"""


Tanflow = Callable[..., Said]


@pytest.fixture
def tanflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], factory: Path) -> Tanflow:
    monkeypatch.chdir(factory)
    for module in (ledger_commands, differences):
        monkeypatch.setattr(module.out, "width", 200)

    def call(*arguments: object) -> Said:
        return said(monkeypatch, capsys, *arguments)

    return call


def at(*date: int) -> int:
    return int(datetime(*date, tzinfo=SHANGHAI).timestamp()) * 1_000_000_000  # type: ignore[misc, arg-type]


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    """A configuration, and a ledger of two meters that show 100 and 40 kWh in each hour of January to March 2025."""
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    loaded = load(tmp_path / "gateway.yaml")
    books = Books.of(loaded.gateway, loaded.templates, tmp_path)
    hours = range(at(2025, 1, 1), at(2025, 4, 1), HOUR)
    with Ledger.open(tmp_path / "data", write=True) as ledger, ledger.writing() as w:
        for name, kwh in (("main.electricity", 100), ("press.electricity", 40)):
            stream = np.full(len(hours), books.names.index(name))
            w.entries(books.entries(w, Activity.make(list(hours), HOUR, stream, kwh * MICRO)), Reason("live"))
    return tmp_path


def kwh(folder: Path, line: str, *edges: int) -> list[int]:
    """Return the kWh of a line in each period between edges."""
    with Ledger.open(folder / "data") as ledger:
        (number,) = (n for n, one in ledger.lines.items() if one.key == line)
        sums = ledger.sums(edges, lines=[number])
        return [int(sums.amount[sums.period == p].sum()) // MICRO for p in range(len(edges) - 1)]


# ── ledger ────────────────────────────────────────────────────────────────────────────────────────


def test_verify_prints_the_head_to_keep(tanflow: Tanflow) -> None:
    head = tanflow("ledger", "head").out.strip()
    said = tanflow("ledger", "verify")
    assert said.code == 0, said.err
    assert "sound: 8,640 entries" in said.out
    assert f"head {head}" in said.out
    for kept in (head, head.partition(":")[2], head.partition(":")[2][:16]):
        said = tanflow("ledger", "verify", "--head", kept)
        assert (said.code, "the head you hold stands in it" in said.out) == (0, True)


def test_verify_fails_where_something_was_changed(tanflow: Tanflow, factory: Path) -> None:
    head = tanflow("ledger", "head").out.strip()
    with sqlite3.connect(factory / "data" / "ledger.db") as other:
        other.execute("UPDATE chain SET at_ns = at_ns + 1 WHERE seq = 2")
    other.close()
    said = tanflow("ledger", "verify", "--head", head)
    assert said.code == 1
    assert "block 2" in said.err
    assert "not what was chained" in said.err
    assert tanflow("ledger", "verify", "--head", f"99:{'0' * 64}").code == 1


@pytest.mark.parametrize("text", ["", "7", "abc", "0123456789abcde", "7:0123", "-1:0123456789abcdef", "x" * 64])
def test_what_is_no_head_is_told(text: str) -> None:
    with pytest.raises(GatewayError, match="is no head"):
        ledger_commands.a_head(text)
    assert ledger_commands.a_head("7:0123456789ABCDEF") == Head(7, "0123456789abcdef")


def test_an_entry_is_traced_to_its_factor_and_meter(tanflow: Tanflow) -> None:
    said = tanflow("ledger", "show", "main.electricity/2/purchased_electricity/location", "--at", "2025-02-01T10:30",
                   "--zone", "Asia/Shanghai")  # fmt: skip
    assert said.code == 0, said.err
    assert "2025-02-01 10:00 – 2025-02-01 11:00  version 1 of 1, effective" in said.out
    for words in ("100.000000 kWh, data for 100.0%", "serial S1, ratio 80", "/CN-GD/location_average/20", "live"):
        assert words in said.out


def test_lines_are_listed_and_found(tanflow: Tanflow, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "press.electricity/2/purchased_electricity/market" in tanflow("ledger", "lines", "press").out
    with monkeypatch.context() as terminal:
        terminal.setattr("tanflow.commands.ledger.out", Console(width=60))
        assert "…" not in tanflow("ledger", "lines").out  # a name that is cut off cannot be asked for
    said = tanflow("ledger", "show", "main", "--at", "2025-02-01")
    assert (said.code, "may be any of 2 lines" in said.err) == (1, True)
    said = tanflow("ledger", "show", "mian.electricity/2/purchased_electricity/market", "--at", "2025-02-01")
    assert "did you mean 'main.electricity/2/purchased_electricity/market'?" in said.err
    said = tanflow("ledger", "show", "main.electricity/2/purchased_electricity/market", "--at", "2026-02-01")
    assert "has no entry at 2026-02-01" in said.err


def test_a_missing_ledger_is_a_sentence(tanflow: Tanflow, tmp_path: Path) -> None:
    for command in (("head",), ("lines",), ("verify",), ("show", "a", "--at", "2025-01-01")):
        said = tanflow("ledger", *command, "--data", tmp_path / "none")
        assert said.code == 1
        assert "holds no ledger yet" in said.err


# ── restate ───────────────────────────────────────────────────────────────────────────────────────

DAYS = ("--from", "2025-01-01", "--to", "2025-04-01")
MAIN, PRESS = (f"{name}.electricity/2/purchased_electricity/location" for name in ("main", "press"))


def test_a_wrong_ratio_becomes_a_quarter_less_for_its_days(tanflow: Tanflow, factory: Path) -> None:
    edges = [at(2025, 1, 1), at(2025, 1, 11), at(2025, 3, 21), at(2025, 4, 1)]
    before = kwh(factory, MAIN, *edges)
    arguments = ("restate", "--activity", "main-ct", "--ct", "300/5", "--from", "2025-01-11", "--to", "2025-03-21",
                 "--reason", "the plate says 300/5", "--by", "Li")  # fmt: skip
    dry = tanflow(*arguments, "--dry-run")
    assert "3,312 of 3,312 entries would get a new version" in dry.out
    assert kwh(factory, MAIN, *edges) == before
    said = tanflow(*arguments)
    assert said.code == 0, said.err
    assert "-25.000 %" in said.out
    assert "write ct: {ratio: 300/5}" in said.err
    assert kwh(factory, MAIN, *edges) == [before[0], before[1] * 3 // 4, before[2]]
    assert kwh(factory, PRESS, *edges) == [kwh_ * 2 // 5 for kwh_ in before]
    assert "0 of 3,312 entries needed a new version" in tanflow(*arguments).out
    assert verify(factory / "data").ok
    shown = tanflow("ledger", "show", MAIN, "--at", "2025-02-01T10:30").out
    assert "version 2 of 2, effective" in shown
    assert "restatement, ratio of main-ct: 300/5, the plate says 300/5, by Li" in shown
    assert "75.000000 kWh" in shown


def test_a_new_factor_table_restates_what_it_names(tanflow: Tanflow, factory: Path) -> None:
    (factory / "new.csv").write_text(TABLE)
    said = tanflow("restate", "--factors", "new.csv", *DAYS, "--reason", "factor of 2024", "--json")
    assert said.code == 0, said.err
    told = orjson.loads(said.out)
    assert told["changed"] == told["entries"] == 8640
    january = next(row for row in told["lines"] if row["line"] == MAIN and row["month"] == "2025-01")
    assert january["co2e_kg_after"] == pytest.approx(744 * 100 * 0.4)
    assert january["amount_before"] == january["amount_after"] == 74_400
    again = tanflow("restate", "--factors", "new.csv", *DAYS, "--reason", "factor of 2024")
    assert "0 of 8,640 entries needed a new version" in again.out
    # The table may stand in the configuration by now.
    with (factory / "gateway.yaml").open("a") as config:
        config.write("factors: {tables: [new.csv]}\n")
    assert "0 of 8,640" in tanflow("restate", "--factors", "new.csv", *DAYS, "--reason", "once more").out
    assert verify(factory / "data").ok


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--factors", "nobody", *DAYS, "--reason", "x"), "there is no file, set or publisher 'nobody'"),
        (("--factors", "new.csv", "--activity", "main-ct", *DAYS, "--reason", "x"), "give either --factors"),
        (("--activity", "main-ct", *DAYS, "--reason", "x"), "give either --factors"),
        (("--factors", "new.csv", *DAYS, "--reason", " "), "say why"),
        (("--factors", "new.csv", "--from", "2025-04-01", "--to", "2025-01-01", "--reason", "x"), "must be before"),
        (("--factors", "new.csv", "--from", "1.4.2025", "--to", "2025-01-01", "--reason", "x"), "is not a day"),
        (("--factors", "other.csv", *DAYS, "--reason", "x"), "changes no factor of the account's lines"),
        (("--factors", "bad.csv", *DAYS, "--reason", "x"), "bad.csv:2: value"),
        (("--activity", "mian-ct", "--ct", "300/5", *DAYS, "--reason", "x"), "did you mean 'main-ct'?"),
        (("--activity", "main-ct", "--ct", "300:5", *DAYS, "--reason", "x"), "'300:5' is no ratio"),
        (("--activity", "main-ct", "--ct", "400/5", *DAYS, "--reason", "x"), "there is nothing to restate"),
        (("--activity", "main-ct", "--ct", "99999999/5", *DAYS, "--reason", "x"), "2e+07 cannot be meant"),
        (("--activity", "press-ct", "--ct", "300/5", *DAYS, "--reason", "x"), "does not say which ct"),
        (("--activity", "main-ct", "--pt", "100", *DAYS, "--reason", "x"), "does not say which pt"),
    ],
)
def test_mistakes_are_told_and_change_nothing(
    tanflow: Tanflow, factory: Path, arguments: tuple[str, ...], words: str
) -> None:
    (factory / "new.csv").write_text(TABLE)
    (factory / "other.csv").write_text(TABLE.replace("CN-GD", "CN-HE"))
    (factory / "bad.csv").write_text(TABLE.replace("0.4", "-0.4"))
    head = tanflow("ledger", "head").out
    said = tanflow("restate", *arguments)
    assert said.code != 0
    assert words in " ".join(said.err.replace("│", " ").split())
    assert tanflow("ledger", "head").out == head


def test_where_there_is_no_ledger_nothing_was_changed(tmp_path: Path, tanflow: Tanflow) -> None:
    """Unless a head is held: then there was one."""
    (tmp_path / "empty").mkdir()
    answer = tanflow("ledger", "verify", "--data", tmp_path / "empty")
    assert (answer.code, "holds no ledger yet" in answer.err) == (1, True)
    assert "not as it was written" not in answer.err
    answer = tanflow("ledger", "verify", "--data", tmp_path / "empty", "--head", "0" * 64)
    assert "not as it was written" in answer.err
