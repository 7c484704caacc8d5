"""`tanflow restate`: booked entries with other factors or a corrected transformer ratio, and what that changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from carbon.books import Books
from carbon.ledger import Ledger, Reason
from carbon.local_time import midnight_ns
from carbon.refresh import following
from carbon.restate import Span, restate_activity, restate_factors
from config.load import load
from tanflow.commands.corrections import new_factors, new_ratio
from tanflow.commands.differences import print_json, show
from tanflow.commands.ledger import bar, err
from tanflow.commands.options import ConfigFile, day


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
    config: ConfigFile = Path("gateway.yaml"),
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
            books = Books.of(loaded.gateway, loaded.templates, loaded.path.parent)
            fixed = new_ratio(loaded, ledger.lines, ledger.meters, activity, ct, pt)
            difference = restate_activity(
                ledger, fixed.lines, fixed.corrections, span, said, follow=following(ledger, books), dry_run=dry_run,
                progress=tell,
            )  # fmt: skip
            advice = fixed.advice
        (print_json if json else show)(difference, ledger.lines, dry_run)
    if advice:
        err.print(advice, markup=False, style="yellow")


def _span(start: str, end: str, zone: ZoneInfo) -> Span:
    first, last = (midnight_ns(day(text), zone) for text in (start, end))
    if first >= last:
        raise typer.BadParameter("--from must be before --to, which is the day after the last one")
    return Span(first, last, zone)
