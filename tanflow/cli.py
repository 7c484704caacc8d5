"""The command line: `tanflow COMMAND`; exit 0 done, 1 failed, 2 what was asked for cannot work."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Coroutine
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import uvloop
from typer.core import TyperGroup

from config.errors import ConfigError, GatewayError
from config.explain import visible
from config.load import Loaded, load
from tanflow import log_lines
from tanflow.commands.options import ConfigFile, DataDir
from tanflow.memory import hurry, leave
from tanflow.system_errors import sentence

if TYPE_CHECKING:
    from rich.console import Console

# Every other command has a file of its own, read only when it is called: a gateway need not carry them all.
_ELSEWHERE: Final = {
    name: ("tanflow.commands." + module, thing)
    for module, thing, *names in (
        ("advise", "advise"), ("alerts", "app"), ("allocate", "allocate"), ("backup", "backup"),
        ("backup", "restore", "restore"), ("browse", "browse"), ("certs", "app"),
        ("commission", "commission"), ("cost", "cost"),
        ("doctor", "doctor"), ("drift", "drift"), ("enter", "enter"), ("factors", "app"),
        ("findings", "findings"), ("gaps", "app"), ("ledger", "app"), ("listen", "listen"), ("meters", "app"),
        ("notify", "app"), ("points", "app"), ("points", "import_", "import"), ("probe", "probe"), ("reload", "reload"),
        ("report", "report"), ("resend", "resend"), ("restate", "restate"), ("scan", "scan"), ("users", "app"),
    )
    for name in names or [module]
}  # fmt: skip


class Commands(TyperGroup):
    """The commands of this file and those elsewhere."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return [*super().list_commands(ctx), *sorted(_ELSEWHERE)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, its file read now."""
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, thing = _ELSEWHERE[cmd_name]
        found = getattr(import_module(module), thing)
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_group(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command(cmd_name)(found)
            command = typer.main.get_command(alone)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)


def _console(*, stderr: bool = False) -> Console:
    """Return where a person reads; only who has something to say imports it, a gateway that runs need not carry it."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, highlight=False) if stderr else Console()


_SCENARIOS = sorted(path.stem for path in (Path(__file__).parent.parent / "simulators" / "scenarios").glob("*.yaml"))


def duration(text: str) -> float:
    """Return the seconds of `30`, `30s`, `5min` or `2h`; typer.BadParameter for anything else."""
    units = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text[len(number) :].strip() or "s"
    try:
        seconds = float(number) * units[unit]
    except (ValueError, KeyError):
        raise typer.BadParameter(f"'{text}' is not a duration; write 30s, 5min or 2h") from None
    if not 0 < seconds < 1e8:
        raise typer.BadParameter(f"'{text}' is not a usable duration")
    return seconds


def _loaded(path: Path) -> Loaded:
    loaded = load(path)
    for warning in loaded.warnings:
        _console(stderr=True).print(f"warning: {warning}", style="yellow", markup=False)
    return loaded


def _run(work: Callable[[], Coroutine[Any, Any, int]]) -> None:
    raise typer.Exit(uvloop.run(work()))


@app.command()
def run(
    config: ConfigFile = Path("gateway.yaml"),
    verbose: bool = False,
    log_format: Annotated[
        log_lines.Format | None,
        typer.Option(envvar=log_lines.VARIABLE, help="Lines of the log; default: text, or what the journal reads."),
    ] = None,
) -> None:
    """Run the gateway until it is told to stop (SIGINT, SIGTERM); SIGHUP takes over a changed configuration."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # before there is a gateway, and after: nothing to take over
    hurry()
    from tanflow.running import run_gateway

    try:
        log_lines.begin(log_format, verbose=verbose)
        loaded = _loaded(config)
        _run(lambda: run_gateway(loaded))
    finally:
        leave()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


@app.command()
def check(
    config: ConfigFile = Path("gateway.yaml"),
    connect: Annotated[bool, typer.Option("--connect", help="Read every point once; it only reads.")] = False,
    deadline: Annotated[str, typer.Option(help="With --connect: how long a connection may take.")] = "20s",
    as_json: Annotated[bool, typer.Option("--json", help="With --connect: write the samples as JSON.")] = False,
) -> None:
    """Check a configuration: all mistakes at once, with their lines; exit 2 if it cannot work."""
    from tanflow.checking import check_more, summary

    loaded = _loaded(config)
    check_more(loaded)
    if not as_json:
        _console().print(summary(loaded), markup=False, highlight=False, soft_wrap=True)
    if connect:
        from tanflow.commands import connected

        if not connected.show(connected.read_once(loaded, duration(deadline)), as_json=as_json):
            raise typer.Exit(1)


@app.command()
def demo(
    for_: Annotated[str, typer.Option("--for", help="End after this wall time, e.g. 30s; default: run on.")] = "",
    port: Annotated[int, typer.Option(help="Port of the page, 0 for a free one.", min=0, max=65_535)] = 8800,
    data: Annotated[Path | None, typer.Option(help="Data directory; default: a temporary one.")] = None,
    speed: Annotated[
        float | None,
        typer.Option(help="Plant seconds per second; default: 10, or the scenario's own.", min=0.1, max=7_200.0),
    ] = None,
    scenario: Annotated[str, typer.Option(help=f"Show what raises an alert: {', '.join(_SCENARIOS)}.")] = "",
) -> None:
    """Run a simulated factory and a gateway that reads it; nothing else is needed."""
    from tanflow.demo import run_demo

    log_lines.begin(None)
    seconds = duration(for_) if for_ else None
    _run(lambda: run_demo(seconds, port, data, speed, scenario))


@app.command()
def simulate(
    scenario: Annotated[Path | None, typer.Argument(help="Scenario file; default: the demo factory.")] = None,
    for_: Annotated[str, typer.Option("--for", help="End after this time; default: run on.")] = "",
) -> None:
    """Serve simulated devices only, where their gateway's configuration reads them."""
    from tanflow.running import run_simulators

    log_lines.begin(None)
    seconds = duration(for_) if for_ else None
    _run(lambda: run_simulators(scenario, seconds))


@app.command()
def status(data: DataDir = Path("data")) -> None:
    """Show how far the log, its readers and the history have come, and how its connections last were."""
    from tanflow.looking import connections_table, log_words, status_table

    _console().print(log_words(data), end="\n\n")
    _console().print(status_table(data))
    if (connections := connections_table(data)) is not None:
        _console().print()
        _console().print(connections)


@app.command()
def tail(
    data: DataDir = Path("data"),
    rows: Annotated[int, typer.Option("-n", help="Rows to begin with.", min=0, max=100_000)] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with new rows.")] = False,
    match: Annotated[str, typer.Argument(help="Only series whose key contains this.")] = "",
) -> None:
    """Show the newest rows of the log."""
    from tanflow.looking import print_tail

    print_tail(data, rows, follow, match)


@app.command()
def deadletters(
    data: DataDir = Path("data"),
    rows: Annotated[int, typer.Option("-n", help="How many, newest last.", min=1, max=100_000)] = 20,
) -> None:
    """Show what could not be read or was refused for good, and why."""
    from tanflow.looking import dead_letter_table

    _console().print(dead_letter_table(data, rows))


def _ended(words: str, code: int = 1) -> SystemExit:
    """Tell why it ends; what others wrote, as the names in a backup, colours no terminal."""
    for line in words.split("\n"):
        _console(stderr=True).print(visible(line), markup=False)
    return SystemExit(code)


def main() -> None:
    """Run the command line; a mistake of the user is a sentence, never a traceback."""
    os.umask(0o077)  # what it writes is its user's own
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does: not all have arrows
    try:
        app()
    except ConfigError as error:
        if isinstance(error.__cause__, PermissionError):
            raise _ended(f"tanflow: {sentence(error.__cause__)}") from None
        raise _ended("\n".join(map(str, error.problems)), 2) from None
    except GatewayError as error:
        raise _ended(f"tanflow: {error}") from None
    except sqlite3.OperationalError as error:  # the disk or a limit, not what stands in the file
        words = "the log cannot be opened or written; look at its rights, the space on its disk and `ulimit -n`"
        raise _ended(f"tanflow: {words}: {error}") from None
    except OSError as error:
        if not (words := sentence(error)):
            raise
        raise _ended(f"tanflow: {words}") from None
    except sqlite3.DatabaseError as error:
        words = "the log cannot be read; put a sound copy of log.db back, or move the data directory away to start anew"
        raise _ended(f"tanflow: {words}: {error}") from None


if __name__ == "__main__":
    main()
