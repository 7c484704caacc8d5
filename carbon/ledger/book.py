"""The open ledger: entries, definitions and documents are appended in blocks; effective entries and versions leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
import orjson

from carbon.entries import Entries, Line, MeterVersion
from carbon.factor import Factor
from carbon.ledger.codec import COLUMNS, Body, Reason
from carbon.ledger.definitions import Definitions
from carbon.ledger.effective import SUMMED, Asked, Column, Index, Sums, effective, summed, windows
from carbon.ledger.file import Head, LedgerFile, Stored
from carbon.ledger.writing import Writing

EVER: Final = (int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max))


class Version(NamedTuple):
    """One version of an entry: the block it stands in, why it was written, and the entry as one row."""

    seq: int
    reason: Reason
    entry: Entries


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the chain; `reason` is None where it holds no entries."""

    seq: int
    kind: str
    at_ns: int
    head: str
    reason: Reason | None
    rows: int
    body: bytes

    def entries(self) -> Entries:
        """Return its entries; raises DamagedLedger for a block of another kind."""
        return Body(self.body).entries()

    def data(self) -> Any:
        """Return what a block of definitions or a document says."""
        return orjson.loads(self.body)


class Ledger:
    """A ledger of a data directory; one thread at a time. Readers hold no lock between calls."""

    def __init__(self, file: LedgerFile, now_ns: Callable[[], int]) -> None:
        self._file = file
        self._now_ns = now_ns
        self._forget()

    @classmethod
    def open(cls, folder: Path, *, write: bool = False, now_ns: Callable[[], int] = time.time_ns) -> Self:
        """Open the ledger of a data directory, beginning one where `write` is asked for and none exists.

        Raises GatewayError where there is none or it cannot be read, DamagedLedger where its end was altered.
        """
        file = LedgerFile(folder, write)
        if write:
            file.check_end()
        return cls(file, now_ns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.__exit__()

    def _forget(self) -> None:
        self._seen, self._index, self._defined, self._documents = 0, Index(), Definitions(), list[int]()

    def _look(self) -> None:
        """Take in what was appended since, by whichever process."""
        for block in self._file.index(self._seen):
            self._index.add(block)
            if block.kind == "define":
                self._defined.load(self._file.block(block.seq).body)
            elif block.kind == "document":
                self._documents.append(block.seq)
            self._seen = block.seq

    def _known(self) -> Definitions:
        self._look()
        return self._defined

    def head(self) -> Head:
        """Return where the chain stands."""
        return self._file.head()

    def cursor(self) -> tuple[int, bytes]:
        """Return (log position, state) as written with the last entries; (0, b"") before the first."""
        return self._file.cursor()

    @property
    def lines(self) -> Mapping[int, Line]:
        """All lines by number."""
        self._look()
        return self._defined.lines.by_number

    @property
    def factors(self) -> Mapping[int, Factor]:
        """All factors by number."""
        self._look()
        return self._defined.factors.by_number

    @property
    def meters(self) -> Mapping[int, MeterVersion]:
        """All meter versions by number."""
        self._look()
        return self._defined.meters.by_number

    @property
    def papers(self) -> int:
        """How many documents there are."""
        self._look()
        return len(self._documents)

    def documents(self) -> list[dict[str, Any]]:
        """Return all documents, oldest first, each with the number of its block as `seq`."""
        self._look()
        return [{**orjson.loads(self._file.block(seq).body), "seq": seq} for seq in self._documents]

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """Write in one transaction: all of it is in the ledger at the end, or nothing after an exception.

        Raises Unavailable when another process has been writing for half a minute.
        """
        self._file.begin()
        try:
            writing = Writing(self._file, self._known, self._now_ns)
            yield writing
            writing.define()
            self._file.commit()
        except BaseException:
            self._file.rollback()
            self._forget()
            raise

    def extent(self) -> tuple[int, int] | None:
        """Return the first and the last start of all entries, None where there are none."""
        self._look()
        table = self._index.table(*EVER, None)
        return (int(table[:, 2].min()), int(table[:, 3].max())) if len(table) else None

    def windows(self, start_ns: int, end_ns: int, upto: int | None = None) -> list[tuple[int, int]]:
        """Return [start, end) in parts of some 100,000 entries each."""
        self._look()
        return windows(self._index.table(start_ns, end_ns, upto), start_ns, end_ns)

    def _parts(
        self, start_ns: int, end_ns: int, lines: Collection[int] | None, upto: int | None, names: Sequence[str]
    ) -> Iterator[dict[str, Column]]:
        upto = self.head().seq if upto is None else upto  # what is appended meanwhile does not count
        asked = Asked.of(self.lines, lines)
        for start, end in self.windows(start_ns, end_ns, upto):
            blocks = self._index.table(start, end, upto)[:, 0].tolist()
            if (part := effective(self._body, blocks, start, end, asked, names)) is not None:
                yield part

    def _body(self, seq: int) -> Body:
        return Body(self._file.block(seq).body)

    def read(
        self, start_ns: int = EVER[0], end_ns: int = EVER[1], lines: Collection[int] | None = None,
        upto: int | None = None,
    ) -> Iterator[Entries]:  # fmt: skip
        """Yield the effective entries that begin in [start, end), by start, then line, in parts of bounded size.

        `upto`: as the ledger stood at that block.
        """
        for part in self._parts(start_ns, end_ns, lines, upto, COLUMNS):
            yield Entries(**part)

    def sums(self, edges_ns: Sequence[int], upto: int | None = None, lines: Collection[int] | None = None) -> Sums:
        """Return effective entries summed by (line, period, factor, meter); period i is [edge i, edge i + 1)."""
        return summed(self._parts(int(edges_ns[0]), int(edges_ns[-1]), lines, upto, SUMMED), edges_ns)

    def versions(self, line: int, start_ns: int) -> list[Version]:
        """Return every version of one entry, oldest first: the last one is effective."""
        asked = Asked.of(self.lines, [line])
        found: list[Version] = []
        for seq in self._index.table(start_ns, start_ns + 1, None)[:, 0].tolist():
            body = self._body(seq)
            low, high = np.searchsorted(body.column("start_ns"), [start_ns, start_ns + 1])
            rows = np.arange(low, high)[asked.rows(body.column("line")[low:high])]
            found += [Version(seq, body.reason, body.entries(slice(row, row + 1))) for row in rows]
        return found

    def blocks(self, after: int = 0, upto: int | None = None) -> Iterator[Block]:
        """Yield the blocks after one, in order."""
        last = self.head().seq if upto is None else upto
        for seq in range(after + 1, last + 1):
            yield _block(self._file.block(seq))


def _block(stored: Stored) -> Block:
    body = Body(stored.body) if stored.kind == "entries" else None
    return Block(
        stored.seq, stored.kind, stored.at_ns, stored.head.hex(), body.reason if body else None,
        body.rows if body else 0, stored.body,
    )  # fmt: skip
