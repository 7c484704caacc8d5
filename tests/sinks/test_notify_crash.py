"""Desk and sender killed before and after every step: no transition lost, no intent doubled, every notice said with
the id it would have had.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.batch import Batch
from pipeline.counters import Counters
from pipeline.desk.desk import Desk
from pipeline.log.log import Log
from pipeline.log.writer import Entry
from sinks.notify.message import Message
from sinks.notify.sender import Sender
from tests.pipeline.desk.parts import CLEAR, FIRING, act, alert, fold_of, says, tick, turns
from tests.pipeline.journal import open_log
from tests.sinks.notify_parts import Hand, Memory

A, B = alert(0, "furnace"), alert(1, "press", "critical")
FOLD = fold_of([A, B], {"routes": [{"channels": ["mail"], "repeat_s": 20}]})
STORY: list[Batch] = [
    turns(A, FIRING, 0, 136.0, 36.0),
    tick(1),
    turns(B, FIRING, 2, 120.0),
    says(A, 10, 140.0, 40.0),
    tick(22),
    act(23, "acknowledge", id="furnace.high@1"),
    turns(B, CLEAR, 30),
    tick(43),
    turns(A, CLEAR, 50),
    turns(A, FIRING, 51, 130.0, 30.0),
    tick(52),
]


class Killed(BaseException):
    """The process ends here: nothing catches it."""


class Fate:
    """Kills at the n-th step: before it has any effect, or right after."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.steps = at, after, 0

    async def step(self, work: Callable[[], Awaitable[Any]]) -> Any:
        self.steps += 1
        if self.steps == self.at and not self.after:
            raise Killed
        result = await work()
        if self.steps == self.at:
            raise Killed
        return result


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def lived(log: Log, channel: Memory, fate: Fate) -> None:
    """Let a desk and a sender work until nothing is left to do; raises Killed where fate says so."""
    append, send = type(log).append, type(channel).send

    class Mortal(Memory):
        async def send(self, message: Message) -> None:
            await fate.step(lambda: send(channel, message))

    async def mortal_append(entry: Entry) -> int:
        position: int = await fate.step(lambda: append(log, entry))
        return position

    log.append = mortal_append  # type: ignore[method-assign]
    desk = Desk(log, FOLD, log.clock, Counters())
    sender = Sender("mail", "plant", log, Mortal(), log.clock, Counters(), 0.0, 60, list)
    worked = True
    while worked:
        worked = await stepped(desk, log)
        while await sender.step():
            worked = True


async def stepped(desk: Desk, log: Log) -> bool:
    """Fold one window at a time, so that every boundary between two is one."""
    read = log.read
    log.read = lambda after, most=1: read(after, 1)  # type: ignore[method-assign, misc]
    try:
        return await desk.step()
    finally:
        log.read = read  # type: ignore[method-assign]


async def told(path: Path, at: int, *, after: bool) -> tuple[int, list[Message], list[Any], list[Any]]:
    """Return (steps, messages sent, intents, ended episodes) of a life that is killed once and begun again."""
    channel = Memory()
    log = await open_log(made(path), Hand())
    for batch in STORY:
        await log.append(Entry([batch]))
    fate = Fate(at, after=after)
    try:
        await lived(log, channel, fate)
    except Killed:
        log.writer._riding.clear()
        await log.close()
        log = await open_log(path, Hand())
        await lived(log, channel, Fate(0, after=False))
    intents = log.reader.query("SELECT channel, what, alert, about FROM outbox ORDER BY id")
    ended = log.reader.query("SELECT id, fired_ns, ended_ns, about FROM episodes ORDER BY number")
    assert log.reader.query("SELECT count(*) FROM outbox WHERE done_ns IS NULL") == [(0,)]
    await log.close()
    return fate.steps, channel.sent, intents, ended


async def test_killed_at_every_step_everything_is_said_at_least_once_with_the_same_ids(tmp_path: Path) -> None:
    steps, quiet, intents, ended = await told(tmp_path / "quiet", 0, after=False)
    assert [(what, name) for _, what, name, _ in intents] == [
        ("firing", "furnace.high@1"),
        ("again", "furnace.high@1"),
        ("firing", "press.high@3"),
        ("resolved", "press.high@3"),
        ("resolved", "furnace.high@1"),
        ("firing", "furnace.high@10"),
    ]
    said = {(t.what, t.episode.id) for m in quiet for t in m.tellings}
    assert steps >= 15
    for at in range(1, steps + 1):
        for after in (False, True):
            _, sent, again, over = await told(tmp_path / f"{at}{after}", at, after=after)
            assert (again, over) == (intents, ended), (at, after)
            assert {(t.what, t.episode.id) for m in sent for t in m.tellings} == said, (at, after)
            by_id: dict[str, set[tuple[str, ...]]] = {}
            for message in sent:
                by_id.setdefault(message.id, set()).add(tuple(t.episode.id for t in message.tellings))
            assert all(len(contents) == 1 for contents in by_id.values()), (at, after)
            assert len(sent) <= len(quiet) + 1, (at, after)


@pytest.mark.parametrize("steps", range(1, len(STORY)))
async def test_a_desk_begun_again_anywhere_knows_what_it_knew(tmp_path: Path, steps: int) -> None:
    """What it had not stored it folds again: the same episodes, with the same energy, whatever was stored."""
    log = await open_log(tmp_path, Hand())
    for batch in STORY:
        await log.append(Entry([batch]))
    whole = Desk(log, FOLD, log.clock, Counters())
    await whole.step()
    await log.close()
    log = await open_log(made(tmp_path / "again"), Hand())
    for batch in STORY:
        await log.append(Entry([batch]))
    first = Desk(log, FOLD, log.clock, Counters())
    for _ in range(steps):
        await stepped(first, log)
    log.writer._riding.clear()
    await log.close()
    log = await open_log(tmp_path / "again", Hand())
    second = Desk(log, FOLD, log.clock, Counters())
    while await second.step():
        pass
    assert second.open == whole.open
    assert [e.id for e in second.ended(log.reader, 0, 2**62)] == [e.id for e in whole.ended(log.reader, 0, 2**62)]
    await log.close()
