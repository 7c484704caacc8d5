"""The log → episodes, silences and messages to be sent: everything written in the commit that moves the cursor."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import orjson

from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.desk.episode import Episode
from pipeline.desk.fold import Fold, Statement
from pipeline.desk.known import Known
from pipeline.desk.silences import Silence
from pipeline.log.log import Log, LogReader
from pipeline.log.writer import Entry
from pipeline.storing import Storing

CURSOR: Final = "desk"
_CHUNK_ROWS: Final = 20_000


@dataclass(slots=True)
class Desk:
    """Follows the log; `open` and `silences` are what holds now, `position` how far it has come.

    Acts are read from the log: {"what": "acknowledge", "about": {"id", "note"}}, {"what": "silence", "about": {"match":
    {assets, areas, alerts, severities}, "until_ns", "why"}}, {"what": "unsilence", "about": {"id"}}.
    """

    log: Log
    fold: Fold
    clock: Clock
    counters: Counters
    position: int = field(init=False)
    _known: Known = field(init=False)
    _storing: Storing = field(init=False)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._storing = Storing(CURSOR, self.clock)
        cursor = self.log.reader.cursor(CURSOR)
        self.position, self._known = cursor.position, Known.load(cursor.state)

    @property
    def open(self) -> dict[str, Episode]:
        """Every episode that fires, by id."""
        return self._known.open

    @property
    def silences(self) -> dict[str, Silence]:
        """What keeps alerts from being told, by id; maintenance windows that are open are among them."""
        return self._known.silences

    @property
    def now_ns(self) -> int:
        """The latest tick it has seen."""
        return self._known.now_ns

    def told_by(self, channel: str) -> list[Episode]:
        """Return the episodes that fire and of which a channel has told, or is about to."""
        known = self._known
        return [e for e in known.open.values() if channel in known.told.get(e.id, {})]

    async def run(self) -> None:
        """Follow the log for ever."""
        self.counters.state = "running"
        await self.log.follow(self.step, live=True)

    async def step(self) -> bool:
        """Fold the next windows; False when there are none. What they bring and the cursor are one commit."""
        windows = self.log.read(self.position, _CHUNK_ROWS)
        if not windows:
            return False
        known, statements = self._known, list[Statement]()
        for window in windows:
            known, more = self.fold(known, window)
            statements += more
        position = windows[-1].position
        if statements:
            await self.log.append(Entry(cursor=self._storing.cursor(position, known.dump()), statements=statements))
            self.counters.committed += len(statements)
        elif self._storing.due():
            self.log.ride(self._storing.cursor(position, known.dump()))
        self.position, self._known = position, known
        self.counters.received += sum(w.rows for w in windows)
        self.counters.backlog = self.log.reader.rows_after(position) if self.log.position > position else 0
        self._moved.set()
        return True

    async def reached(self, position: int) -> None:
        """Return once the desk has seen a position of the log: an act that was recorded there has its effect."""
        while self.position < position:
            self._moved.clear()
            await self._moved.wait()

    def ended(self, reader: LogReader, from_ns: int, to_ns: int, most: int = 500) -> list[Episode]:
        """Return episodes that are over and fired at some time within, the newest first."""
        query = "SELECT about FROM episodes WHERE ended_ns >= ? AND fired_ns <= ? ORDER BY ended_ns DESC LIMIT ?"
        return [Episode.from_json(orjson.loads(row[0])) for row in reader.query(query, (from_ns, to_ns, most))]
