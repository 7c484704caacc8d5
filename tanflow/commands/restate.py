"""`tanflow restate`: booked entries with other factors or a corrected transformer ratio, and what that changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from carbon.difference import Difference
from carbon.entries import Line
from carbon.ledger import Ledger, Reason
from carbon.local_time import midnight_ns
from carbon.restate import Span, restate_activity, restate_factors
from config.load import load
from tanflow.commands.corrections import new_factors, new_ratio
from tanflow.commands.ledger import bar, err

out = Console(highlight=False, soft_wrap=True)
_MOST_ROWS: Final = 60


def restate(
    start: Annotated[str, typer.Option("--from", help="First day, e.g. 2025-01-01, on the site's clock.")],
    end: Annotated[str, typer.Option("--to", help="Day after the last one, e.g. 2025-04-01.")],
    reason: Annotated[str, typer.Option(help="Why: it stands beside every new version.")],
    factors: Annotated[str, typer.Option(help="A factor table, a set of fuel factors or a publisher of grid's.")] = "",
    activity: Annotated[str, typer.Option(help="A meter of the register whose ratio was wrong.")] = "",
    ct: Annotated[str, typer.Option(help="With --activity: the current transformer it has, e.g. 300/5.")] = "",
    pt: Annotated[str, typer.Option(help="With --activity: the voltage transformer it has, e.g. 10000/100.")] = "",
    by: Annotated[str, typer.Option(help="Who restates.")] = "",
    approved_by: Annotated[str, typer.Option(help="Who else looked at it.")] = "",
    config: Annotated[Path, typer.Option("-c", "--config", help="The gateway's configuration.")] = Path("gateway.yaml"),
    data: Annotated[Path | None, typer.Option(help="Data directory; default: the configuration's.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the difference as JSON.")] = False,
) -> None:
    """Correct a factor or a meter backwards: new versions of what it concerns; the old ones stay, the rest too."""
    if bool(factors) == bool(activity) or bool(activity) != bool(ct or pt):
        raise typer.BadParameter("give either --factors, or --activity with --ct or --pt")
    if not reason.strip():
        raise typer.BadParameter("say why (--reason): without a reason nobody can follow it later")
    loaded = load(config)
    method = f"factors {factors}" if factors else f"ratio of {activity}: " + " ".join(filter(None, (ct, pt)))
    said = Reason("restatement", reason.strip(), by.strip(), approved_by.strip(), method)
    span = _span(start, end, ZoneInfo(loaded.gateway.site.zone))
    folder = data or loaded.path.parent / loaded.gateway.data.dir
    with Ledger.open(folder, write=not dry_run) as ledger, bar() as progress:
        task = progress.add_task("restating")

        def tell(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of)

        advice = ""
        if factors:
            new = new_factors(loaded, ledger.lines, factors)
            difference = restate_factors(
                ledger, new.steps, span, said, replaces=new.replaces, dry_run=dry_run, progress=tell
            )
        else:
            fixed = new_ratio(loaded, ledger.lines, ledger.meters, activity, ct, pt)
            difference = restate_activity(
                ledger, fixed.lines, fixed.corrections, span, said, dry_run=dry_run, progress=tell
            )
            advice = fixed.advice
        if json:
            out.print(orjson.dumps(difference.to_json(ledger.lines), option=orjson.OPT_INDENT_2).decode(), markup=False)
        else:
            _show(difference, ledger.lines, dry_run)
    if advice:
        err.print(advice, markup=False, style="yellow")


def _span(start: str, end: str, zone: ZoneInfo) -> Span:
    first, last = (midnight_ns(_day(text), zone) for text in (start, end))
    if first >= last:
        raise typer.BadParameter("--from must be before --to, which is the day after the last one")
    return Span(first, last, zone)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a day; write e.g. 2025-01-31") from None


def _show(difference: Difference, lines: Mapping[int, Line], dry_run: bool) -> None:
    rows = difference.rows(lines)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("line", "month"):
        table.add_column(name, overflow="fold")
    for name in ("entries changed", "energy [kWh]", "becomes", "emissions [kg CO₂e]", "becomes", "change"):
        table.add_column(name, justify="right")
    for row in rows[:_MOST_ROWS]:
        table.add_row(Text(row["line"]), row["month"], f"{row['changed']:,} of {row['entries']:,}", *_sides(row))
    if rows:
        out.print(table)
    if len(rows) > _MOST_ROWS:
        out.print(f"… and {len(rows) - _MOST_ROWS:,} more lines and months; --json tells all")
    verb = "would get" if dry_run else "have" if difference.changed else "needed"
    out.print(f"{difference.changed:,} of {difference.entries:,} entries {verb} a new version", markup=False)
    if not dry_run and difference.changed:
        out.print(f"head before {difference.before}\nhead after  {difference.after}", markup=False)


def _sides(row: Mapping[str, Any]) -> tuple[str, ...]:
    sides = [row[f"{name}_{when}"] for name in ("energy_kwh", "co2e_kg") for when in ("before", "after")]
    before, after = sides[2:]
    change = f"{100 * (after / before - 1):+.3f} %" if before else "–"
    return *(f"{value:,.3f}" for value in sides), change
