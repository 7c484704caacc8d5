"""`tanflow allocate`: certificates and contracts of a year shared out over what was bought, and what that changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from carbon.books import Books
from carbon.entries import MICRO
from carbon.ledger import Ledger
from carbon.local_time import month_name, months
from carbon.market.year import Allocated, allocate_year, restate_market
from config.errors import GatewayError
from config.load import load
from tanflow.commands.differences import print_json, show
from tanflow.commands.ledger import bar, err
from tanflow.commands.options import ConfigFile, day

out = Console(highlight=False, soft_wrap=True)
_MWH = MICRO * 1_000


def allocate(
    year: Annotated[int, typer.Option(help="Calendar year on the site's clock.", min=1990, max=2100)],
    by: Annotated[str, typer.Option(help="Who allocates.")],
    deadline: Annotated[str, typer.Option(help="Last day certificates may have been cancelled, e.g. 2026-06-30.")] = "",
    config: ConfigFile = Path("gateway.yaml"),
    data: Annotated[Path | None, typer.Option(help="Data directory; default: the configuration's.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be covered, write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the difference as JSON.")] = False,
) -> None:
    """Give the electricity of a year its market-based factors: certificates first, then contracts, then the rest."""
    if not by.strip():
        raise typer.BadParameter("say who allocates (--by)")
    last = day(deadline) if deadline else None
    loaded = load(config)
    books = Books.of(loaded.gateway, loaded.templates, loaded.path.parent)
    folder = data or loaded.path.parent / loaded.gateway.data.dir
    with Ledger.open(folder, write=not dry_run) as ledger, bar() as progress:
        task = progress.add_task("allocating")
        allocated = allocate_year(books, ledger, year, last)
        if not len(allocated.start_ns) and allocated.null is None:
            raise GatewayError(f"the ledger holds no electricity bought in {year}; there is nothing to allocate")
        difference = restate_market(
            books, ledger, year, allocated, by.strip(), dry_run=dry_run,
            progress=lambda done, of: progress.update(task, completed=done, total=of),
        )  # fmt: skip
        console = err if json else out
        console.print(_covered(allocated, books.zone))
        for sentence in allocated.findings:
            console.print(sentence, markup=False, style="yellow")
        (print_json if json else show)(difference, ledger.lines, dry_run)


def _covered(allocated: Allocated, zone: ZoneInfo) -> Table:
    """Return what each instrument covers of what each month bought [MWh]."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("month")
    table.add_column("electricity", overflow="fold")
    for name in ("MWh", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    month = months(allocated.start_ns, zone)
    for number in np.unique(month).tolist():
        for name, amount, bought in _parts(allocated, month == number):
            share = f"{100 * amount / bought:.2f} %" if bought else "–"
            table.add_row(month_name(number), Text(name), f"{amount / _MWH:,.3f}", share)
    return table


def _parts(allocated: Allocated, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterator[tuple[str, int, int]]:
    shared = allocated.allocation
    bought = int(shared.bought[rows].sum())
    yield "bought", bought, bought
    for name, amounts in shared.covered.items():
        if covered := int(amounts[rows].sum()):
            yield f"covered by {name}", covered, bought
    yield "not covered", int(shared.uncovered[rows].sum()), bought
