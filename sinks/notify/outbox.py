"""The outbox in the log's database: rows waiting for a channel → messages, whose sending is noted row by row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from config.alerts import SEVERITIES
from pipeline.clock import Clock
from pipeline.desk.episode import Episode
from pipeline.log.log import Log
from pipeline.log.writer import DeadLetter, Entry
from sinks.notify.message import Telling

_READ: Final = 2_000  # rows looked at when a message is made
_KEPT: Final = 20_000  # rows that are done: what was told can be looked up
_WAITING: Final = "SELECT id, at_ns, what, about, message FROM outbox WHERE channel = ? AND done_ns IS NULL "
_MINE: Final = "WHERE id IN (SELECT value FROM json_each(?))"


async def abandon(log: Log, clock: Clock, channels: Collection[str]) -> None:
    """Give up what waits for channels that are no longer configured, with a dead letter for each."""
    for (name,) in log.reader.query("SELECT DISTINCT channel FROM outbox WHERE done_ns IS NULL"):
        if name not in channels:
            outbox = Outbox(log, name, clock)
            while rows := outbox.unsent():
                await outbox.give_up(rows, "the channel is no longer configured")


class Outbox:
    """One channel's rows. A message is written down before it is sent: after a crash it is the same message."""

    def __init__(self, log: Log, channel: str, clock: Clock) -> None:
        self._log, self._channel, self._clock = log, channel, clock

    def begun(self) -> list[Telling]:
        """Return the rows of the oldest message that was made and not yet sent."""
        first = (
            "AND message = (SELECT min(message) FROM outbox WHERE channel = ? AND done_ns IS NULL AND message NOTNULL)"
        )
        return self._read(f"{_WAITING} {first} ORDER BY id", (self._channel, self._channel))

    def unsent(self) -> list[Telling]:
        """Return the first rows that are not done."""
        return self._read(f"{_WAITING} ORDER BY id LIMIT ?", (self._channel, _READ))

    def oldest_ns(self) -> int | None:
        """Return since when the oldest row waits that is in no message yet."""
        query = "SELECT min(at_ns) FROM outbox WHERE channel = ? AND done_ns IS NULL AND message IS NULL"
        found: int | None = self._log.reader.query(query, (self._channel,))[0][0]
        return found

    def waiting(self) -> int:
        """Return how many rows are not done."""
        query = "SELECT count(*) FROM outbox WHERE channel = ? AND done_ns IS NULL"
        return int(self._log.reader.query(query, (self._channel,))[0][0])

    async def join(self, most: int) -> list[Telling]:
        """Make a message of what waits: all that is to be said of up to `most` alerts, the gravest first."""
        rows = self._read(f"{_WAITING} AND message IS NULL ORDER BY id LIMIT ?", (self._channel, _READ))
        by_alert: dict[str, list[Telling]] = {}
        for row in rows:
            by_alert.setdefault(row.episode.key, []).append(row)
        groups = sorted(by_alert.values(), key=_gravity)[:most]
        chosen = sorted((row for group in groups for row in group), key=lambda row: row.id)
        if not chosen:
            return []
        first = chosen[0].id
        await self._log.append(Entry(statements=[(f"UPDATE outbox SET message = ? {_MINE}", (first, _ids(chosen)))]))
        return [replace(row, message=first) for row in chosen]

    async def sent(self, tellings: Sequence[Telling]) -> None:
        """Note that a message was taken; what was done long ago is forgotten."""
        done = (f"UPDATE outbox SET done_ns = ? {_MINE}", (self._clock.now_ns(), _ids(tellings)))
        old = "DELETE FROM outbox WHERE done_ns NOTNULL AND id <= (SELECT max(id) FROM outbox) - ?"
        await self._log.append(Entry(statements=[done, (old, (_KEPT,))]))

    async def give_up(self, tellings: Sequence[Telling], why: str) -> None:
        """Note that a message will not be sent, with a dead letter that says why."""
        now = self._clock.now_ns()
        raw = orjson.dumps([{"what": t.what, "id": t.episode.id, "at_ns": t.at_ns} for t in tellings])
        letter = DeadLetter(now, f"notify.{self._channel}", f"{len(tellings)} messages about alerts", why, raw[:16_384])
        failed = f"UPDATE outbox SET done_ns = ?, failed = ? {_MINE}"
        await self._log.append(Entry(statements=[(failed, (now, why, _ids(tellings)))], dead=[letter]))

    def sent_since(self, since_ns: int) -> list[int]:
        """Return when each message left since an instant."""
        query = (
            "SELECT max(done_ns) FROM outbox WHERE channel = ? AND failed IS NULL AND done_ns > ? AND id > "
            "(SELECT max(id) FROM outbox) - ? GROUP BY message ORDER BY 1"
        )
        return [int(row[0]) for row in self._log.reader.query(query, (self._channel, since_ns, _KEPT))]

    def _read(self, query: str, parameters: tuple[Any, ...]) -> list[Telling]:
        return [_telling(*row) for row in self._log.reader.query(query, parameters)]


def _telling(number: int, at_ns: int, what: Any, about: str, message: int | None) -> Telling:
    said = orjson.loads(about)
    return Telling(number, at_ns, what, Episode.from_json(said["episode"]), said["advice"], message)


def _gravity(group: Sequence[Telling]) -> tuple[int, int]:
    return min(SEVERITIES.index(row.episode.severity) for row in group), group[0].id


def _ids(tellings: Sequence[Telling]) -> str:
    return orjson.dumps([t.id for t in tellings]).decode()
