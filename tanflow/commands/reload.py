"""`tanflow reload`: the running gateway takes over what has changed in its configuration file."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

import typer
from rich.console import Console

from config.errors import GatewayError
from config.load import load
from pipeline.log.directory import owner
from tanflow.checking import check_more
from tanflow.commands.options import ConfigFile
from tanflow.reload import Outcome

out = Console(highlight=False, soft_wrap=True, markup=False)
_WITHIN_S: Final = 120.0
_GLANCE_S: Final = 0.05


def reload(
    config: ConfigFile = Path("gateway.yaml"),
) -> None:
    """Let the running gateway take over its changed configuration; what has not changed goes on undisturbed.

    A configuration that cannot work is told here and changes nothing (exit 2); nor does one the gateway refuses (1).
    """
    loaded = load(config)
    check_more(loaded)
    data = loaded.path.parent / loaded.gateway.data.dir
    process, before = owner(data), Outcome.last(data)
    if process is None:
        raise GatewayError(
            _elsewhere(loaded.path) or f"no gateway runs on {data}; start it with tanflow run -c {config}"
        )
    try:
        os.kill(process, signal.SIGHUP)
    except PermissionError as error:
        raise GatewayError(f"process {process} is another user's; run this as the one the gateway runs as") from error
    outcome = _awaited(data, before, process)
    out.print(outcome.sentence())
    if outcome.problems:
        raise typer.Exit(1)


def _elsewhere(config: Path) -> str:
    """Return that a gateway which was started with this file runs on another data directory; "": none is known."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
            if not _runs(process, config):
                continue
            for opened in (Path(os.readlink(fd)) for fd in (process / "fd").iterdir()):
                if opened.name == "owner" and owner(opened.parent) == int(process.name):
                    return (
                        f"the gateway of {config} (process {process.name}) runs on {opened.parent}, and a running "
                        "gateway keeps its data directory: put data.dir back, or restart the gateway"
                    )
    return ""


def _runs(process: Path, config: Path) -> bool:
    """Return whether a process was started as `tanflow run` with a configuration; raises OSError if that is unknown."""
    arguments = [os.fsdecode(a) for a in (process / "cmdline").read_bytes().split(b"\0")]
    if "run" not in arguments:
        return False
    files = [a.removeprefix("--config=").removeprefix("-c") for a in arguments]
    if not any(a.startswith(("-c", "--config")) for a in arguments):
        files.append("gateway.yaml")
    return any(os.path.realpath(process / "cwd" / file) == os.path.realpath(config) for file in files)


def _awaited(data: Path, before: Outcome | None, process: int) -> Outcome:
    end = time.monotonic() + _WITHIN_S
    while time.monotonic() < end:
        outcome = Outcome.last(data)
        if outcome is not None and outcome != before:
            return outcome
        if owner(data) != process:
            raise GatewayError(f"the gateway (process {process}) has ended; its log says why")
        time.sleep(_GLANCE_S)
    raise GatewayError(f"the gateway (process {process}) has not answered within {_WITHIN_S:.0f} s; its log says why")
