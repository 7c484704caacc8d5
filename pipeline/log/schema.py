"""The log's database file: tables, pragmas and the two ways of opening it; their form is on disk and stays."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from config.errors import GatewayError, Unavailable
from pipeline.log.directory import check_format

FORMAT: Final = "1"
FILE: Final = "log.db"

# Order matters: page size and vacuum mode are fixed by the first table. Debian's SQLite has secure_delete on, which
# makes retention twenty times dearer. FULL: a commit that returned survives a power cut.
_PRAGMAS: Final = (
    "page_size=4096",
    "auto_vacuum=INCREMENTAL",
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=0",
    "wal_autocheckpoint=2000",
    "journal_size_limit=8388608",
    "cache_size=-1024",
)

# No such table yet; held to make it; or whoever made it was ended within a step that only a writer can take back.
_BEING_MADE: Final = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY_ROLLBACK)

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (
    position INTEGER PRIMARY KEY AUTOINCREMENT, received_ns INTEGER NOT NULL, rows INTEGER NOT NULL,
    rows_before INTEGER NOT NULL, bytes_before INTEGER NOT NULL, blob BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS cursors (
    consumer TEXT PRIMARY KEY, position INTEGER NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (
    connection TEXT PRIMARY KEY, position INTEGER NOT NULL, revision INTEGER NOT NULL, state BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revisions (
    revision INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, digest TEXT NOT NULL,
    plan BLOB NOT NULL, config TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS adopted (revision INTEGER PRIMARY KEY, position INTEGER NOT NULL, boot TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS boots (boot TEXT PRIMARY KEY, anchor_ns INTEGER NOT NULL, offset_ns INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, component TEXT NOT NULL, source TEXT NOT NULL,
    reason TEXT NOT NULL, raw BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS acts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, user TEXT NOT NULL, role TEXT NOT NULL,
    what TEXT NOT NULL, about TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS episodes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, asset TEXT NOT NULL, name TEXT NOT NULL,
    fired_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, about TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS episodes_ended ON episodes (ended_ns);
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, channel TEXT NOT NULL, what TEXT NOT NULL,
    alert TEXT NOT NULL, about TEXT NOT NULL, message INTEGER, done_ns INTEGER, failed TEXT);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (channel, id) WHERE done_ns IS NULL;
"""


def open_writer(directory: Path) -> sqlite3.Connection:
    """Open the log for its one writer, making it at first use; raises GatewayError on a foreign format."""
    connection = sqlite3.connect(directory / FILE, isolation_level=None, check_same_thread=False)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    connection.executescript(_TABLES)
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (FORMAT,))
    (found,) = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    if found != FORMAT:
        connection.close()
        raise GatewayError(f"{directory / FILE} has format {found}; this version reads and writes format {FORMAT}")
    return connection


def open_reader(directory: Path) -> sqlite3.Connection:
    """Open the log for reading, from this process or another; never checkpoints, never writes.

    Raises GatewayError where there is no log, or for data of another format, Unavailable where it is being made or its
    making was cut short.
    """
    check_format(directory)
    path = directory / FILE
    if not path.exists():
        raise GatewayError(f"no gateway has written to {directory} yet: {path} does not exist")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    connection.isolation_level = None
    if not _is_made(connection):
        connection.close()
        raise Unavailable(
            f"{path} is not ready yet: a gateway is starting for the first time, or was ended while it did; ask again, "
            "or start it again",
            after_s=1.0,
        )
    connection.execute("PRAGMA query_only=1")
    connection.execute("PRAGMA cache_size=-1024")
    return connection


def _is_made(connection: sqlite3.Connection) -> bool:
    """Return whether the log has been made to the end; its format is what is written last."""
    try:
        return connection.execute("SELECT 1 FROM meta WHERE key = 'format'").fetchone() is not None
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in _BEING_MADE:
            return False
        raise
