"""`tanflow backup` and `tanflow restore`: a consistent copy of the data directory while the gateway runs, and back."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from config.explain import visible
from tanflow.backup.origin import Restored
from tanflow.backup.restoring import restore as restored
from tanflow.backup.taking import take
from tanflow.commands.options import ConfigFile, DataFolder, data_folder
from tanflow.instants import at

out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
_GENTLY = 10  # a backup has time, a gateway has not


def backup(
    target: Annotated[Path, typer.Argument(help="What is made: a directory, or a file ending in .tar.")],
    config: ConfigFile = Path("gateway.yaml"),
    data: DataFolder = None,
) -> None:
    """Back up the data directory, while the gateway runs or not: log, history, ledger, users, certificates, documents.

    Everything accepted before it begins is in it; it is read through before it gets its name.
    """
    folder, began = data_folder(config, data), time.monotonic()
    os.nice(_GENTLY)
    said = take(folder, target, err.print)
    size = sum(size for size, _ in said.files.values())
    out.print(
        f"{target}: {len(said.files)} files, {size / 1e6:.1f} MB, the log up to position {said.position}, the history "
        f"up to {said.archived}, verified; {time.monotonic() - began:.1f} s"
    )
    if said.head:
        out.print(f"ledger head {said.head}")


def restore(
    source: Annotated[Path, typer.Argument(help="A backup: a directory or a .tar file.")],
    config: ConfigFile = Path("gateway.yaml"),
    data: DataFolder = None,
) -> None:
    """Make the data directory out of a backup; one that holds anything already is never overwritten."""
    folder = data_folder(config, data)
    said = restored(source, folder, err.print)
    out.print(
        f"{folder}: restored as of {at(said.at_ns)}, {len(said.files)} files, the log up to position {said.position}"
    )
    if said.head:
        out.print(
            f"ledger head {visible(said.head)}; heads kept elsewhere since then are of blocks this ledger does not have"
        )
    if (mark := Restored.of(folder)) is not None:
        err.print(f"warning: {visible(mark.sentence())}")
