"""Sinks: whether each can be written to now, how far it is behind, and when rows would be given up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from config.errors import GatewayError
from config.model import InfluxSink
from pipeline.clock import SECOND_NS
from pipeline.counters import Counters
from pipeline.log.log import LogReader
from pipeline.series import SeriesTable
from tanflow import registry
from tanflow.doctor.visit import Finding, Visit
from tanflow.doctor.words import megabytes, span

_LATE_S = 300.0  # a sink that is this far behind is told of
_MEGABYTE = 1e6


def sinks(visit: Visit) -> Iterator[Finding]:
    """Yield what is wrong with each sink; it is asked, and written nothing."""
    for name, config in visit.config.sinks.items():
        about = f"sink {name}"
        backlog = _Backlog(visit, name, config)
        if words := asyncio.run(_refusal(name, config)):
            loss = backlog.loss()
            yield Finding(about, words + (f"; {loss}" if loss else ""), _do(words), backlog.since_ns)
        elif visit.process is not None and backlog.late_s > _LATE_S:
            words = f"it answers, but is {span(backlog.late_s)} behind: {backlog.rows:,} rows wait; {backlog.loss()}"
            yield Finding(
                about, words, "is the database slow, or has it been away? it catches up by itself", backlog.since_ns
            )


async def _refusal(name: str, config: InfluxSink) -> str:
    """Return why a sink cannot be written to, "" where it can."""
    sink = registry.sink(name, config, SeriesTable(0, [], {}, {}), Counters())
    try:
        async with sink:
            await sink.probe()
    except GatewayError as error:
        return str(error)
    return ""


def _do(words: str) -> str:
    if "no answer" in words:
        return "start the database, or correct url:; rows are kept meanwhile, and delivered by themselves"
    return "put that right; rows are kept meanwhile, and delivered by themselves"


class _Backlog:
    """What a sink has not taken yet."""

    def __init__(self, visit: Visit, name: str, config: InfluxSink) -> None:
        self._keep, self._now_ns = config.keep, visit.now_ns
        self._reader: LogReader | None = visit.reader
        self._position = visit.reader.cursor(name).position if visit.reader else 0
        self.rows = visit.reader.rows_after(self._position) if visit.reader else 0
        self.since_ns = visit.reader.received_ns(self._position) if visit.reader else None

    @property
    def late_s(self) -> float:
        return max(0.0, (self._now_ns - self.since_ns) / SECOND_NS) if self.since_ns else 0.0

    def loss(self) -> str:
        """Say what waits, and when the declared policy gives up the first of it at the rate it has grown by."""
        if self._reader is None or not self.rows:
            return ""
        size = self._reader.bytes_after(self._position)
        left: list[float] = []
        if self._keep.max_mb is not None and self.late_s:
            left.append((self._keep.max_mb * _MEGABYTE - size) / max(1.0, size / self.late_s))
        if self._keep.max_age_h is not None:
            left.append(self._keep.max_age_h * 3_600 - self.late_s)
        waits = f"{self.rows:,} rows ({megabytes(size)}) wait for it"
        if not left:
            return f"{waits}, none are given up (keep:)"
        return f"{waits}, the oldest are given up in {span(max(0.0, min(left)))} (keep:)"
