"""Entries → group commits: the one thread that writes the log. A commit that returned is what `accepted` means."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from config.errors import GatewayError
from pipeline.batch import Batch, Window
from pipeline.log.codec import encode
from pipeline.log.schema import open_writer

logger = logging.getLogger("tanflow.log")

_TRICKLE: Final = 40  # commits removed per commit made: retention never becomes one long pause
_DEAD_KEPT: Final = 20_000  # dead letters: a device that only ever says nonsense must not fill the disk
_VACUUM_PAGES: Final = 500
_VACUUM_ABOVE: Final = 4_000  # free pages kept for reuse before the file is shortened


class LogFailed(GatewayError):
    """The log could not be written; nothing more may be accepted by this process."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a consumer has come and what it knows, written in one commit with what it appended."""

    consumer: str
    position: int
    state: bytes = b""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of a connection's stages after this entry; its position is that of the commit it rides in."""

    connection: str
    revision: int
    state: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What will never be stored or sent, with the reason in the refusing side's own words."""

    at_ns: int
    component: str
    source: str
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """What is committed together or not at all."""

    batches: Sequence[Batch] = ()
    cursor: Cursor | None = None
    snapshots: Sequence[Snapshot] = ()
    dead: Sequence[DeadLetter] = ()
    statements: Sequence[tuple[str, tuple[Any, ...]]] = ()  # of the log's own tables: boots, revisions


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    done: asyncio.Future[int]


@dataclass(slots=True)
class LogWriter:
    """The writer thread; `append` is called from the event loop, everything below `_run` in the thread."""

    directory: Path
    interval_s: float
    on_commit: Callable[[Window], None]  # called in the event loop, before the appenders resume
    floor: int = 0  # positions up to this one are needed by nobody
    failed: LogFailed | None = None
    commits: int = 0
    begun_s: float = 0.0  # when the last commit began [s monotonic]
    _waiting: list[_Waiting] = field(default_factory=list)
    _riding: dict[str, Cursor] = field(default_factory=dict)
    _closing: bool = False
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _rows: int = 0  # ever written, so that a backlog is a difference and not a count
    _bytes: int = 0
    _db: sqlite3.Connection = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._db = open_writer(self.directory)
        totals = "SELECT rows_before + rows, bytes_before + length(blob) FROM log ORDER BY position DESC LIMIT 1"
        self._rows, self._bytes = self._db.execute(totals).fetchone() or (0, 0)
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    async def append(self, entry: Entry) -> int:
        """Return the position of the commit that holds `entry`; raises LogFailed when it is not on disk."""
        done: asyncio.Future[int] = self._loop.create_future()
        with self._wake:
            if self.failed or self._closing:
                raise self.failed or LogFailed("the log is closed")
            self._waiting.append(_Waiting(entry, done))
            self._wake.notify()
        return await done

    def ride(self, cursor: Cursor) -> None:
        """Write a cursor with the next commit, whichever that is: what it stands for may be done again."""
        with self._wake:
            self._riding[cursor.consumer] = cursor

    async def close(self) -> None:
        """Commit what waits, then end the thread; calling it again does nothing."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (work := self._collect()) is not None:
            waiting, riding = work
            self.begun_s = time.monotonic()
            try:
                window = self._commit([w.entry for w in waiting], riding)
                self._tidy()
            except Exception as error:  # noqa: BLE001  whatever it was, the file's state is unknown: stop for good
                logger.critical("the log cannot be written, nothing more is accepted: %s", error)
                self._fail(waiting, error)
                break
            self._call(self._settle, window, waiting)
            del work, waiting, window  # nothing is held while waiting for the next
        self._db.close()

    def _collect(self) -> tuple[list[_Waiting], list[Cursor]] | None:
        """Wait for an entry and for the interval to pass; None: closing, and nothing is left."""
        with self._wake:
            while not self._closing:
                pause = self.begun_s + self.interval_s - time.monotonic() if self._waiting else None
                if pause is not None and pause <= 0:
                    break
                self._wake.wait(pause)
            waiting, self._waiting = self._waiting, []
            riding, self._riding = list(self._riding.values()), {}
            return (waiting, riding) if waiting or riding else None

    def _commit(self, entries: Sequence[Entry], riding: Sequence[Cursor]) -> Window:
        batches = tuple(b for e in entries for b in e.batches)
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            position = self._insert(batches)
            for cursor in riding:
                self._move(cursor)
            for entry in entries:
                self._write(entry, position)
            db.execute(
                "DELETE FROM log WHERE position IN (SELECT position FROM log WHERE position <= ? LIMIT ?)",
                (min(self.floor, position - 1), _TRICKLE),
            )
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self.commits += 1
        return Window(position, batches)

    def _insert(self, batches: tuple[Batch, ...]) -> int:
        if batches:
            rows, blob, received_ns = sum(map(len, batches)), encode(batches), batches[-1].header.received_ns
            cursor = self._db.execute(
                "INSERT INTO log (received_ns, rows, rows_before, bytes_before, blob) VALUES (?, ?, ?, ?, ?)",
                (received_ns, rows, self._rows, self._bytes, blob),
            )
            self._rows += rows
            self._bytes += len(blob)
            return cursor.lastrowid or 0
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'log'").fetchone()
        return int(last)

    def _move(self, cursor: Cursor) -> None:
        row = (cursor.consumer, cursor.position, cursor.state)
        self._db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)", row)

    def _write(self, entry: Entry, position: int) -> None:
        db = self._db
        if entry.cursor:
            self._move(entry.cursor)
        for sql, parameters in entry.statements:
            db.execute(sql, parameters)
        for s in entry.snapshots:
            row = (s.connection, position, s.revision, s.state)
            db.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?)", row)
        for d in entry.dead:
            row_ = (d.at_ns, d.component, d.source, d.reason, d.raw)
            db.execute("INSERT INTO dead (at_ns, component, source, reason, raw) VALUES (?, ?, ?, ?, ?)", row_)
        if entry.dead:
            db.execute("DELETE FROM dead WHERE id <= (SELECT max(id) FROM dead) - ?", (_DEAD_KEPT,))

    def _tidy(self) -> None:
        if self.commits % 64 == 0:
            (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
            if free > _VACUUM_ABOVE:
                self._db.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")

    def _settle(self, window: Window, waiting: Sequence[_Waiting]) -> None:
        self.on_commit(window)
        for w in waiting:
            if not w.done.done():
                w.done.set_result(window.position)

    def _fail(self, waiting: Sequence[_Waiting], error: BaseException) -> None:
        failed = LogFailed(f"the log in {self.directory} cannot be written: {error}")
        with self._wake:
            self.failed = failed
            waiting = [*waiting, *self._waiting]
            self._waiting = []

        def tell() -> None:
            for w in waiting:
                if not w.done.done():
                    w.done.set_exception(failed)

        self._call(tell)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            logger.debug("loop closed before a commit could be announced")
