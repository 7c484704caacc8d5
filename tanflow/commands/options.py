"""Text of an option → what is meant by it; and the plain table every account command prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import typer
from rich.table import Table

from config.errors import Rejected


@contextmanager
def meant() -> Iterator[None]:
    """Make of what was asked for and cannot be meant (Rejected) a mistake of usage, exit 2."""
    try:
        yield
    except Rejected as error:
        raise typer.BadParameter(str(error)) from None


def day(text: str, option: str = "") -> date:
    """Return a day; typer.BadParameter, naming the option where given, for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        named = f"{option}: " if option else ""
        raise typer.BadParameter(f"{named}'{text}' is not a day; write e.g. 2025-01-31") from None


def plain_table(*columns: str) -> Table:
    """Return an empty table without a frame, whose cells are folded rather than cut."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, overflow="fold")
    return made
