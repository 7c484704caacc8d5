"""The SQLite file of the ledger: blocks chained by their hashes, an index of them, and how far the log was booked."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from carbon.ledger.codec import DamagedLedger
from config.errors import GatewayError, Unavailable
from pipeline.log.directory import check_format

FILE: Final = "ledger.db"
FORMAT: Final = 1
APPLICATION: Final = 0x74616E4C  # "tanL", in the header of the file
GENESIS: Final = hashlib.sha256(b"tanflow ledger 1").digest()
KINDS: Final = ("define", "entries", "document")
SCHEMA: Final = {
    "chain": "CREATE TABLE chain (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, at_ns INTEGER NOT NULL,"
    " head BLOB NOT NULL, body BLOB NOT NULL)",
    "blocks": "CREATE TABLE blocks (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, rows INTEGER NOT NULL,"
    " first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL)",
    "cursor": "CREATE TABLE cursor (id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL,"
    " state BLOB NOT NULL, seq INTEGER NOT NULL, digest BLOB NOT NULL)",
}
_LINK: Final = struct.Struct("<q8sq")
_NUMBERS: Final = struct.Struct("<qq")
_COPIED_PAGES: Final = 256  # at a time
_COPY_TRIES: Final = 20
_COPY_LOOK_S: Final = 0.005  # between two looks at a file somebody writes to
_BUSY_S: Final = 30.0  # a restatement holds the file for a few seconds at a time


class Head(NamedTuple):
    """Where the chain stands: number and hash of its last block; kept elsewhere, it proves all before it."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


class Stored(NamedTuple):
    """One block as it is stored."""

    seq: int
    kind: str
    at_ns: int
    head: bytes
    body: bytes


class Indexed(NamedTuple):
    """What the index says of a block: rows, and the first and last start of its entries (0 for other kinds)."""

    seq: int
    kind: str
    rows: int
    first_ns: int
    last_ns: int


def link(before: bytes, seq: int, kind: str, at_ns: int, body: bytes) -> bytes:
    """Return hash_n = sha256(hash_{n−1} ‖ seq ‖ kind, padded to 8 bytes ‖ at_ns ‖ body), integers little-endian."""
    return hashlib.sha256(before + _LINK.pack(seq, kind.encode(), at_ns) + body).digest()


def seal(position: int, state: bytes, seq: int) -> bytes:
    """Return the check sum of a cursor."""
    return hashlib.sha256(_NUMBERS.pack(position, seq) + state).digest()


def is_sealed(position: Any, state: Any, seq: Any, digest: Any) -> bool:
    """Return whether a stored cursor is as it was written; damage may have changed even the types."""
    try:
        return bool(seal(position, state, seq) == digest)
    except (TypeError, struct.error):
        return False


class NoLedger(GatewayError):
    """A directory has none, or only one whose making was cut short."""


class _Restless(Exception):
    """The file is written again and again while it is copied."""


def has_begun(folder: Path) -> bool:
    """Return whether a directory has a ledger; what is wrong with the one it has is for whoever opens it to say."""
    try:
        with LedgerFile(folder, write=False):
            return True
    except NoLedger:
        return False
    except GatewayError:
        return True


class _Patience:
    """Looks at a copy after each piece: SQLite itself begins anew, and waits, without end."""

    def __init__(self, path: Path) -> None:
        self._path, self._until_s = path, time.monotonic() + _BUSY_S
        self._tries = 0
        self._left = -1  # pages

    def __call__(self, status: int, left: int, _: int) -> None:
        if status & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            if time.monotonic() > self._until_s:
                raise _held(self._path)
            return
        self._until_s = time.monotonic() + _BUSY_S
        self._tries += left >= self._left
        self._left = left
        if self._tries > _COPY_TRIES:
            raise _Restless


def _held(path: Path) -> Unavailable:
    return Unavailable(f"{path} is being written by another process; try again when that is done", after_s=5.0)


class LedgerFile:
    """An open ledger file. Every mistake of SQLite leaves as a sentence."""

    def __init__(self, folder: Path, write: bool) -> None:
        check_format(folder)
        self.path = folder / FILE
        if write and not self.path.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        if not self.path.exists() or not (write or self.path.stat().st_size):
            raise self._none()
        # Readers open it for writing too: what a killed writer left half done is rolled back by whoever comes next.
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        with self._speaking():
            self._db = sqlite3.connect(
                uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=32
            )
            try:
                self._set_up(write)
            except BaseException:
                self._db.close()
                raise

    def _set_up(self, write: bool) -> None:
        for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "secure_delete=ON", "cache_size=-1024"):
            self._db.execute(f"PRAGMA {pragma}")
        if write:
            self._db.execute("PRAGMA journal_mode=TRUNCATE")
            self._db.execute("PRAGMA synchronous=EXTRA")
            if not self._tables():
                self._create()
        else:
            self._db.execute("PRAGMA query_only=ON")
            if not self._tables():  # whoever made it was ended before it was there; that has been rolled back
                raise self._none()
        found = tuple(self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        if found[0] != APPLICATION:
            raise DamagedLedger(f"{self.path} is not a ledger of tanflow")
        if found[1] != FORMAT:
            raise GatewayError(f"{self.path} is of format {found[1]}; this version reads {FORMAT}")

    def _none(self) -> NoLedger:
        return NoLedger(f"{self.path.parent} holds no ledger yet; the gateway begins one with the first accounted hour")

    def _tables(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])

    def _create(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        if not self._tables():  # nobody was faster
            for statement in SCHEMA.values():
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id={APPLICATION}")
            self._db.execute(f"PRAGMA user_version={FORMAT}")
        self._db.execute("COMMIT")

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise _held(self.path) from error
            raise GatewayError(f"{self.path} cannot be read or written: {error}") from error
        except (sqlite3.DatabaseError, UnicodeError) as error:  # UnicodeError: from a message that quotes the damage
            words = "run `tanflow ledger verify` and put a sound copy back"
            raise DamagedLedger(f"{self.path} is damaged: {error}; {words}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return all rows at once: no lock stays behind that a writer would have to wait for."""
        with self._speaking():
            return self._db.execute(sql, parameters).fetchall()

    def copy_to(self, target: Path) -> None:
        """Write the file as it is now to a new one, in pieces: who writes meanwhile waits for milliseconds.

        Where it is written between the pieces again and again it is copied as a whole, and who writes waits for that.
        Raises Unavailable while another process holds it for longer than half a minute.
        """
        with self._speaking(), closing(sqlite3.connect(target)) as copy:
            try:
                self._db.backup(copy, pages=_COPIED_PAGES, progress=_Patience(self.path), sleep=_COPY_LOOK_S)
            except _Restless:
                self._db.backup(copy, pages=-1, progress=_Patience(self.path), sleep=_COPY_LOOK_S)

    def begin(self) -> None:
        """Begin the one transaction that may write; raises Unavailable while another process has it."""
        with self._speaking():
            self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make what was written last, on disk."""
        with self._speaking():
            self._db.execute("COMMIT")

    def rollback(self) -> None:
        """Take back what was written since `begin`."""
        with self._speaking():
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def head(self) -> Head:
        """Return the last block's number and hash."""
        rows = self.query("SELECT seq, head FROM chain ORDER BY seq DESC LIMIT 1")
        return Head(rows[0][0], bytes(rows[0][1]).hex()) if rows else Head(0, GENESIS.hex())

    def check_end(self) -> None:
        """Raise DamagedLedger where the last block is not what was chained: nothing may be built on it."""
        last = self.head().seq
        if not last:
            return
        block = self.block(last)
        before = self.block(last - 1).head if last > 1 else GENESIS
        if link(before, *block[:3], block.body) != block.head:
            raise DamagedLedger(
                f"the end of {self.path} was altered; run `tanflow ledger verify`, put a sound copy back"
            )

    def block(self, seq: int) -> Stored:
        """Return one block; raises DamagedLedger where it is missing."""
        rows = self.query("SELECT seq, kind, at_ns, head, body FROM chain WHERE seq = ?", (seq,))
        if not rows:
            raise DamagedLedger(f"block {seq} is missing from {self.path}")
        return Stored(*rows[0])

    def index(self, after: int) -> list[Indexed]:
        """Return what the index says of the blocks after one."""
        return [Indexed(*row) for row in self.query("SELECT * FROM blocks WHERE seq > ? ORDER BY seq", (after,))]

    def append(self, kind: str, at_ns: int, body: bytes, rows: int = 0, first_ns: int = 0, last_ns: int = 0) -> int:
        """Add a block to the chain and the index and return its number; only between `begin` and `commit`."""
        before = self.head()
        seq = before.seq + 1
        head = link(bytes.fromhex(before.hash), seq, kind, at_ns, body)
        with self._speaking():
            self._db.execute("INSERT INTO chain VALUES (?, ?, ?, ?, ?)", (seq, kind, at_ns, head, body))
            self._db.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?)", (seq, kind, rows, first_ns, last_ns))
        return seq

    def cursor(self) -> tuple[int, bytes]:
        """Return how far the log was booked and what was known there; raises DamagedLedger for one that was altered."""
        rows = self.query("SELECT position, state, seq, digest FROM cursor")
        if not rows:
            return 0, b""
        position, state, *_ = rows[0]
        if not is_sealed(*rows[0]):
            raise DamagedLedger(f"the cursor in {self.path} was altered; run `tanflow ledger verify`")
        return position, state

    def set_cursor(self, position: int, state: bytes) -> None:
        """Replace the cursor, in the same transaction as the entries it belongs to."""
        seq = self.head().seq
        with self._speaking():
            values = (position, state, seq, seal(position, state, seq))
            self._db.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?, ?, ?, ?)", values)
