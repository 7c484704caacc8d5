"""A site without a single meter, and the ways its papers reach the ledger."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from openpyxl import Workbook

from carbon.ledger import Ledger, Sums
from carbon.papers.documents import Documents, Entered, Person
from carbon.papers.manual import Account
from carbon.papers.sheets import read_sheet
from config.load import load

CONFIG = """
version: 1
site: {name: works, zone: Asia/Shanghai, region: CN-GD}
connections: {}
areas:
  hall:
    assets:
      furnace-1: {type: furnace, carrier: natural_gas}
      genset: {type: other, carrier: diesel}
      chiller-1: {type: chiller}
      line-1: {type: production_line}
"""
NOW_NS = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
DIESEL = "genset.diesel/1/stationary_combustion/factor"
GAS = "furnace-1.natural_gas/1/stationary_combustion/factor"
HEAD = "kind,asset,carrier,from,to,quantity,unit,document_number,replaces"
BOTH = Person("Ann", "Bo")


def documents(folder: Path, config: str = CONFIG) -> Documents:
    """Return the documents of a new data directory."""
    path = folder / "gateway.yaml"
    path.write_text(config)
    loaded = load(path)
    return Documents(Account.of(loaded.gateway, loaded.templates, folder), folder / "data", now_ns=lambda: NOW_NS)


def enter(
    to: Documents, text: str, person: Person = BOTH, name: str = "sheet.csv", folder: Path | None = None
) -> Entered:
    """Enter a CSV file written by hand."""
    content = text.strip().encode()
    return to.enter(read_sheet(name, content), content, person, folder)


def xlsx(rows: Sequence[Sequence[object]], title: str = "Sheet1") -> bytes:
    """Return a workbook with one worksheet."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def local_ns(to: Documents, *day: int) -> int:
    """Return where a day begins on the site."""
    return int(datetime(*day, tzinfo=to.account.zone).timestamp()) * 1_000_000_000  # type: ignore[misc,arg-type]


def year_of(to: Documents, year: int, line: str, upto: int | None = None) -> tuple[int, int]:
    """Return what a line's entries of a year sum to: amount [1e-6 unit], CO₂e [mg]."""
    with Ledger.open(to.data) as ledger:
        numbers = [number for number, known in ledger.lines.items() if known.key == line]
        edges = [local_ns(to, year, 1, 1), local_ns(to, year + 1, 1, 1)]
        sums: Sums = ledger.sums(edges, upto, numbers)
        return int(sums.amount.sum()), int(sums.co2e.sum())
