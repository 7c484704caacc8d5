"""A log and what was made of it → nothing, or the reason why they are not of one data directory."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from carbon.ledger import Ledger
from carbon.ledger.file import FILE as LEDGER_FILE
from carbon.ledger.file import has_begun
from carbon.publish import published
from config.errors import GatewayError, Unavailable
from pipeline.log.log import LogReader
from pipeline.log.schema import FILE as LOG_FILE
from sinks.history_query import Reader


def _is_blank(file: Path) -> bool:
    """Return whether there is no such file, or nothing in it: a gateway would begin it anew."""
    return not file.exists() or not file.stat().st_size


def nothing_is_gone(path: Path) -> None:
    """Raise GatewayError where log or ledger of a directory are gone or empty, but not what was made with them.

    To be asked before a gateway begins either anew: the right one is to be put back, and nothing stands in its place.
    """
    for name, blank, made_of in (
        (LOG_FILE, _is_blank(path / LOG_FILE), _made_of_log),
        (LEDGER_FILE, not has_begun(path), _made_of_ledger),
    ):
        if blank and (made := made_of(path)):
            how = "empty" if (path / name).exists() else "gone"
            raise GatewayError(
                f"{path}: {name} is {how}, but {made}. Put the right {name} back, or restore a backup of the whole "
                "directory (tanflow restore)"
            )


def _made_of_log(path: Path) -> str:
    if (path / "history" / "raw").is_dir() and (archived := Reader(path / "history").cursor()):
        return f"the history reaches its position {archived}"
    if not has_begun(path):
        return ""
    with Ledger.open(path) as ledger:
        booked = ledger.cursor()[0]
    return f"ledger.db was booked up to its position {booked}" if booked else ""


def _made_of_ledger(path: Path) -> str:
    if _is_blank(path / LOG_FILE):
        return ""
    # A start that did not finish making it, or one that is damaged: whoever opens it says so.
    with suppress(Unavailable, sqlite3.DatabaseError), closing(LogReader(path)) as log:
        if last := published(log):
            return f"its block {last} has been published"
    return ""


def belong_together(path: Path, log: LogReader, archived: int, ledger: Ledger) -> None:
    """Raise GatewayError where one is younger than what was made of it: positions, ids and blocks begin anew in it.

    `archived` is the history's cursor. What a younger log accepts would count as archived or booked already, and be let
    go without ever having been written; blocks of a younger ledger would count as published.
    """
    if not ledger.cursor()[0] and any(b.reason and b.reason.kind == "live" for b in ledger.blocks()):
        raise GatewayError(
            f"{path}: ledger.db holds booked hours but not how far the log was booked: it was altered. "
            "Put a sound copy of ledger.db back"
        )
    last = log.last_position()
    for name, reached in (("history", archived), ("ledger.db", ledger.cursor()[0])):
        if reached > last:
            raise GatewayError(
                f"{path}: {name} reaches log position {reached}, the log ends at {last}: this is not the log it was "
                f"made of. Put log.db back, or move {path / name} away to start anew"
            )
    if (end := ledger.head().seq) < (seq := published(log)):
        raise GatewayError(
            f"{path}: ledger.db ends at block {end}, but block {seq} has been published: this is not the ledger the "
            "log belongs to. Put the right ledger.db back"
        )
