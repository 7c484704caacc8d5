"""A ledger file, and a head kept elsewhere → whether anything in it was changed since it was written, and what."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from carbon.ledger.check import PerUnit, contradiction
from carbon.ledger.codec import Body, DamagedLedger, ascending
from carbon.ledger.definitions import Definitions
from carbon.ledger.file import GENESIS, SCHEMA, Head, Indexed, LedgerFile, Stored, is_sealed, link
from config.errors import GatewayError

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MOST: Final = 100  # problems that are told one by one


@dataclass(slots=True)
class Verdict:
    """What `verify` found."""

    head: Head
    blocks: int = 0
    entries: int = 0
    documents: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def tell(self, problem: str) -> None:
        """Note a problem; after a hundred only that there are more."""
        if len(self.problems) < _MOST:
            self.problems.append(problem)
        elif len(self.problems) == _MOST:
            self.problems.append("… and more")


def verify(folder: Path, head: Head | None = None, progress: Callable[[int, int], None] | None = None) -> Verdict:
    """Recompute the whole ledger of a data directory; compare it with what is stored, and with a head kept elsewhere.

    The head's hash may be its beginning; with number 0 it may be that of any block. `progress` is called with (blocks
    done, blocks in all). What is appended meanwhile is not looked at.
    """
    verdict = Verdict(Head(0, GENESIS.hex()))
    try:
        with LedgerFile(folder, write=False) as file:
            _Audit(file, verdict).run(head, folder, progress)
    except GatewayError as error:
        verdict.tell(str(error))
    _files(folder / "documents", verdict)
    return verdict


class _Audit:
    """One way through the chain."""

    def __init__(self, file: LedgerFile, verdict: Verdict) -> None:
        self._file, self._verdict = file, verdict
        self._defined, self._per_unit = Definitions(), PerUnit()

    def run(self, head: Head | None, folder: Path, progress: Callable[[int, int], None] | None) -> None:
        if not self._structure():
            return
        found = _Sought(head)
        numbers = [seq for (seq,) in self._file.query("SELECT seq FROM chain ORDER BY seq")]
        index = {block.seq: block for block in self._file.index(0)}
        last, before = 0, GENESIS
        for done, seq in enumerate(numbers, 1):
            if seq != last + 1:
                self._verdict.tell(f"block {seq} follows block {last}: what stood between them is missing")
            before, last = self._block(seq, before, index.pop(seq, None), folder), seq
            found.see(seq, before)
            if progress is not None:
                progress(done, len(numbers))
        self._verdict.head = Head(last, before.hex())
        for seq in index:
            if not self._file.query("SELECT 1 FROM chain WHERE seq = ?", (seq,)):  # else appended meanwhile
                self._verdict.tell(f"the index lists block {seq}, which is not in the chain")
        self._cursor(last)
        if problem := found.problem(last):
            self._verdict.tell(problem)

    def _structure(self) -> bool:
        """Check the file as SQLite sees it; return whether it holds our tables and nothing else."""
        for (words,) in self._file.query("PRAGMA integrity_check(10)"):
            if words != "ok":
                self._verdict.tell(f"the file is damaged: {words}")
        found = self._file.query("SELECT type, name, tbl_name, sql FROM sqlite_master")
        if sorted(found) != sorted(("table", name, name, sql) for name, sql in SCHEMA.items()):
            self._verdict.tell("the file holds other tables than a ledger has: it was edited with another program")
            return False
        return True

    def _block(self, seq: int, before: bytes, indexed: Indexed | None, folder: Path) -> bytes:
        """Check one block and return the hash that the next one builds on."""
        try:
            block = self._file.block(seq)
            self._verdict.blocks += 1
            head = link(before, seq, block.kind, block.at_ns, block.body)
            if head != block.head:
                self._verdict.tell(
                    f"block {seq} ({_at(block.at_ns)}): not what was chained: changed, moved or replaced"
                )
            said = self._content(block, folder)
            if indexed != said:
                self._verdict.tell(f"block {seq}: the index does not describe it, so queries may pass it over")
        except DamagedLedger as error:
            self._verdict.tell(f"block {seq}: {error}")
            return before
        except (TypeError, ValueError, AttributeError, struct.error) as error:  # a column of another type
            self._verdict.tell(f"block {seq}: its record is damaged: {error}")
            return before
        return block.head  # as stored, so that one changed block does not hide what follows

    def _content(self, block: Stored, folder: Path) -> Indexed:
        if block.kind == "define":
            self._defined.load(block.body)
        elif block.kind == "document":
            self._document(block, folder)
        elif block.kind == "entries":
            return self._entries(block)
        else:
            self._verdict.tell(f"block {block.seq}: of no kind that is known")
        return Indexed(block.seq, block.kind, 0, 0, 0)

    def _entries(self, block: Stored) -> Indexed:
        entries = Body(block.body).entries()
        self._verdict.entries += len(entries)
        start, line = entries.start_ns, entries.line
        if not ascending(start, line):
            self._verdict.tell(f"block {block.seq}: its entries are out of order or repeated")
        if problem := contradiction(entries, self._defined, self._per_unit):
            self._verdict.tell(f"block {block.seq} ({_at(block.at_ns)}): {problem}")
        return Indexed(block.seq, block.kind, len(entries), int(start[0]), int(start[-1]))

    def _document(self, block: Stored, folder: Path) -> None:
        self._verdict.documents += 1
        document = orjson.loads(block.body)
        name = str(document.get("sha256") or "")
        if _SHA256.fullmatch(name) and not (folder / "documents" / name).is_file():
            self._verdict.tell(f"block {block.seq}: the file of this document, documents/{name}, is missing")

    def _cursor(self, last: int) -> None:
        for cursor in self._file.query("SELECT position, state, seq, digest FROM cursor"):
            if not is_sealed(*cursor):
                self._verdict.tell("the cursor was altered: entries would be booked twice or not at all")
            elif (seq := cursor[2]) > last:
                self._verdict.tell(f"the cursor is of block {seq}, the chain ends at {last}: its tail was cut")


class _Sought:
    """The head somebody kept, looked for while the chain goes by."""

    def __init__(self, head: Head | None) -> None:
        self._head, self._at = head, 0
        self._found = head is None or (head.seq == 0 and bool(head.hash) and GENESIS.hex().startswith(head.hash))

    def see(self, seq: int, hash_: bytes) -> None:
        if self._head is not None and self._head.seq in (0, seq) and hash_.hex().startswith(self._head.hash):
            self._found = True

    def problem(self, last: int) -> str:
        """Return what the kept head says of the chain, "" if it stands in it."""
        if self._head is None or self._found:
            return ""
        if self._head.seq > last:
            return f"the ledger ends at block {last}, the head you hold is of block {self._head.seq}: its tail was cut"
        where = f"block {self._head.seq} has another hash than" if self._head.seq else "no block has"
        return f"{where} the head you hold: the chain was rebuilt or its tail was cut"


def _files(folder: Path, verdict: Verdict) -> None:
    """Check that every file of a document still is what its name says: the SHA-256 of its bytes."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not _SHA256.fullmatch(path.name):
            continue
        verdict.files += 1
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != path.name:
                verdict.tell(f"documents/{path.name} was changed: its bytes no longer have this hash")


def _at(ns: int) -> str:
    return f"{np.datetime64(ns // 1_000_000_000, 's')}Z"  # of any number, however damaged
