"""`tanflow gaps …`: what of each stream is missing in the account, and filling it with method, reason and approver."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from carbon.books import Books
from carbon.coverage import silence
from carbon.entries import MICRO
from carbon.filling.fill import Aids, Planned, Signed, account_grid, plan, read_courses, write
from carbon.filling.gaps import Course, finding, standing
from carbon.filling.substitute import Filling
from carbon.ledger import Ledger
from carbon.refresh import refresh_virtual
from config.errors import GatewayError
from config.explain import nearest
from config.load import load
from pipeline.clock import SECOND_NS
from tanflow.commands.options import ConfigFile, DataFolder, plain_table

app = typer.Typer(no_args_is_help=True, help="Gaps in the account: what is missing, and filling it.")
out = Console(highlight=False, soft_wrap=True)
_HOUR_NS: Final = 3600 * SECOND_NS
_MOST: Final = 1e12  # of what a counter goes on by: amounts are kept in integers of 1e-6

From = Annotated[str, typer.Option("--from", help="First day, e.g. 2025-01-01; default: a year before --to.")]
To = Annotated[str, typer.Option("--to", help="Day after the last one, e.g. 2026-01-01; default: now.")]
Check = Annotated[str, typer.Option("--check", help="With one stream: a second meter of the same flow.")]
Driver = Annotated[str, typer.Option("--driver", help="With one stream: the stream it depends on, e.g. product.")]
Counted = Annotated[
    float | None, typer.Option(help="With one stream and one gap: what its counter went on by, in the stream's unit.")
]


@dataclass(frozen=True, slots=True)
class _Period:
    start_ns: int
    end_ns: int
    zone: ZoneInfo

    def __str__(self) -> str:
        return f"{_local(self.start_ns, self.zone)} … {_local(self.end_ns, self.zone)}"


@app.command("list")
def list_(
    config: ConfigFile = Path("gateway.yaml"), data: DataFolder = None, start: From = "", end: To = "",
    stream: Annotated[str, typer.Option(help="Only this stream, e.g. furnace-1.natural_gas.")] = "",
    check: Check = "", driver: Driver = "", counted: Counted = None,
) -> None:  # fmt: skip
    """Show what is missing of each stream, and what would fill it."""
    aids = _aids(stream, check, driver, counted)
    books, folder = _open(config, data)
    period = _period(start, end, books.zone)
    with Ledger.open(folder) as ledger:
        grid, rows = account_grid(ledger, books, period.start_ns, period.end_ns)
        found = read_courses(ledger, books, grid)
        silent = silence(books, ledger, period.start_ns, period.end_ns, time.time_ns())
    chosen = _chosen(found, stream, aids)
    table = plain_table("stream", "missing", "filled", "substituted", "gaps")
    planned = plan(books, found, rows, chosen, aids)
    findings = [silent]
    for key in chosen:
        known = standing(found[key], rows)
        count = sum(p.gap.stream == key for p in planned)
        shares = (f"{100 * share:.2f} %" for share in (known.missing, known.filled, known.substituted))
        table.add_row(key, *shares, str(count))
        findings.append(finding(known, str(period)))
    out.print(f"{period}", table, sep="\n")
    _show(planned, period.zone)
    for sentence in filter(None, findings):
        out.print(sentence, markup=False)


@app.command()
def fill(
    by: Annotated[str, typer.Option(help="Who fills.")],
    approved_by: Annotated[str, typer.Option(help="Who else approved of it.")],
    reason: Annotated[str, typer.Option(help="Why the readings are missing.")],
    config: ConfigFile = Path("gateway.yaml"), data: DataFolder = None, start: From = "", end: To = "",
    stream: Annotated[str, typer.Option(help="The stream, e.g. furnace-1.natural_gas.")] = "",
    all_: Annotated[bool, typer.Option("--all", help="Every stream.")] = False,
    check: Check = "", driver: Driver = "", counted: Counted = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be filled, and write nothing.")] = False,
) -> None:  # fmt: skip
    """Fill the gaps of a stream: new entries in the ledger, with method, reason and approver."""
    if bool(stream) == all_:
        raise typer.BadParameter("give one of --stream and --all")
    signed = _signed(by, approved_by, reason)
    aids = _aids(stream, check, driver, counted)
    books, folder = _open(config, data)
    period = _period(start, end, books.zone)
    with Ledger.open(folder, write=not dry_run) as ledger, ExitStack() as stack:
        # Looked at within the transaction: no late reading comes between looking and filling.
        writing = None if dry_run else stack.enter_context(ledger.writing())
        grid, rows = account_grid(ledger, books, period.start_ns, period.end_ns)
        found = read_courses(ledger, books, grid)
        planned = plan(books, found, rows, _chosen(found, stream, aids), aids)
        if writing:
            for gap in planned:
                write(ledger, writing, books, found, gap, signed)
            end_ns = max((p.gap.end_ns for p in planned), default=period.start_ns)
            refresh_virtual(ledger, writing, books, period.start_ns, end_ns)
    _show(planned, period.zone)
    filled = sum(not isinstance(p.filling, str) for p in planned)
    left = f", {len(planned) - filled} cannot be" if filled < len(planned) else ""
    out.print(f"{filled} gaps {'would be' if dry_run else 'are'} filled{left}", markup=False)


def _open(config: Path, data: Path | None) -> tuple[Books, Path]:
    loaded = load(config)
    base = loaded.path.parent
    return Books.of(loaded.gateway, loaded.templates, base), data or base / loaded.gateway.data.dir


def _signed(by: str, approved_by: str, reason: str) -> Signed:
    if not (by.strip() and approved_by.strip() and reason.strip()):
        raise typer.BadParameter("say who fills (--by), who approved (--approved-by) and why (--reason)")
    if by.strip().casefold() == approved_by.strip().casefold():
        raise typer.BadParameter("nobody approves of what they fill themselves; name somebody else in --approved-by")
    return Signed(by.strip(), approved_by.strip(), reason.strip())


def _aids(stream: str, check: str, driver: str, counted: float | None) -> Aids:
    if counted is not None and not abs(counted) <= _MOST:
        raise typer.BadParameter(f"{counted:g} is nothing a counter can have gone on by (--counted)")
    aids = Aids(check, driver, None if counted is None else round(counted * MICRO))
    if aids != Aids() and not stream:
        raise typer.BadParameter("--check, --driver and --counted say something of one stream; name it with --stream")
    return aids


def _chosen(found: Mapping[str, Course], stream: str, aids: Aids) -> Collection[str]:
    """Return the streams that are meant; raises GatewayError for one that the ledger does not have."""
    for name in filter(None, (stream, aids.check, aids.driver)):
        if name not in found:
            hint = nearest(name, found) or f"; it has {', '.join(sorted(found)[:5]) or 'none'}"
            raise GatewayError(f"the ledger has no metered stream '{name}'{hint}")
    return [stream] if stream else sorted(found)


def _period(start: str, end: str, zone: ZoneInfo) -> _Period:
    last = _instant(end, zone) if end else datetime.now(UTC)
    first = _instant(start, zone) if start else last - timedelta(days=365)
    if first >= last:
        raise typer.BadParameter("--from must be before --to")
    return _Period(int(first.timestamp()) * SECOND_NS, int(last.timestamp()) * SECOND_NS, zone)


def _instant(text: str, zone: ZoneInfo) -> datetime:
    with suppress(ValueError):
        at = datetime.fromisoformat(text)
        if not 1990 <= at.year <= 2100:
            raise typer.BadParameter(f"{text} is not between the years 1990 and 2100")
        return at if at.tzinfo else at.replace(tzinfo=zone)
    raise typer.BadParameter(f"'{text}' is not a day; write e.g. 2025-01-31 or 2025-01-31T14:00, on the site's clock")


def _show(planned: Sequence[Planned], zone: ZoneInfo) -> None:
    if not planned:
        out.print("no gap is open")
        return
    table = plain_table("gap", "stream", "from", "to", "missing", "filled by", "amount")
    notes = []
    for number, p in enumerate(planned, 1):
        times = (_local(p.gap.start_ns, zone), _local(p.gap.end_ns, zone), f"{p.gap.missing_ns / _HOUR_NS:.1f} h")
        method, amount, note = "nothing", "", p.filling
        if isinstance(p.filling, Filling):
            method, note = p.filling.method.replace("_", " "), p.filling.reason
            amount = f"{int(p.filling.amounts.sum()) / MICRO:,.1f} {p.unit}"
        table.add_row(str(number), p.gap.stream, *times, method, amount)
        notes.append(f"{number}: {note}")
    out.print(table)
    out.print("\n".join(notes), markup=False)


def _local(time_ns: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(time_ns // SECOND_NS, zone).strftime("%Y-%m-%d %H:%M")
