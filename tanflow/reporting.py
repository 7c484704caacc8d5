"""A ledger and its configuration → the report of a period, and the report → the bytes of a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from carbon.books import Books
from carbon.ledger import Ledger
from carbon.report import html, machine, xlsx
from carbon.report.model import Period, Report
from carbon.report.model import report as make
from carbon.report.remarks import NONE, remarks
from carbon.report.words import Words
from config.model import Gateway

Format = Literal["html", "xlsx", "json", "csv"]
FORMATS: tuple[str, ...] = get_args(Format)


def made(
    config: Gateway, books: Callable[[], Books], folder: Path, period: Period, *, as_of: int | None = None,
    now_ns: int | None = None,
) -> Report:  # fmt: skip
    """Return the report of a period of the ledger in a data directory; raises GatewayError where there is none."""
    with Ledger.open(folder) as ledger:
        # The comparisons know the present only.
        said = remarks(books(), ledger, period) if as_of is None else NONE
        return make(ledger, config, period, as_of=as_of, now_ns=now_ns, remarks=said.sentences, green=said.green)


def encoded(report: Report, words: Words, format: str) -> bytes:
    """Return a report as the bytes of a file of one of FORMATS."""
    if format == "xlsx":
        file = io.BytesIO()
        xlsx.write(report, words, file)
        return file.getvalue()
    if format == "json":
        return machine.to_json(report, words)
    return (html.to_html if format == "html" else machine.to_csv)(report, words).encode()


def name_of(year: int, month: int | None, format: str) -> str:
    """Return the name of a report's file."""
    return f"report-{year}{f'-{month:02d}' if month else ''}.{format}"
