"""Text of an option → what is meant by it; and the plain table every account command prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from config.errors import Rejected
from config.load import load

if TYPE_CHECKING:
    from rich.table import Table


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
    from rich.table import Table  # here: a gateway that runs has these options and prints no table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, overflow="fold")
    return made


# Whether these may be read is told by what reads them, with the user who may.
ConfigFile = Annotated[Path, typer.Option("-c", "--config", readable=False, help="The gateway's configuration.")]
DataDir = Annotated[Path, typer.Option("--data", readable=False, help="The gateway's data directory.")]
DataFolder = Annotated[
    Path | None, typer.Option("--data", readable=False, help="Data directory; default: the configuration's.")
]


def data_folder(config: Path, data: Path | None) -> Path:
    """Return the data directory that is named, else the configuration's; raises ConfigError."""
    return data if data is not None else load(config).gateway.data.dir


def instant(text: str, option: str, zone: ZoneInfo) -> int:
    """Return an instant [ns UTC]; without a zone of its own it is one of the site's clock."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        words = f"{option}: '{text}' is not an instant; write e.g. 2025-03-01T14:00 or 2025-03-01T06:00Z"
        raise typer.BadParameter(words) from None
    at = at if at.tzinfo else at.replace(tzinfo=zone)
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
