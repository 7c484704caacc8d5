"""What a restatement or an allocation changes → a table to read, or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from carbon.difference import Difference
from carbon.entries import Line

out = Console(highlight=False, soft_wrap=True)
_MOST_ROWS: Final = 60


def print_json(difference: Difference, lines: Mapping[int, Line], dry_run: bool) -> None:
    """Print everything a difference says."""
    said = difference.to_json(lines) | {"dry_run": dry_run}
    out.print(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode(), markup=False)


def show(difference: Difference, lines: Mapping[int, Line], dry_run: bool) -> None:
    """Print a difference as a table, a row a line and month."""
    rows = difference.rows(lines)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("line", "month"):
        table.add_column(name, overflow="fold")
    for name in ("entries changed", "energy [kWh]", "becomes", "emissions [kg CO₂e]", "becomes", "change"):
        table.add_column(name, justify="right", no_wrap=True)
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
