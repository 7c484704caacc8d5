"""`tanflow cost`: what the electricity of a month costs by the tariff, item by item."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from carbon.books import Books
from carbon.entries import MICRO
from carbon.ledger import Ledger
from carbon.money.bill import Bill
from carbon.money.billing import OwnPart, month_cost
from config.load import load
from tanflow.commands.options import ConfigFile

out = Console(highlight=False, soft_wrap=True)


def cost(
    month: Annotated[str, typer.Option(help="Month on the site's clock, e.g. 2025-03.")],
    config: ConfigFile = Path("gateway.yaml"),
    data: Annotated[Path | None, typer.Option(help="Data directory; default: the configuration's.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show the bill of every supply point in a month, and what own power was worth."""
    loaded = load(config)
    base = loaded.path.parent
    books = Books.of(loaded.gateway, loaded.templates, base)
    with Ledger.open(data or base / loaded.gateway.data.dir) as ledger:
        found = month_cost(books, ledger, month)
    if json:
        out.print(orjson.dumps(found.to_json(), option=orjson.OPT_INDENT_2).decode(), markup=False)
        return
    for stream, bill in found.supplies:
        out.print(f"{stream}, {bill.month}, {found.tariff}", markup=False)
        out.print(_items(bill))
        for sentence in bill.findings:
            out.print(sentence, markup=False, style="yellow")
    if not found.supplies:
        out.print(f"the ledger holds no electricity bought in {month}")
    if found.own:
        out.print(_own(found.own, found.currency), markup=False)


def _items(bill: Bill) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("item", overflow="fold")
    for name in ("quantity", "price", bill.currency):
        table.add_column(name, justify="right", no_wrap=True)
    for item in bill.items:
        quantity = f"{item.quantity:,.3f} {item.unit or bill.currency}"
        table.add_row(item.name, quantity, f"{item.price:.6g}", f"{item.amount / MICRO:,.2f}")
    table.add_row("total", "", "", f"{bill.total / MICRO:,.2f}")
    return table


def _own(own: OwnPart, currency: str) -> str:
    made, used, given = (f"{part / MICRO:,.3f}" for part in (own.generated, own.used, own.exported))
    return (
        f"own generation: {made} kWh, of them {used} used and {given} exported; what was used would have cost "
        f"{own.avoided / MICRO:,.2f} {currency} of energy and fees"
    )
