"""`tanflow enter …`: fuel deliveries, stocks, analyses, invoices, production and certificates into the ledger."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from carbon.ledger import Ledger
from carbon.papers.documents import Documents, Entered, Person, ranges
from carbon.papers.evidence import read
from carbon.papers.invoices import compare
from carbon.papers.manual import Account
from carbon.papers.register import Register
from carbon.papers.sheets import read_sheet
from config.errors import ConfigError, Problem, Rejected
from config.load import load
from tanflow.commands.options import ConfigFile

out = Console(highlight=False, soft_wrap=True)
_MOST: Final = 100_000  # documents one approval may name


def enter(
    sheet: Annotated[Path | None, typer.Argument(help="CSV or XLSX file, one document a row.")] = None,
    config: ConfigFile = Path("gateway.yaml"),
    by: Annotated[str, typer.Option(help="Who enters or approves.")] = "",
    approved_by: Annotated[str, typer.Option(help="Who else looked at it; without, the rows wait for approval.")] = "",
    worksheet: Annotated[str, typer.Option("--sheet", help="Worksheet of an XLSX file; default: the first.")] = "",
    approve: Annotated[str, typer.Option(help="Approve documents that wait, e.g. 12-17,20.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="Show all documents and what they count for.")] = False,
    invoices: Annotated[bool, typer.Option("--compare", help="Show each invoice against the meters.")] = False,
    data: Annotated[Path | None, typer.Option(help="Data directory; default: the configuration's.")] = None,
) -> None:
    """Enter documents into the account, or approve, list and compare them. docs/manual-data.md says how."""
    if sum((sheet is not None, bool(approve), list_, invoices)) != 1:
        raise typer.BadParameter("give one of: a sheet, --approve, --list, --compare")
    loaded = load(config)
    folder = data or loaded.path.parent / loaded.gateway.data.dir
    documents = Documents(Account.of(loaded.gateway, loaded.templates, loaded.path.parent), folder)
    if sheet is not None:
        _enter(documents, sheet, worksheet, Person(by, approved_by))
    elif approve:
        _tell(documents.approve(numbers(approve), by), "approved")
    elif list_:
        out.print(_listed(documents.register()))
    else:
        out.print(_compared(documents))


def _enter(documents: Documents, sheet: Path, worksheet: str, person: Person) -> None:
    try:
        content = read(sheet.resolve())
    except ValueError as error:
        raise ConfigError([Problem(str(sheet), 1, "sheet", str(error))]) from None
    table = read_sheet(sheet.name, content, worksheet)
    if table.encoding == "gb18030":
        out.print(f"{sheet.name} is read as GB18030; save it as 'CSV UTF-8' if names look wrong")
    _tell(documents.enter(table, content, person, sheet.parent), "entered")


def _tell(entered: Entered, done: str) -> None:
    known = ranges([row.seq for row in entered.filed])
    count = f"{len(entered.filed)} document{'s' if len(entered.filed) > 1 else ''} {done}: {known}"
    if entered.pending:
        which = known.replace("–", "-").replace(" ", "")
        out.print(f"{count}; waiting for approval: tanflow enter --approve {which} --by NAME")
    else:
        out.print(f"{count}; {entered.entries} entries of the ledger")
    for note in entered.notes:
        out.print(note)


def numbers(text: str) -> list[int]:
    """Return the numbers of `12-17,20`; raises Rejected for anything else."""
    found: list[int] = []
    for part in re.split(r"[,\s]+", text.strip()):
        match = re.fullmatch(r"(\d{1,12})(?:[-–](\d{1,12}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last - first + len(found) >= _MOST:
            raise Rejected(f"'{part}' is no number of documents; write e.g. 12 or 12-17,20")
        found += range(first, last + 1)
    return found


def _listed(register: Register) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("no.", "state", "kind", "of", "says", "from", "entered by", "approved by"):
        table.add_column(name, overflow="fold")
    for row in register.rows.values():
        said = row.to_json()["row"]
        about = " ".join(f"{k}={v}" for k, v in said.items() if k not in ("kind", "asset", "carrier", "note"))
        state = register.state(row.seq)
        if (newer := register.correction_of(row.seq)) is not None:
            state_text = f"{state} by {newer}" if state == "replaced" else f"{state}, {newer} is to replace it"
        else:
            state_text = state
        cells = (row.stream or row.document.asset, about, row.origin, row.by, register.approver(row.seq))
        table.add_row(str(row.seq), state_text, row.document.kind, *map(Text, cells))
    return table


def _compared(documents: Documents) -> Group:
    """Return the invoices beside the meters, and what is to be said of each below: a sentence needs the whole width."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("no.", "stream", "period"):
        table.add_column(name, overflow="fold")
    for name in ("invoiced", "metered", "difference", "± error"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("unit")
    said = []
    with Ledger.open(documents.data) as ledger:
        invoices = Register.of(ledger.documents()).in_force("invoice")
        for c in compare(documents.account, ledger, invoices):
            amounts = (f"{value:,.3f}" for value in (c.invoiced, c.metered, c.difference, c.error))
            table.add_row(str(c.seq), Text(c.stream), f"{c.first} – {c.last}", *amounts, c.unit)
            said.append(Text(f"{c.seq}: {c.finding or 'agrees'}", style="yellow" if c.finding else "green"))
    return Group(table, *said)
