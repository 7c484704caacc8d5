"""What is wrong in a sheet is told at once, with where and what to do, and nothing of it is entered."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbon.ledger import Ledger
from carbon.papers import evidence
from config.errors import ConfigError
from tests.carbon.papers import DIESEL, HEAD, documents, enter, year_of

MISTAKES = [
    ("delivery,genset,diesel,2025-01-01,2025-01-31,-1,t,,", "quantity: must be greater than or equal to 0"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,nan,t,,", "quantity: 'nan' is not a number"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,inf,t,,", "quantity: 'inf' is not a number"),
    ('delivery,genset,diesel,2025-01-01,2025-01-31,"1,250.5",t,,', "quantity: '1,250.5' is ambiguous"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,１２,t,,", "quantity: '１２' is not a number"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,1 250,t,,", "quantity: '1 250' is ambiguous"),
    ("delivery,genset,diesel,31.01.2025,2025-01-31,1,t,,", "from: '31.01.2025' is not a date; write year-month-day"),
    ("delivery,genset,diesel,2025-02-30,2025-03-31,1,t,,", "from: '2025-02-30' is not a day of the calendar"),
    ("delivery,genset,diesel,2025-02-01,2025-01-31,1,t,,", "row: ends on 2025-01-31, before it begins"),
    ("delivery,genset,diesel,2023-01-01,2025-01-31,1,t,,", "row: is longer than a year; split it"),
    ("delivery,genset,diesel,2031-01-01,2031-01-31,1,t,,", "from: 2031-01-01 has not come yet"),
    ("delivery,gensett,diesel,2025-01-01,2025-01-31,1,t,,", "asset: there is no asset 'gensett' in the config"),
    ("delivery,genset,diesl,2025-01-01,2025-01-31,1,t,,", "carrier: 'diesl' is not a fuel or energy the account"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,1,barn,,", "unit: 'barn' is neither a mass, a volume nor an energy"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,1,9**9**9,,", "unit: '9**9**9' is neither"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,1,__import__('os'),,", "unit: '__import__('os')' is neither"),
    ("delivery,furnace-1,natural_gas,2025-01-01,2025-01-31,1,m3,,", "celsius: a volume of gas needs the state"),
    ("delivery,furnace-1,natural_gas,2025-01-01,2025-01-31,1,Nm3,,", "unit: 'Nm3' does not say which normal state"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,9e9,t,,", "quantity: 9000000000 t is more than any site uses"),
    ("delivry,genset,diesel,2025-01-01,2025-01-31,1,t,,", "kind: 'delivry' is no kind of document; did you"),
    (",genset,diesel,2025-01-01,2025-01-31,1,t,,", "kind: say one of delivery, stock"),
    ("delivery,genset,diesel,2025-01-01,,1,t,,", "to: a row of kind delivery needs it"),
    ("lab,genset,diesel,2025-01-01,2025-01-31,1,t,,", "quantity: does not go with kind lab"),
    ("stock,genset,R-999,2025-01-01,2025-01-31,,,,", "opening: a row of kind stock needs it"),
    ("invoice,genset,diesel,2025-01-01,2025-01-31,1,t,,", "asset: nothing meters genset.diesel; enter what"),
]  # fmt: skip


def test_all_mistakes_are_told_at_once_and_nothing_is_entered(tmp_path: Path) -> None:
    office = documents(tmp_path)
    good = "delivery,genset,diesel,2025-05-01,2025-05-31,1,t,good,"
    with pytest.raises(ConfigError) as refused:
        enter(office, "\n".join([HEAD, good, *(row for row, _ in MISTAKES)]))
    said = [str(p) for p in refused.value.problems]
    for line, (row, expected) in enumerate(MISTAKES, 3):
        assert any(text.startswith(f"sheet.csv:{line}: {expected}") for text in said), (row, expected)
    assert year_of(office, 2025, DIESEL) == (0, 0)
    assert not (office.data / evidence.FOLDER).exists()
    with Ledger.open(office.data) as ledger:
        assert ledger.head().seq == 0


def test_a_unit_is_kept_within_a_stream(tmp_path: Path) -> None:
    office = documents(tmp_path)
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-01-01,2025-01-31,1,t,,")
    with pytest.raises(ConfigError, match=r"unit: genset\.diesel is kept in t since document 1"):
        enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-02-01,2025-02-28,1000,L,,")


def test_scans_lie_beside_the_sheet_and_nowhere_else(tmp_path: Path) -> None:
    office = documents(tmp_path)
    papers = tmp_path / "papers"
    papers.mkdir()
    (papers / "scan.pdf").write_bytes(b"%PDF-1.7 a scan")
    (tmp_path / "secret.pdf").write_bytes(b"not for you")
    (papers / "link.pdf").symlink_to(tmp_path / "secret.pdf")
    head = f"{HEAD},document"
    row = "delivery,genset,diesel,2025-01-01,2025-01-31,1,t,,,"
    for name, expected in (
        ("../secret.pdf", "is not a file name"),
        ("/etc/passwd", "is not a file name"),
        ("..\\secret.pdf", "is not a file name"),
        (".hidden", "is not a file name"),
        ("link.pdf", "there is no file link.pdf"),
        ("none.pdf", "there is no file none.pdf"),
        (f"sha256:{'0' * 64}", "no file of this hash was handed in before"),
    ):
        with pytest.raises(ConfigError, match=expected):
            enter(office, f"{head}\n{row}{name}", folder=papers)
    entered = enter(office, f"{head}\n{row}scan.pdf", folder=papers)
    digest = entered.filed[0].evidence
    assert digest == evidence.sha256(b"%PDF-1.7 a scan")
    assert (office.data / evidence.FOLDER / digest).read_bytes() == b"%PDF-1.7 a scan"
    enter(office, f"{head}\n{row.replace(',1,t', ',2,t')}sha256:{digest}")
