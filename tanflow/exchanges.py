"""Data directory and books → every declared exchange of a meter, settled in the ledger from the rows that are kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from carbon.books import Books
from carbon.exchange import Exchange, Outcome, Read, Rows, exchanges, settle
from carbon.ledger import Ledger
from config.errors import Rejected
from pipeline.batch import Batch, concat
from pipeline.clock import SECOND_NS, Clock
from pipeline.log.log import LogReader
from sinks.history_query import SCAN_LIMIT, Question, Reader

logger = logging.getLogger("tanflow.meters")

_DAY_NS: Final = 86_400 * SECOND_NS
_RECENT_NS: Final = 90 * _DAY_NS  # older ones are settled, or a person asks for it
_AGAIN_S: Final = 3_600.0
_CHUNK_ROWS: Final = 50_000


def settle_all(books: Books, folder: Path, chosen: Collection[Exchange] | None = None) -> Iterator[Outcome]:
    """Settle exchanges, all declared ones by default, and yield what became of each.

    Raises GatewayError where the data directory cannot be read.
    """
    for exchange in exchanges(books) if chosen is None else chosen:
        with Ledger.open(folder, write=True) as ledger:
            try:
                yield settle(ledger, books, exchange, kept(folder, (exchange.index, exchange.series)))
            except Rejected as error:
                yield Outcome(exchange, "not found", str(error))


def kept(folder: Path, keys: Collection[str]) -> Read:
    """Return what reads the rows of some series, from the history and what the log holds beyond it by now."""
    history, log = Reader(folder / "history"), LogReader(folder)
    try:
        ids = dict(log.query("SELECT key, id FROM series"))
        after = history.cursor()
        tail = _tail(log, after, tuple(ids[key] for key in keys if key in ids))
    finally:
        log.close()

    def read(key: str, start_ns: int, end_ns: int) -> Rows:
        bound = after if tail is not None else None
        wanted = (ids[key],) if key in ids else ()
        found = history.answer(Question(wanted, start_ns, end_ns, limit=SCAN_LIMIT, tail=tail, after=bound))
        return Rows(found.time_ns, found.span_ns, found.value, found.quality)

    return read


def _tail(log: LogReader, position: int, series: tuple[int, ...]) -> Batch | None:
    batches: list[Batch] = []
    while windows := log.read(position, _CHUNK_ROWS):
        position = windows[-1].position
        batches += [b.take(np.isin(b.series, series)) for w in windows for b in w.batches]
    return concat(batches[-1].header, batches) if batches else None


async def settle_hourly(books: Books, folder: Path, clock: Clock) -> None:
    """Settle what is declared and recent, now and every hour, for ever; a warning tells what cannot be settled."""
    since = clock.now_ns() - _RECENT_NS
    open_ = [exchange for exchange in exchanges(books) if exchange.window(books.zone)[1] > since]
    while open_:
        for outcome in await asyncio.to_thread(lambda: list(settle_all(books, folder, open_))):
            said = outcome.exchange.text
            over = clock.now_ns() > outcome.exchange.window(books.zone)[1] + _DAY_NS
            if outcome.state == "settled":
                logger.info("settled: %s", said)
            elif outcome.why and over:
                logger.warning("not settled: %s: %s", said, outcome.why)
            if over or outcome.state in ("settled", "settled before"):
                open_.remove(outcome.exchange)
        await asyncio.sleep(_AGAIN_S)
    await asyncio.Event().wait()
