"""`tanflow report`: the account of a year or a month as HTML to print, a workbook, JSON or CSV."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from config.errors import GatewayError
from config.load import Loaded, load
from tanflow.commands.options import ConfigFile

if TYPE_CHECKING:  # what makes reports is imported by those who ask for one: a gateway needs none of it
    from carbon.report.model import Period, Report
    from carbon.report.words import Words

err = Console(stderr=True, highlight=False, soft_wrap=True)


class Format(StrEnum):
    """What a report is written as."""

    html = "html"
    xlsx = "xlsx"
    json = "json"
    csv = "csv"


class Lang(StrEnum):
    """What a report is written in."""

    en = "en"
    zh = "zh-CN"


def report(
    year: Annotated[int, typer.Option(help="Year on the site's clock.", min=1990, max=2100)],
    month: Annotated[int | None, typer.Option(help="Only this month of it.", min=1, max=12)] = None,
    format: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.html,
    lang: Annotated[Lang, typer.Option(help="Language of the words.")] = Lang.en,
    out: Annotated[Path | None, typer.Option(help="File to write; - for standard output.")] = None,
    config: ConfigFile = Path("gateway.yaml"),
    data: Annotated[Path | None, typer.Option(help="Data directory; default: the configuration's.")] = None,
    as_of: Annotated[int | None, typer.Option(help="As the ledger stood at this block.", min=1)] = None,
) -> None:
    """Report a year or a month of the account; docs/report.md says what stands in it."""
    from carbon.report.model import Period
    from carbon.report.words import Words
    from tanflow.reporting import name_of

    loaded = load(config)
    zone = ZoneInfo(loaded.gateway.site.zone)
    made = _made(loaded, data or loaded.path.parent / loaded.gateway.data.dir, Period(year, month, zone), as_of)
    path = out or Path(name_of(year, month, format.value))
    try:
        _write(made, Words(lang.value, zone), format, path)
    except OSError as error:
        raise GatewayError(f"{path} cannot be written: {error.strerror or error}; choose another --out") from None
    if str(path) != "-":
        err.print(f"{path}: ledger block {made.cover.head.seq}, {len(made.findings)} findings", markup=False)


def _made(loaded: Loaded, folder: Path, period: Period, as_of: int | None) -> Report:
    from carbon.books import Books
    from tanflow import reporting

    def books() -> Books:
        return Books.of(loaded.gateway, loaded.templates, loaded.path.parent)

    return reporting.made(loaded.gateway, books, folder, period, as_of=as_of)


def _write(made: Report, words: Words, format: Format, path: Path) -> None:
    from tanflow import reporting

    if str(path) != "-":
        with _whole(path) as part:
            part.write_bytes(reporting.encoded(made, words, format.value))
        return
    if format is Format.xlsx:
        raise GatewayError("a workbook is no text for the terminal; give it a file with --out")
    sys.stdout.buffer.write(reporting.encoded(made, words, format.value))


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a file to write that takes the place of another once all of it is there: a full disk leaves that one."""
    if not path.is_file() and path.exists():  # a pipe, /dev/stdout, or a folder, which is told
        yield path
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
