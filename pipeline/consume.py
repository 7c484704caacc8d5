"""Windows of the log → rows of a higher stratum: one stage over everything, once and in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

from pipeline.batch import Batch, Header
from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.log.log import Log
from pipeline.log.writer import Cursor, Entry
from pipeline.storing import Storing

_CHUNK_ROWS: Final = 50_000
State = dict[str, Any]


class Stage(Protocol):
    """A computation over several series or a stretch of time: `(state, batch) → (state, rows)`, state as JSON.

    Arrays in a state are numpy's, and lists when it comes from disk. A stage is shown only strata below the one it
    appends to, so none can ever feed itself.
    """

    @property
    def name(self) -> str: ...
    @property
    def stratum(self) -> int: ...

    def fold(self, state: State, batch: Batch, header: Header) -> tuple[State, Batch]: ...


@dataclass(slots=True)
class Consumer:
    """One stage's way through the log; `position` is how far it has come."""

    log: Log
    stage: Stage
    clock: Clock
    revision: int
    counters: Counters
    position: int = field(init=False)
    _state: State = field(init=False)
    _storing: Storing = field(init=False)

    def __post_init__(self) -> None:
        self._storing = Storing(self.stage.name, self.clock)
        cursor = self.log.reader.cursor(self.stage.name)
        self.position, self._state = cursor.position, orjson.loads(cursor.state or b"{}")

    async def run(self) -> None:
        """Follow the log for ever."""
        self.counters.state = "running"
        await self.log.follow(self.step, live=False)

    async def step(self) -> bool:
        """Fold the next windows; False when there are none. Rows and cursor are one commit: each row comes once."""
        windows = self.log.read(self.position, _CHUNK_ROWS)
        if not windows:
            return False
        stage, clock, state = self.stage, self.clock, self._state
        header = Header(stage.name, self.revision, clock.boot, clock.now_ns(), clock.monotonic_ns(), stage.stratum)
        rows: list[Batch] = []
        for batch in (b for w in windows for b in w.batches if b.header.stratum < stage.stratum):
            self.counters.received += len(batch)
            state, out = stage.fold(state, batch, header)
            rows += [out] if len(out) else []
        position = windows[-1].position
        if rows:
            await self.log.append(Entry(rows, cursor=self._cursor(position, state)))
            self.counters.committed += sum(map(len, rows))
        elif self._storing.due():
            self.log.ride(self._cursor(position, state))
        self.position, self._state = position, state
        self.counters.backlog = self.log.reader.rows_after(position) if self.log.position > position else 0
        return True

    def _cursor(self, position: int, state: State) -> Cursor:
        return self._storing.cursor(position, orjson.dumps(state, option=orjson.OPT_SERIALIZE_NUMPY))
