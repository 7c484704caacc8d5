"""`tanflow findings`: what a verifier will ask about a year or a month of the account."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from carbon.books import Books
from carbon.findings import findings as told
from carbon.ledger import Ledger
from carbon.local_time import midnight_ns
from config.load import load
from tanflow.commands.options import ConfigFile

out = Console(highlight=False, soft_wrap=True)


def findings(
    year: Annotated[int, typer.Option(help="Year on the site's clock.", min=1990, max=2100)],
    month: Annotated[int | None, typer.Option(help="Only this month of it.", min=1, max=12)] = None,
    config: ConfigFile = Path("gateway.yaml"),
    data: Annotated[Path | None, typer.Option(help="Data directory; default: the configuration's.")] = None,
) -> None:
    """Tell what is missing, doubtful or contradictory in a period of the account."""
    loaded = load(config)
    books = Books.of(loaded.gateway, loaded.templates, loaded.path.parent)
    first = date(year, month or 1, 1)
    after = date(year + 1, 1, 1) if month in (None, 12) else date(year, (month or 0) + 1, 1)
    with Ledger.open(data or loaded.path.parent / loaded.gateway.data.dir) as ledger:
        period = midnight_ns(first, books.zone), midnight_ns(after, books.zone)
        found = told(books, ledger, *period, now_ns=time.time_ns())
    for kind, sentence in found:
        out.print(f"{kind.replace('_', ' ')}: {sentence}", markup=False)
    out.print(f"{len(found)} finding{'s' * (len(found) > 1)}" if found else "nothing to be told")
