"""One transaction of the ledger: definitions, entries, documents and the cursor go in; all is kept, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Final

import numpy as np
import orjson

from carbon.entries import Entries, Line, MeterVersion
from carbon.factor import Factor
from carbon.ledger.check import contradiction
from carbon.ledger.codec import MAX_ROWS, Reason, encode, ordered
from carbon.ledger.definitions import Definitions
from carbon.ledger.file import LedgerFile
from pipeline.batch import Times

LONG_ROWS: Final = 4_096
_MONTH_NS: Final = 31 * 86_400 * 1_000_000_000


class Writing:
    """What one transaction appends; numbers it gives are good within this ledger for ever."""

    def __init__(self, file: LedgerFile, known: Callable[[], Definitions], now_ns: Callable[[], int]) -> None:
        self._file, self._known, self._now_ns = file, known, now_ns

    @cached_property
    def _defined(self) -> Definitions:
        return self._known()  # read at first use: who only writes a cursor waits for nothing

    def line(self, line: Line) -> int:
        """Return the number of a line."""
        return self._defined.lines.number(line)

    def factor(self, factor: Factor) -> int:
        """Return the number of a factor."""
        return self._defined.factors.number(factor)

    def meter(self, meter: MeterVersion) -> int:
        """Return the number of a meter version."""
        return self._defined.meters.number(meter)

    def define(self) -> None:
        """Chain the definitions made so far; happens by itself before their first use."""
        if "_defined" in vars(self) and (body := self._defined.take_fresh()) is not None:
            self._file.append("define", self._now_ns(), body)

    def entries(self, entries: Entries, reason: Reason) -> int:
        """Append entries and return the number of their (last) block, that of the head for none at all.

        Raises ValueError for two entries of one line and start, and for entries that contradict themselves.
        """
        self.define()
        entries = ordered(entries)
        wrong = contradiction(entries, self._defined)
        if wrong:
            raise ValueError(f"{wrong}; nothing of it was written")
        seq = self._file.head().seq
        for piece in _pieces(entries.start_ns):
            part = entries.take(piece)
            first, last = int(part.start_ns[0]), int(part.start_ns[-1])
            seq = self._file.append("entries", self._now_ns(), encode(part, reason), len(part), first, last)
        return seq

    def document(self, document: dict[str, Any]) -> int:
        """Append a document (JSON-ready; `sha256` names its file in documents/) and return its block's number."""
        return self._file.append("document", self._now_ns(), orjson.dumps(document, option=orjson.OPT_SORT_KEYS))

    def cursor(self, position: int, state: bytes) -> None:
        """Write how far the log is booked, to be known together with these entries."""
        self._file.set_cursor(position, state)


def _pieces(start_ns: Times) -> Iterator[slice]:
    """Yield the rows of each block: no more than MAX_ROWS, and past LONG_ROWS no more than a month.

    Whoever reads a day decodes the whole block it is in.
    """
    at = 0
    while at < len(start_ns):
        month = int(np.searchsorted(start_ns, start_ns[at] + _MONTH_NS))
        end = min(max(month, at + LONG_ROWS), at + MAX_ROWS, len(start_ns))
        yield slice(at, end)
        at = end
