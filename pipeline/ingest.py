"""Batches of one connection → accepted rows: normalise, meter, convert, one commit; only then the next batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline import snapshot
from pipeline.batch import DERIVED, INPUT, Batch, Header, Times, concat
from pipeline.clock import Clock
from pipeline.convert import convert
from pipeline.counters import Counters
from pipeline.log.log import Log
from pipeline.log.writer import DeadLetter, Entry, Snapshot
from pipeline.meter import MeterState, fold, turned_back
from pipeline.normalise import distrust, doubt_clocks, is_ahead, normalise, restamped
from pipeline.quality import BAD, SEVERITY
from pipeline.series import SeriesTable

_TOKENS: Final = 256  # more batches than a broker can have unacknowledged
_RAW_KEPT: Final = 1_024  # bytes of a rejected input kept in its dead letter


def derive(
    table: SeriesTable, state: MeterState, measured: Batch, spare: MeterState | None = None
) -> tuple[MeterState, Batch, Batch]:
    """Return (state, measured rows with what was learnt, derived rows) of normalised rows; `spare` as `fold` has it."""
    folded = fold(table, state, measured, spare)
    measured = replace(measured, quality=folded.quality)
    header = replace(measured.header, stratum=DERIVED, note=None)
    derived = concat(header, [folded.amounts, convert(table, measured), convert(table, folded.amounts)])
    return folded.state, measured, derived


@dataclass(slots=True)
class Ingest:
    """One connection's stages and their state; one batch is in flight at a time."""

    log: Log
    table: SeriesTable
    connection: str
    clock: Clock
    counters: Counters
    accepting: asyncio.Event  # cleared while there is no room to accept anything
    stamps: bool = False  # readings have the gateway's time, not their source's
    state: MeterState = field(init=False)
    tokens: deque[bytes] = field(default_factory=lambda: deque(maxlen=_TOKENS))
    newest_ns: Times = field(init=False)  # of each series' accepted rows; NEVER: there is none
    _series: npt.NDArray[np.int32] = field(init=False)
    _spare: MeterState | None = None  # the state before the last: its memory is that of the next
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.state = MeterState.fresh(len(self.table))
        self.newest_ns = self.state.time_ns.copy()
        self._series = self.table.of_connection(self.connection)

    def recover(self, windows: Iterable[Batch]) -> None:
        """Re-run measured rows of this connection that are later than its snapshot; their output is in the log."""
        for batch in windows:
            if batch.header.connection == self.connection and batch.header.stratum == INPUT:
                state, _, _ = derive(self.table, self._base(batch), batch, self._spare)
                self._adopt(state)
                self._note(batch)
                if batch.token:
                    self.tokens.append(batch.token)

    def snapshot(self) -> Snapshot:
        """Return the state as it is after the last accepted batch."""
        state = snapshot.encode(self.state, self.newest_ns, self._series, self.tokens)
        return Snapshot(self.connection, self.table.revision, state)

    async def checkpoint(self) -> None:
        """Commit a snapshot between two batches, so that recovery and the log behind it stay short."""
        async with self._lock:
            await self.log.append(Entry(snapshots=[self.snapshot()]))

    async def accept(self, batch: Batch) -> None:
        """Commit a batch with everything that follows from it; returning means accepted.

        Cancelling the caller does not undo it: state and log stay in step. Raises LogFailed.
        """
        await self.accepting.wait()
        await asyncio.shield(asyncio.ensure_future(self._accept(batch)))

    async def _accept(self, batch: Batch) -> None:
        async with self._lock:
            batch = replace(batch, header=self._header(batch.header))
            if self.stamps and batch.header.boot == self.clock.boot:
                batch = restamped(batch, self.clock.begun_ns, self.clock.moved_ns)
            measured = normalise(self.table, batch)
            anchor_ns = self.clock.untrusted.get(batch.header.boot)
            measured = doubt_clocks(measured) if anchor_ns is None else distrust(measured, anchor_ns)
            state, measured, derived = derive(self.table, self._base(measured), measured, self._spare)
            tokens = deque(self.tokens, _TOKENS)
            if batch.token:
                tokens.append(batch.token)
            await self.log.append(self._entry(measured, derived))
            self._adopt(state)
            self.tokens = tokens
            self._note(measured)
            self._count(measured)

    def _base(self, measured: Batch) -> MeterState:
        return turned_back(self.state, measured) if self.stamps else self.state

    def _adopt(self, state: MeterState) -> None:
        self._spare, self.state = self.state, state

    def _note(self, measured: Batch) -> None:
        """Take the times of accepted rows into `newest_ns`; one that is ahead of us would hide all that follow it."""
        ahead = is_ahead(measured)
        sane = ~ahead if ahead.any() else slice(None)
        series, time_ns = measured.series[sane].astype(np.intp), measured.time_ns[sane]
        self.newest_ns[series] = np.maximum(self.newest_ns.take(series), time_ns)
        if (self.newest_ns.take(series) < time_ns).any():  # a series twice in a batch, and its last row not the newest
            np.maximum.at(self.newest_ns, series, time_ns)

    def _entry(self, measured: Batch, derived: Batch) -> Entry:
        batches = [b for b in (replace(measured, rejects=()), derived) if len(b) or b.token]
        component = f"collector.{self.connection}"
        now = self.clock.now_ns()
        dead = [DeadLetter(now, component, r.source, r.reason, r.raw[:_RAW_KEPT]) for r in measured.rejects]
        return Entry(batches, dead=dead)

    def _header(self, header: Header) -> Header:
        return replace(header, connection=self.connection, revision=self.table.revision)

    def _count(self, measured: Batch) -> None:
        self.counters.committed += len(measured)
        self.counters.bad += int(((measured.quality & SEVERITY) == BAD).sum())
        self.counters.rejected += len(measured.rejects)
        self.counters.lag_s = (self.clock.monotonic_ns() - measured.header.monotonic_ns) / 1e9
