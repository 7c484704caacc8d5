"""Windows of the log → rows of a higher stratum: runs one stage over everything, once and in order."""

from __future__ import annotations

from typing import Any, Final, Protocol

import orjson

from pipeline.batch import Batch, Header
from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.log.log import Log
from pipeline.log.writer import Cursor, Entry

_CHUNK_ROWS: Final = 50_000
State = dict[str, Any]


class Stage(Protocol):
    """A computation over several series or a stretch of time: `(state, batch) → (state, rows)`, state as JSON."""

    name: str
    stratum: int  # of what it appends; it is shown only rows below

    def fold(self, state: State, batch: Batch, header: Header) -> tuple[State, Batch]: ...


async def consume(log: Log, stage: Stage, clock: Clock, revision: int, counters: Counters) -> None:
    """Run a stage from its cursor for ever; its rows and its cursor are one commit, so it appends each row once."""
    cursor = log.reader.cursor(stage.name)
    position, state = cursor.position, orjson.loads(cursor.state or b"{}")
    counters.state = "running"
    while True:
        windows = log.read(position, _CHUNK_ROWS)
        if not windows:
            await log.changed()
            continue
        header = Header(stage.name, revision, clock.boot, clock.now_ns(), clock.monotonic_ns(), stage.stratum)
        position = windows[-1].position
        rows = []
        for batch in (b for w in windows for b in w.batches if b.header.stratum < stage.stratum):
            counters.received += len(batch)
            state, out = stage.fold(state, batch, header)
            rows += [out] if len(out) else []
        moved = Cursor(stage.name, position, orjson.dumps(state))
        if rows:
            await log.append(Entry(rows, cursor=moved))
            counters.committed += sum(map(len, rows))
        else:
            log.ride(moved)
        counters.backlog = log.position - position


def check_strata(stages: list[tuple[Stage, int]]) -> None:
    """Refuse a stage that appends at or below what it reads; `stages` pairs each with its highest input."""
    for stage, highest in stages:
        if stage.stratum <= highest:
            raise ValueError(f"{stage.name} appends in stratum {stage.stratum} but reads stratum {highest}: a loop")
