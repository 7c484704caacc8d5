"""Rows a data directory kept → one database, once more, at a stated pace.

What a database refuses again is counted here; the gateway alone writes dead letters.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from config.errors import Unavailable
from config.model import InfluxSink
from pipeline.batch import Batch
from pipeline.counters import Counters
from pipeline.ports import Refusal, Sink
from tanflow import registry
from tanflow.kept_rows import KeptRows, Wanted

_PATIENCE_S: Final = 300.0  # with a database that is away
_FIRST_BACKOFF_S: Final = 0.5
_FIRST_ROWS: Final = 20  # of a request: where all are refused, which takes two more requests a row, it is soon told


@dataclass(slots=True)
class Sent:
    """What became of the rows."""

    rows: int = 0
    refused: int = 0
    retried: int = 0
    away: str = ""  # why the database took nothing the last time
    reasons: dict[str, int] = field(default_factory=dict)

    def refuse(self, refusals: list[Refusal]) -> None:
        """Count what was refused, by its reason."""
        for refusal in refusals:
            self.refused += len(refusal.rows)
            self.reasons[refusal.reason] = self.reasons.get(refusal.reason, 0) + len(refusal.rows)


async def resend(
    kept: KeptRows, name: str, config: InfluxSink, wanted: Wanted, rate: float, tell: Callable[[Sent], None]
) -> Sent:
    """Write a stretch of the past to one database, `rate` rows a second at most; the same points replace themselves.

    `tell` is called with each request's outcome: a first one small, as behind one refused whole, then ever larger.
    Raises Unavailable when the database is away for five minutes, or until somebody puts it right: whatever was written
    stands, and may be sent again.
    """
    sent, began, most = Sent(), time.monotonic(), min(_FIRST_ROWS, config.batch_rows)
    for part in kept.parts():
        async with registry.sink(name, config, part.table, Counters()) as sink:
            batches = kept.batches(part, wanted)
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                at = 0
                while at < len(batch):
                    piece = batch.take(slice(at, at + most))
                    refused = await _written(sink, piece, config.backoff_max_s, sent, tell)
                    sent.refuse(refused)
                    sent.rows, at = sent.rows + len(piece), at + len(piece)
                    whole = sum(len(refusal.rows) for refusal in refused) == len(piece)
                    most = min(_FIRST_ROWS if whole else 2 * most, config.batch_rows)
                    tell(sent)
                    await asyncio.sleep(max(0.0, began + sent.rows / rate - time.monotonic()))
    return sent


async def _written(
    sink: Sink, batch: Batch, backoff_max_s: float, sent: Sent, tell: Callable[[Sent], None]
) -> list[Refusal]:
    backoff, until = _FIRST_BACKOFF_S, time.monotonic() + _PATIENCE_S
    while True:
        try:
            return list(await sink.write(batch))
        except Unavailable as error:
            if error.lasting or time.monotonic() > until:
                raise
            sent.retried, sent.away = sent.retried + 1, str(error)
            tell(sent)
            await asyncio.sleep(min(error.after_s if error.after_s is not None else backoff, backoff_max_s))
            backoff *= 2
