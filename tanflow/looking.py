"""The data directory of a gateway, running or not → tables for a person."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from carbon.ledger import Ledger
from carbon.ledger.file import has_begun
from carbon.live.feed import FEED
from carbon.publish import PUBLISHER
from pipeline.archive import REACHED
from pipeline.batch import Batch
from pipeline.heartbeat import GATEWAY
from pipeline.log.log import LogReader
from pipeline.quality import describe
from sinks.history_files import live, scan
from tanflow.commands.options import plain_table

_LOOK_S: Final = 0.5
_CHUNK_ROWS: Final = 10_000
_HEALTH_POSITIONS: Final = 20_000  # of the log that are looked through for the gateway's last words on itself


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status_table(data: Path) -> Table:
    """Return where everyone who reads the log stands; raises GatewayError when there is no log."""
    reader = LogReader(data)
    table = plain_table("reader", "log position", "rows behind")
    cursors = dict(reader.query("SELECT consumer, position FROM cursors ORDER BY consumer"))
    for name in (PUBLISHER, FEED, REACHED):  # they follow the ledger and the grid; the history's files tell themselves
        cursors.pop(name, None)
    query = "SELECT 'snapshot of ' || connection, position FROM snapshots ORDER BY connection"
    stands = [*cursors.items(), *reader.query(query), ("history", _archived(data / "history"))]
    if has_begun(data):
        with Ledger.open(data) as ledger:
            stands.append(("ledger", ledger.cursor()[0]))
    ((first,),) = reader.query("SELECT coalesce(min(position), 0) FROM log")
    for name, position in stands:
        gone = position + 1 < first and name not in ("history", "ledger")  # the log has not waited for it
        behind = "gone from the configuration" if gone else str(reader.rows_after(position))
        table.add_row(name, str(position), behind)
    reader.close()
    return table


def log_words(data: Path) -> str:
    """Return how far the log has come, and what could not be taken; raises GatewayError when there is no log."""
    reader = LogReader(data)
    (dead,) = reader.query("SELECT count(*) FROM dead")[0]
    words = f"log at position {reader.last_position()}, {dead} dead letters"
    reader.close()
    return words


def connections_table(data: Path) -> Table | None:
    """Return what each connection last said of itself; None where no gateway's own rows are among the newest."""
    reader = LogReader(data)
    names = dict(reader.query("SELECT id, key FROM series WHERE key LIKE 'gateway.collector-%.health'"))
    newest: dict[str, float] = {}
    for window in reader.read(max(0, reader.last_position() - _HEALTH_POSITIONS)):
        for batch in window.batches:
            own = (
                zip(batch.series.tolist(), batch.value.tolist(), strict=True)
                if batch.header.connection == GATEWAY
                else ()
            )
            newest |= {names[series]: value for series, value in own if series in names}
    reader.close()
    collectors = sorted({key.rpartition("-")[0] for key in newest})
    if not collectors:
        return None
    table = plain_table("connection", "state", "rows", "missed polls", "latency")
    for prefix in collectors:
        counted = {c: newest.get(f"{prefix}-{c}.health") for c in ("down", "received", "missed", "latency_s")}
        latency_s = counted["latency_s"]
        table.add_row(
            prefix.removeprefix("gateway.collector-"),
            "down" if counted["down"] else "up",
            *(f"{counted[c] or 0:.0f}" for c in ("received", "missed")),
            "–" if latency_s is None else f"{latency_s * 1000:.1f} ms",
        )
    return table


def _archived(history: Path) -> int:
    files, _ = live(scan(history / "raw")) if (history / "raw").is_dir() else ([], [])
    return max((f.upto for f in files), default=0)


def print_tail(data: Path, rows: int, follow: bool, match: str) -> None:
    """Print the newest rows, then, if asked, new ones until interrupted."""
    reader = LogReader(data)
    console = Console(soft_wrap=True)
    names = dict(reader.query("SELECT id, key FROM series"))
    tail = _Tail(reader, names, match, max(0, reader.last_position() - rows))
    try:
        for line in deque(tail.new(), maxlen=rows):
            console.print(line, markup=False, highlight=False)
        while follow:
            time.sleep(_LOOK_S)
            reader.load_boots()
            for line in tail.new():
                console.print(line, markup=False, highlight=False)
    except KeyboardInterrupt:
        return
    finally:
        reader.close()


@dataclass(slots=True)
class _Tail:
    """A way through the log that yields each row once, as a line."""

    reader: LogReader
    names: dict[int, str]
    match: str
    position: int

    def new(self) -> Iterator[str]:
        """Yield the lines of what was committed since the last call."""
        while windows := self.reader.read(self.position, _CHUNK_ROWS):
            for window in windows:
                self.position = window.position
                for batch in window.batches:
                    yield from _lines(batch, self.names, self.match)


def _lines(batch: Batch, names: dict[int, str], match: str) -> Iterator[str]:
    for time_ns, series, value, quality in zip(
        batch.time_ns.tolist(), batch.series.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True
    ):
        key = names.get(series, f"series {series}")
        if match in key:
            yield f"{_time(time_ns)}  {key:<56} {value:>18.6f}  {describe(quality)}"


def dead_letter_table(data: Path, rows: int) -> Table:
    """Return the newest dead letters."""
    reader = LogReader(data)
    table = plain_table("id", "time", "component", "source", "reason", "what it was")
    query = "SELECT id, at_ns, component, source, reason, raw FROM dead ORDER BY id DESC LIMIT ?"
    for number, at_ns, component, source, reason, raw in reader.query(query, (rows,))[::-1]:
        shown = raw[:120].decode("utf-8", "backslashreplace")
        table.add_row(str(number), _time(at_ns), component, *map(Text, (source, reason, shown)))
    reader.close()
    return table
