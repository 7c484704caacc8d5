"""`tanflow resend`: a database is filled again from the gateway's own history."""

from __future__ import annotations

import re
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
import uvloop
from rich.console import Console
from rich.progress import Progress, TaskID

from config.errors import GatewayError, Rejected, Unavailable
from config.explain import nearest, visible
from config.load import load
from config.model import InfluxSink
from pipeline.log.log import LogReader
from tanflow.commands.ledger import bar
from tanflow.commands.options import ConfigFile, DataFolder, instant
from tanflow.kept_rows import KeptRows, Wanted
from tanflow.resending import Sent
from tanflow.resending import resend as resent

out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
_REASONS: Final = 10
_PACE_S: Final = 10.0  # between two lines on how far it is


def resend(
    from_: Annotated[str, typer.Option("--from", help="Begin, e.g. 2025-03-01T00:00 on the site's clock, or …Z.")] = "",
    to: Annotated[str, typer.Option("--to", help="End, the same way; default: now.")] = "",
    positions: Annotated[
        str, typer.Option(help="Instead of times log positions, e.g. 3-8, as a dead letter names them.")
    ] = "",
    sink: Annotated[str, typer.Option(help="The sink's name; may be left out where there is one.")] = "",
    series: Annotated[str, typer.Option(help="Only series whose key matches, e.g. 'furnace-1.*'.")] = "*",
    rate: Annotated[float, typer.Option(help="Most rows a second.", min=1)] = 20_000,
    config: ConfigFile = Path("gateway.yaml"),
    data: DataFolder = None,
) -> None:
    """Write what the history holds of a stretch of time to a database again, while the gateway runs or not.

    Rows of the same series and time replace themselves: what is there already stays as it is. Rows older than the raw
    history are not there any more. Exit 1 where the database refused rows.

    Rows of log positions may be of any time; with them come the other rows of their files, and all of the account.
    """
    loaded = load(config)
    gateway = loaded.gateway
    zone = ZoneInfo(gateway.site.zone)
    if bool(from_ or to) == bool(positions):
        raise typer.BadParameter("say which rows: either --from, or --positions")
    wanted = _of_positions(positions, series) if positions else _of_times(from_, to, zone, series)
    name = _named(gateway.sinks, sink)
    with closing(LogReader(data or gateway.data.dir)) as reader:
        kept = KeptRows(data or gateway.data.dir, reader)
        _warn(kept, wanted, zone)
        began = time.monotonic()
        with bar() as progress:
            told = _Told(progress, progress.add_task(f"to {name}", total=kept.estimate(wanted) or None))
            try:
                sent = uvloop.run(resent(kept, name, gateway.sinks[name], wanted, rate, told))
            except Unavailable as error:
                raise GatewayError(f"{error}; {told.written:,} rows were written before") from None
    _conclude(name, sent, time.monotonic() - began)


def _of_times(from_: str, to: str, zone: ZoneInfo, series: str) -> Wanted:
    if not from_:
        raise typer.BadParameter("--to goes with --from")
    wanted = Wanted(instant(from_, "--from", zone), instant(to, "--to", zone) if to else time.time_ns(), series)
    if wanted.start_ns >= wanted.end_ns:
        raise typer.BadParameter("--from must be earlier than --to")
    return wanted


def _of_positions(text: str, series: str) -> Wanted:
    match = re.fullmatch(r"([1-9]\d{0,17})-([1-9]\d{0,17})", text)
    if match is None or int(match[1]) > int(match[2]):
        raise typer.BadParameter(f"--positions: '{text}' is not a stretch of the log; write e.g. 3-8")
    return Wanted(pattern=series, first=int(match[1]), last=int(match[2]))


class _Told:
    """Says what a database refuses, and why it takes nothing, once each; without a terminal how far it has come."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self._said, self._next_s = set[str](), time.monotonic() + _PACE_S
        self.written = 0

    def __call__(self, sent: Sent) -> None:
        self._progress.update(self._task, completed=sent.rows)
        console = self._progress.console  # which writes above the bar
        self.written = sent.rows - sent.refused
        for words in (f"waiting: {sent.away}" if sent.away else "", *(f"refused: {why}" for why in sent.reasons)):
            if words and words not in self._said and len(self._said) < _REASONS:
                self._said.add(words)
                console.print(visible(words), markup=False)
        if not console.is_terminal and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _PACE_S
            waits = f", {sent.retried} attempts in vain" if sent.retried else ""
            console.print(f"{sent.rows:,} rows so far, {sent.refused:,} of them refused{waits}")


def _named(sinks: dict[str, InfluxSink], name: str) -> str:
    if not sinks:
        raise Rejected("the configuration has no sinks")
    if not name and len(sinks) > 1:
        raise Rejected(f"say which with --sink: {', '.join(sinks)}")
    if name and name not in sinks:
        raise Rejected(f"there is no sink '{name[:80]}'{nearest(name, sinks)}")
    return name or next(iter(sinks))


def _warn(kept: KeptRows, wanted: Wanted, zone: ZoneInfo) -> None:
    first, oldest_ns = kept.oldest()
    since = ""
    if wanted.is_of_positions and wanted.first < first:
        since = f"log position {first}"
    elif not wanted.is_of_positions and oldest_ns > wanted.start_ns:
        since = datetime.fromtimestamp(oldest_ns / 1e9, UTC).astimezone(zone).isoformat(timespec="seconds")
    if since:
        err.print(f"the rows that are kept begin at {since}; earlier ones cannot be sent again (data.history.raw_days)")


def _conclude(name: str, sent: Sent, seconds: float) -> None:
    per_s = f"{sent.rows / seconds:,.0f} rows/s" if seconds > 0 else ""
    waits = f", {sent.retried} attempts met no database" if sent.retried else ""
    out.print(f"{name}: {sent.rows - sent.refused:,} rows written, {sent.refused:,} refused, {per_s}{waits}")
    for reason, count in list(sent.reasons.items())[:_REASONS]:
        out.print(f"  {count:,} refused: {visible(reason)}")
    if sent.refused:
        raise typer.Exit(1)
    if not sent.rows:
        raise GatewayError("there was nothing to send: no rows of these series there; look with tanflow tail")
