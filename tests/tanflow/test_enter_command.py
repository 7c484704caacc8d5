"""`tanflow enter` as a person meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from carbon.ledger import Ledger
from config.errors import Rejected
from tanflow.commands.enter import numbers
from tests.carbon.papers import CONFIG, xlsx
from tests.tanflow.command import Said, said

ROOT = Path(__file__).parents[2]
HEAD = "kind,asset,carrier,from,to,quantity,unit,document_number,replaces"
MARCH = "delivery,genset,diesel,2025-03-01,2025-03-31,3.1,t,A,"
Tanflow = Callable[..., Said]


@pytest.fixture
def tanflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Tanflow:
    """Call the command line within this process, in a folder with a configuration."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    (tmp_path / "march.csv").write_text(f"{HEAD}\n{MARCH}\n")

    def call(*arguments: object) -> Said:
        return said(monkeypatch, capsys, "enter", *arguments)

    return call


def test_a_sheet_is_entered_listed_and_refused_the_second_time(tanflow: Tanflow, tmp_path: Path) -> None:
    code, out, _ = tanflow("march.csv", "--by", "Ann", "--approved-by", "Bo")
    assert (code, out) == (0, "1 document entered: 1; 1 entries of the ledger\n")
    code, out, _ = tanflow("--list")
    assert code == 0
    assert all(word in out for word in ("in force", "genset.diesel", "quantity=3.1", "march.csv:2", "Ann", "Bo"))
    code, _, err = tanflow("march.csv", "--by", "Ann", "--approved-by", "Bo")
    assert code == 2
    assert err.startswith("march.csv:2: row: was entered already as document 1 (march.csv:2, in force)")


def test_what_waits_is_approved_by_somebody_else(tanflow: Tanflow, tmp_path: Path) -> None:
    _, out, _ = tanflow("march.csv", "--by", "Ann")
    assert out == "1 document entered: 1; waiting for approval: tanflow enter --approve 1 --by NAME\n"
    code, _, err = tanflow("--approve", "1", "--by", "ANN")
    assert (code, err) == (1, "tanflow: ANN entered document 1; it takes a second person to approve it\n")
    code, out, _ = tanflow("--approve", "1", "--by", "Bo")
    assert (code, out) == (0, "1 document approved: 1; 1 entries of the ledger\n")


def test_a_worksheet_and_its_mistakes(tanflow: Tanflow, tmp_path: Path) -> None:
    wrong = ["delivery", "genset", "diesel", "2025-04-01", "2025-04-31", "3,100", "t", "B"]
    (tmp_path / "march.xlsx").write_bytes(xlsx([HEAD.split(","), MARCH.split(","), wrong], "Fuel"))
    code, out, err = tanflow("march.xlsx", "--sheet", "Fuel", "--by", "Ann")
    assert (code, out) == (2, "")
    assert [line.split(": ")[:3] for line in err.splitlines()] == [
        ["march.xlsx:3", "Fuel!E3", "to"], ["march.xlsx:3", "Fuel!F3", "quantity"],
    ]  # fmt: skip
    with Ledger.open(tmp_path / "data", write=True) as ledger:
        assert ledger.documents() == []


def test_another_encoding_is_told(tanflow: Tanflow, tmp_path: Path) -> None:
    (tmp_path / "gb.csv").write_bytes(f"{HEAD},note\n{MARCH},柴油\n".encode("gb18030"))
    code, out, _ = tanflow("gb.csv", "--by", "Ann", "--approved-by", "Bo")
    assert code == 0
    assert out.startswith("gb.csv is read as GB18030")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("march.csv",), 1, "say who enters it: by"),
        (("march.csv", "--by", "Ann", "--approved-by", "ann"), 1, "it takes a second person"),
        (("none.csv", "--by", "Ann"), 2, "none.csv:1: sheet: there is no file none.csv"),
        ((), 2, "give one of"),
        (("--list", "--compare"), 2, "give one of"),
        (("--list",), 1, "holds no ledger yet"),
        (("--approve", "x", "--by", "Bo"), 1, "'x' is no number of documents"),
        (("--approve", "5", "--by", "Bo"), 1, "document 5 does not exist"),
    ],
)
def test_what_cannot_work_is_a_sentence(arguments: tuple[str, ...], code: int, sentence: str, tanflow: Tanflow) -> None:
    found, _, err = tanflow(*arguments)
    assert (found, sentence in err) == (code, True), err


def test_invoices_are_compared_and_80_columns_cut_nothing_off(
    tanflow: Tanflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    head = "kind,asset,carrier,from,to,quantity,unit"
    index = ("2024-12-31,1000", "2025-01-31,2000")
    rows = [f"index,genset,electricity,,{said},kWh" for said in index]
    (tmp_path / "index.csv").write_text("\n".join([head, *rows]))
    assert tanflow("index.csv", "--by", "Ann", "--approved-by", "Bo")[0] == 0
    (tmp_path / "invoice.csv").write_text(f"{head}\ninvoice,genset,electricity,2025-01-01,2025-01-31,1100,kWh")
    assert tanflow("invoice.csv", "--by", "Ann", "--approved-by", "Bo")[0] == 0
    code, out, _ = tanflow("--compare")
    assert code == 0
    assert "1,100.000" in out
    assert "metered 9.09 % less than invoiced" in out
    assert "…" not in out + tanflow("--list")[1]


def test_the_samples_beside_the_manual_can_be_entered(tanflow: Tanflow, tmp_path: Path) -> None:
    samples = ROOT / "docs" / "samples"
    (tmp_path / "gateway.yaml").write_text((samples / "no-meters.yaml").read_text())
    for name, rows in (("scope-1-2025.csv", 26), ("scope-1-2025.xlsx", 26)):
        code, out, err = tanflow(samples / name, "--by", "Ann", "--approved-by", "Bo", "--data", tmp_path / name)
        assert code == 0, err
        assert out.startswith(f"{rows} documents entered: 1–{rows}; 36 entries")


def test_numbers_of_documents() -> None:
    assert numbers("12-14, 20,3") == [12, 13, 14, 20, 3]
    for text in ("", "1-", "5-3", "1-999999999", "a"):
        with pytest.raises(Rejected):
            numbers(text)
