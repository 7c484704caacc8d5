"""`tanflow ledger …`: whether the account was changed since it was written, and what every kilogram is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from carbon.entries import MICRO, Entries, Integers, Line
from carbon.factor import GASES
from carbon.ledger import Head, Ledger, Version, verify
from carbon.ledger.file import FILE as LEDGER_FILE
from config.errors import GatewayError, Rejected
from config.explain import nearest
from pipeline.clock import SECOND_NS
from pipeline.quality import describe
from tanflow.commands.options import DataDir

app = typer.Typer(no_args_is_help=True, help="The account's ledger: verify it, and trace what stands in it.")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_DAY_NS: Final = 86_400 * SECOND_NS
_REACH_NS: Final = (_DAY_NS, 32 * _DAY_NS, 367 * _DAY_NS)  # how far before an instant its entry may begin


@app.command("verify")
def verify_(
    data: DataDir = Path("data"),
    head: Annotated[str, typer.Option(help="A head kept elsewhere: SEQ:HASH, or 16 or more digits of a hash.")] = "",
) -> None:
    """Recompute the whole ledger; exit 1 if anything in it was changed since it was written."""
    kept = a_head(head) if head else None
    with bar() as progress:
        task = progress.add_task("verifying")
        verdict = verify(data, kept, lambda done, of: progress.update(task, completed=done, total=of))
    for problem in verdict.problems:
        err.print(problem, markup=False, style="red")
    if not verdict.ok and (kept or (data / LEDGER_FILE).exists()):  # else there is none that could have been changed
        err.print(f"{data} is not as it was written: compare it with a copy, and with a head you hold", markup=False)
    if not verdict.ok:
        raise typer.Exit(1)
    out.print(
        f"sound: {verdict.entries:,} entries in {verdict.blocks:,} blocks, {verdict.documents:,} documents, "
        f"{verdict.files:,} files" + ("; the head you hold stands in it" if kept else "")
    )
    out.print(f"head {verdict.head}", markup=False)
    if not kept:
        out.print("Keep this head where nobody can change it: with --head it also shows a cut or rebuilt ledger.")


@app.command("head")
def head_(data: DataDir = Path("data")) -> None:
    """Print where the chain stands, to be kept elsewhere."""
    with Ledger.open(data) as ledger:
        out.print(str(ledger.head()), markup=False)


@app.command("lines")
def lines_(
    data: DataDir = Path("data"),
    match: Annotated[str, typer.Argument(help="Only lines whose name contains this.")] = "",
) -> None:
    """List the account's lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("number", "line", "role", "unit", "area", "type"):
        table.add_column(name, overflow="fold")
    with Ledger.open(data) as ledger:
        for number, line in ledger.lines.items():
            if match in line.key:
                table.add_row(str(number), *map(Text, (line.key, line.role, line.unit, line.area, line.asset_type)))
    out.print(table)


@app.command()
def show(
    line: Annotated[str, typer.Argument(help="A line's number or name, or a part of the name only it has.")],
    at: Annotated[str, typer.Option(help="An instant within the entry, e.g. 2025-03-01T14:00.")],
    data: DataDir = Path("data"),
    zone: Annotated[str, typer.Option(help="Zone of --at where it states none, and of what is shown.")] = "UTC",
) -> None:
    """Show every version of an entry: what was measured, by which meter, times which factor, who says so, and why."""
    clock = _zone(zone)
    instant = _instant(at, clock)
    with Ledger.open(data) as ledger:
        number = one_line(ledger.lines, line)
        found = list(_covering(ledger, number, instant))
        if not found:
            raise GatewayError(
                f"{ledger.lines[number].key} has no entry at {at}; `tanflow ledger lines` lists all lines"
            )
        for start_ns in found:
            versions = ledger.versions(number, start_ns)
            for nth, version in enumerate(versions, 1):
                out.print(_title(ledger.lines[number], version, nth, len(versions), clock))
                out.print(_traced(ledger, ledger.lines[number], version))


def a_head(text: str) -> Head:
    """Return the head of `SEQ:HASH` or of the first digits of a hash; raises Rejected for anything else."""
    match = re.fullmatch(r"(?:(\d{1,15}):)?([0-9a-f]{16,64})", text.strip().lower())
    if match is None:
        raise Rejected(f"'{text}' is no head; write SEQ:HASH as `tanflow ledger head` prints it")
    return Head(int(match[1] or 0), match[2])


def one_line(lines: Mapping[int, Line], text: str) -> int:
    """Return the number of the line that is meant; raises GatewayError where none or several are."""
    if text.isdecimal() and int(text) in lines:
        return int(text)
    found = [n for n, line in lines.items() if text == line.key] or [n for n, line in lines.items() if text in line.key]
    if len(found) == 1:
        return found[0]
    if found:
        some = "".join(f"\n  {n}  {lines[n].key}" for n in found[:10])
        raise GatewayError(f"'{text}' may be any of {len(found)} lines; name one by its number:{some}")
    raise GatewayError(f"the ledger has no line '{text}'{nearest(text, [line.key for line in lines.values()])}")


def bar() -> Progress:
    """Return a progress bar that leaves nothing behind, and says nothing in a pipe."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise typer.BadParameter(f"'{name}' is not an IANA time zone; write e.g. Asia/Shanghai") from None


def _instant(text: str, zone: ZoneInfo) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not an instant; write e.g. 2025-03-01T14:00") from None
    return int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()) * SECOND_NS


def _covering(ledger: Ledger, line: int, at_ns: int) -> Iterator[int]:
    """Yield the starts of the effective entries an instant lies in, those that begin nearest to it first."""
    seen: set[int] = set()
    for reach in _REACH_NS:
        for part in ledger.read(at_ns - reach, at_ns + 1, [line]):
            starts = part.start_ns[part.start_ns + part.span_ns > at_ns].tolist()
            yield from (start for start in starts if start not in seen)
            seen.update(starts)
        if seen:
            return


def _title(line: Line, version: Version, nth: int, of: int, zone: ZoneInfo) -> Text:
    start, span = int(version.entry.start_ns[0]), int(version.entry.span_ns[0])
    when = f"{_local(start, zone)} – {_local(start + span, zone)}"
    effective = ", effective" if nth == of else ""
    return Text(f"{line.key}  {when}  version {nth} of {of}{effective}", style="bold")


def _traced(ledger: Ledger, line: Line, version: Version) -> Table:
    """Return one version: amount × factor = kilograms, and where both come from."""
    entry, reason = version.entry, version.reason
    table = Table(box=None, pad_edge=False, show_header=False)
    block = next(ledger.blocks(version.seq - 1, version.seq))
    signed = [f"{word} {name}" for word, name in (("by", reason.by), ("approved by", reason.approved_by)) if name]
    why = ", ".join(filter(None, (reason.kind, reason.method, reason.text, *signed)))
    rows = {
        "block": f"{version.seq} of {_local(block.at_ns, ZoneInfo('UTC'))} UTC, {block.head[:16]}…",
        "reason": why,
        "amount": _amount(entry, line.unit),
        "energy": f"{_units(entry.energy)} kWh",
        "emissions": _emissions(entry),
        "quality": describe(int(entry.quality[0])),
        "factor": _factor(ledger, int(entry.factor[0])),
        "meter": _meter(ledger, int(entry.meter[0])),
    }
    for name, said in rows.items():
        table.add_row(f"  {name}", Text(said))
    return table


def _amount(entry: Entries, unit: str) -> str:
    shares = {"estimated": entry.estimated, "substituted": entry.substituted}
    parts = [f"{_units(column)} {name}" for name, column in shares.items() if column[0]]
    share = int(entry.covered_ns[0]) / int(entry.span_ns[0])
    return f"{_units(entry.amount)} {unit}" + (f" ({', '.join(parts)})" if parts else "") + f", data for {share:.1%}"


def _emissions(entry: Entries) -> str:
    gases = [f"{gas} {_units(getattr(entry, gas))}" for gas in (*GASES, "biogenic") if getattr(entry, gas)[0]]
    return f"{_units(entry.co2e)} kg CO₂e" + (f" ({', '.join(gases)})" if gases else "")


def _factor(ledger: Ledger, number: int) -> str:
    factor = ledger.factors.get(number)
    if factor is None:
        return "none"
    said = factor.provenance
    spread = f", ±{factor.uncertainty:.1%}" if factor.uncertainty is not None else ""
    return (
        f"{factor.total:.10g} kg CO₂e/{factor.unit}{spread}, {factor.kwh:.10g} kWh/{factor.unit}\n{factor.id}, version "
        f"{factor.version}, {said.variant}\n{said.publisher}: {said.publication}, data of {said.data_year}, published "
        f"{said.published_on or 'on an unknown day'}\n{said.source}"
    )


def _meter(ledger: Ledger, number: int) -> str:
    meter = ledger.meters.get(number)
    if meter is None:
        return "none registered"
    calibrated = f", calibrated {meter.calibrated_on}" if meter.calibrated_on else ""
    due = f", due {meter.due}" if meter.due else ""
    return (
        f"{meter.meter}, serial {meter.serial}, ratio {meter.ratio:g}, ±{meter.uncertainty:.2%}{calibrated}{due}"
        f"{', bypassed' if meter.bypassed else ''}, version {meter.version}"
    )


def _units(column: Integers) -> str:
    """Return a number of 1e-6 units without loss."""
    whole, rest = divmod(abs(int(column[0])), MICRO)
    return f"{'-' if int(column[0]) < 0 else ''}{whole:,}.{rest:06d}"


def _local(time_ns: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(time_ns // SECOND_NS, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M")
