"""The data directory of a gateway, running or not → the rows it kept of some series, in the order of time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from config.errors import Rejected, Unavailable
from pipeline.batch import Batch, Header, concat, make
from pipeline.clock import SECOND_NS
from pipeline.log.log import LogReader
from sinks.history_query import SCAN_LIMIT, Answer, Question, Reader

_CHUNK_ROWS: Final = 50_000  # of the log
_AT_ONCE: Final = 100_000  # rows a chunk is to have, as the ones before it had
_SHORTEST_NS: Final = 60 * SECOND_NS
_LONGEST_NS: Final = 86_400 * SECOND_NS


class Past:
    """What a data directory holds. Reading takes no lock: a gateway may go on writing; memory holds one chunk, and of
    the chosen series what the log has beyond the history.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._history = folder, Reader(folder / "history")
        with closing(LogReader(folder)) as log:
            self.ids: dict[str, int] = dict(log.query("SELECT key, id FROM series"))

    def state_of(self, consumer: str) -> bytes:
        """Return the state a consumer of the log has stored, b"" for none."""
        with closing(LogReader(self._folder)) as log:
            return log.cursor(consumer).state or b""

    def rows(self, series: Collection[int], start_ns: int, end_ns: int) -> Iterator[Batch]:
        """Yield the rows of [start, end) in chunks of the order of time; late ones are where their time says.

        Raises Unavailable where the history cannot be read.
        """
        wanted = tuple(sorted(series))
        tail, after = self._tail(wanted)
        at, length = start_ns, _SHORTEST_NS * 15
        while at < end_ns:
            until = min(at + length, end_ns)
            try:
                found = self._history.answer(Question(wanted, at, until, limit=SCAN_LIMIT, tail=tail, after=after))
            except Rejected:
                if length <= _SHORTEST_NS:
                    raise
                length //= 2
                continue
            except Unavailable:  # the log's rows went into the history meanwhile
                moved = tail, after
                tail, after = self._tail(wanted)
                if (tail, after) == moved:
                    raise
                continue
            if len(found):
                yield _batch(found)
            at = until
            ideal = length * _AT_ONCE // max(1, len(found))
            length = int(np.clip(ideal, _SHORTEST_NS, min(2 * length, _LONGEST_NS)))

    def _tail(self, series: tuple[int, ...]) -> tuple[Batch | None, int | None]:
        """Return what the log holds beyond the history, and from which position on; None, None where nothing."""
        position = after = self._history.cursor()
        batches: list[Batch] = []
        with closing(LogReader(self._folder)) as log:
            while windows := log.read(position, _CHUNK_ROWS):
                position = windows[-1].position
                batches += [b.take(np.isin(b.series, series)) for w in windows for b in w.batches]
        return (concat(batches[-1].header, batches), after) if batches else (None, None)


def _batch(found: Answer) -> Batch:
    """Return an answer's rows in the order of time."""
    order = np.argsort(found.time_ns, kind="stable")
    columns = (found.time_ns, found.series, found.value, found.quality, found.span_ns)
    return make(Header("history", 0, "", 0, 0), *(column[order] for column in columns))
