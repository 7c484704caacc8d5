"""`tanflow import points.xlsx` and `tanflow points export`: a point list ↔ YAML, with nothing lost either way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from carbon.papers import evidence
from config.errors import ConfigError, GatewayError, Problem
from config.load import load
from tanflow.commands.options import ConfigFile
from tanflow.commissioning.pasted import yaml_of
from tanflow.commissioning.sheet_plant import Addresses, imported
from tanflow.commissioning.sheet_read import read_book
from tanflow.commissioning.sheet_rows import blocks_of, rows_of
from tanflow.commissioning.sheet_write import workbook

app = typer.Typer(no_args_is_help=True, help="The point list of a configuration as a workbook.")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_INLINE = frozenset({"points", "connections", "devices"})

To = Annotated[Path | None, typer.Option("-o", "--output", help="File to write; one that is there is not replaced.")]


def import_(
    sheet: Annotated[Path, typer.Argument(help="XLSX or CSV file; docs/commissioning.md says how it is laid out.")],
    addresses: Annotated[
        Addresses, typer.Option(help="How registers are numbered: as sent, from one, or as 40001 and the like.")
    ] = "zero",
    output: To = None,
) -> None:
    """Make the YAML of a point list (点表): connections, device maps and areas; every fault is named by its cell."""
    try:
        content = evidence.read(sheet.resolve())
    except ValueError as error:
        raise ConfigError([Problem(str(sheet), 1, "sheet", str(error))]) from None
    made = imported(read_book(sheet.name, content), addresses)
    for note in made.notes:
        err.print(f"note: {note}", markup=False)
    text = yaml_of(made.blocks, _INLINE)
    if output is None:
        out.print(text, end="", markup=False)
    else:
        _write(output, text.encode())
        err.print(f"written to {output}; tanflow check says whether the whole can run", markup=False)


@app.command()
def export(
    config: ConfigFile = Path("gateway.yaml"),
    output: To = None,
    chinese: Annotated[bool, typer.Option("--chinese", help="Name sheets and columns in Chinese (点表).")] = False,
) -> None:
    """Write connections, own device maps, assets, devices and points of a configuration as a workbook."""
    loaded = load(config)
    content = workbook(rows_of(blocks_of(loaded.gateway)), in_chinese=chinese)
    target = output or Path("points.xlsx")
    _write(target, content)
    err.print(f"written to {target}; tanflow import makes YAML of it again", markup=False)


def _write(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise GatewayError(f"{path} is there already; choose another name with --output") from None
    except OSError as error:
        raise GatewayError(f"{path} cannot be written: {error.strerror or error}") from None
