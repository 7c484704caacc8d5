"""A data directory, whether a gateway runs on it or not → what in it is not as it was written, in sentences."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from carbon.ledger import Ledger, verify
from carbon.ledger.file import has_begun
from config.errors import GatewayError
from pipeline.batch import COLUMNS
from pipeline.log.codec import decode
from pipeline.log.log import LogReader
from pipeline.log.schema import FILE as LOG_FILE
from sinks.history_files import LEVELS, File, Level, live, scan
from sinks.history_parquet import Columns, Parquet
from sinks.history_query import Reader
from sinks.history_rollup import PARTIAL
from sinks.parquet_check import changed
from tanflow.belonging import belong_together, nothing_is_gone

_PUT_BACK: Final = "put a sound copy back (tanflow restore)"


def problems(folder: Path) -> list[str]:
    """Return everything that is wrong with log, history and ledger of a directory; all of it is read."""
    found = [*of_log(folder), *of_history(folder), *of_ledger(folder)]
    return found or [*of_each_other(folder)]


def of_log(folder: Path) -> Iterator[str]:
    """Yield what is wrong with log.db: pages, and commits that cannot be read back or are not there."""
    try:
        reader = LogReader(folder)
    except (GatewayError, sqlite3.DatabaseError) as error:
        yield f"{folder / LOG_FILE} cannot be opened: {error}; {_PUT_BACK}"
        return
    try:
        (verdict,) = reader.query("PRAGMA quick_check(1)")[0]
        if verdict != "ok":
            yield f"{folder / LOG_FILE} is damaged: {verdict}; {_PUT_BACK}"
        yield from _unreadable(reader, folder / LOG_FILE)
    except sqlite3.DatabaseError as error:
        yield f"{folder / LOG_FILE} is damaged: {error}; {_PUT_BACK}"
    finally:
        reader.close()


def _unreadable(reader: LogReader, file: Path) -> Iterator[str]:
    expected = None
    for position, rows, blob in reader.each("SELECT position, rows, blob FROM log ORDER BY position"):
        if expected is not None and position != expected:
            yield f"{file}: after commit {expected - 1} comes {position}: commits are missing; {_PUT_BACK}"
        expected = position + 1
        try:
            found = sum(map(len, decode(blob)))
        except GatewayError as error:
            yield f"{file}: commit {position} cannot be read back: {error}; {_PUT_BACK}"
            return
        if found != rows:
            yield f"{file}: commit {position} holds {found} rows, not {rows}; {_PUT_BACK}"


def of_history(folder: Path) -> Iterator[str]:
    """Yield files of the history that have changed, cannot be read or do not hold the rows their names say."""
    parquet = Parquet()
    try:
        for level in LEVELS:
            place, columns = folder / "history" / level.name, list(PARTIAL) if level.step_ns else list(COLUMNS)
            for file in live(scan(place))[0] if place.is_dir() else ():
                try:
                    why = changed(file.path) or _differs(file, parquet.read([file.path], columns), level)
                except FileNotFoundError:
                    continue  # put together with others, or retired, meanwhile
                except OSError as error:
                    why = f"cannot be read: {error}"
                if why:
                    yield f"{file.path} {why}; {_PUT_BACK}"
    finally:
        parquet.rest()


def _differs(file: File, rows: Columns, level: Level) -> str:
    """Return where rows are not what their file's name says, or not in order; "" where they are."""
    series = rows["series"]
    if len(series) != file.rows:
        return f"holds {len(series)} rows, not {file.rows}"
    if not file.rows:
        return ""
    times = rows["bucket_ns"] if level.step_ns else rows["time_ns"]
    begins = times if level.step_ns else times - np.maximum(rows["span_ns"], 0)
    if (int(begins.min()), int(times.max())) != (file.from_ns, file.to_ns):
        return "holds rows of other times than its name says"
    return "holds rows out of order" if (np.diff(series) < 0).any() else ""


def of_ledger(folder: Path) -> Iterator[str]:
    """Yield what `tanflow ledger verify` finds wrong; a directory without a ledger has nothing wrong with it."""
    if has_begun(folder):
        yield from verify(folder).problems


def of_each_other(folder: Path) -> Iterator[str]:
    """Yield why log, history and ledger are not of one directory."""
    history = folder / "history"
    reader = LogReader(folder)
    try:
        archived = Reader(history).cursor() if (history / "raw").is_dir() else 0
        yield from _unborne(history, archived)
        nothing_is_gone(folder)
        if has_begun(folder):
            with Ledger.open(folder) as ledger:
                belong_together(folder, reader, archived, ledger)
    except GatewayError as error:
        yield str(error)
    finally:
        reader.close()


def _unborne(history: Path, archived: int) -> Iterator[str]:
    """Yield why the history would not open: roll-ups of more than the one write that may not have come to its end."""
    places = [history / level.name for level in LEVELS if level.step_ns]
    rollups = [f for place in places if place.is_dir() for f in live(scan(place))[0]]
    reach = max((f.upto for f in rollups if f.upto > archived and f.after != archived), default=0)
    if reach and not ((history / "raw").is_dir() and Reader(history).cursor() != archived):  # it was cut meanwhile
        words = f"roll-ups reach log position {reach}, raw files only {archived}: raw files are missing"
        yield f"{history}: {words}; {_PUT_BACK}"
