"""Delivery to a sink that fails in every way it may: in order, at least once, nothing lost that is not recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from config.errors import Unavailable
from pipeline import deliver
from pipeline.batch import Batch
from pipeline.counters import Counters
from pipeline.deliver import Delivery
from pipeline.log.log import Log
from pipeline.log.writer import Entry
from pipeline.ports import Refusal
from tests.pipeline.journal import open_log
from tests.pipeline.tables import readings
from tests.waiting import until


class Memory:
    """A sink that keeps values in a list and answers as the test says."""

    def __init__(self) -> None:
        self.offered: list[list[float]] = []
        self.stored: list[float] = []
        self.opened = 0
        self.answer: Callable[[Batch], Sequence[Refusal]] = lambda batch: ()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __aenter__(self) -> Self:
        self.opened += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def write(self, batch: Batch) -> Sequence[Refusal]:
        self.offered.append(batch.value.tolist())
        await self.gate.wait()
        refusals = self.answer(batch)
        refused = {int(row) for r in refusals for row in r.rows}
        self.stored += [v for row, v in enumerate(batch.value.tolist()) if row not in refused]
        return refusals


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "_PACE_S", 0.0)
    monkeypatch.setattr(deliver, "_FIRST_BACKOFF_S", 0.001)


def delivery(log: Log, sink: Memory, name: str = "db", batch_rows: int = 1_000) -> Delivery:
    return Delivery(name, log, sink, log.clock, Counters(), batch_rows, backoff_max_s=0.01, _backoff_s=0.001)


async def fill(log: Log, count: int, rows: int = 1, first: int = 0) -> list[float]:
    """Append `count` windows of `rows` rows; return their values."""
    values = [float(v) for v in range(first, first + count * rows)]
    for n in range(count):
        mine = values[n * rows : (n + 1) * rows]
        await log.append(Entry([readings(mine, mine)]))
    return values


async def settled(log: Log) -> None:
    """Let riding cursors come to disk: the next commit takes them along."""
    await log.append(Entry())


def dead(log: Log) -> list[tuple[str, str, bytes]]:
    return log.reader.query("SELECT component, reason, raw FROM dead ORDER BY id")


async def test_rows_come_in_order_and_once_while_nothing_fails(tmp_path: Path) -> None:
    log, sink = await open_log(tmp_path), Memory()
    values = await fill(log, 7, rows=3)
    going = delivery(log, sink, batch_rows=5)
    while await going.step():
        pass
    assert sink.stored == values
    assert max(map(len, sink.offered)) == 6  # whole commits, until there are enough rows
    assert (going.counters.delivered, going.counters.rejected, going.counters.backlog) == (21, 0, 0)
    await settled(log)
    assert log.reader.cursor("db").position == going.position == log.position
    await log.close()


async def test_what_was_written_but_not_noted_is_offered_again_after_a_crash(tmp_path: Path) -> None:
    log, sink = await open_log(tmp_path), Memory()
    values = await fill(log, 4)
    first = delivery(log, sink, batch_rows=2)
    await first.step()
    await settled(log)
    await first.step()
    log.writer._riding.clear()  # the process dies between the write and its cursor
    await log.close()
    log = await open_log(tmp_path)
    again = delivery(log, sink, batch_rows=2)
    while await again.step():
        pass
    assert sink.stored == [*values[:2], *values[2:], *values[2:]]
    await log.close()


async def test_an_absent_sink_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Away five times, then back: told once each way, backlog seen, and the rows of the meantime come too."""
    log, sink, times = await open_log(tmp_path), Memory(), iter(range(5))

    def away(_: Batch) -> Sequence[Refusal]:
        if next(times, None) is not None:
            raise Unavailable("connection refused")
        return ()

    sink.answer = away
    values = await fill(log, 3)
    going = delivery(log, sink)
    with caplog.at_level(logging.INFO, "tanflow.deliver"):
        for _ in range(3):
            assert await going.step()
        assert (going.counters.state, going.counters.backlog, going.position) == ("down", 3, 0)
        assert going.counters.last_error == "connection refused"
        values += await fill(log, 2, first=3)
        while await going.step():
            pass
    assert sink.stored == values
    assert (going.counters.state, going.counters.retried, going.counters.backlog) == ("running", 5, 0)
    told = [r.getMessage() for r in caplog.records]
    assert [t for t in told if "is away" in t] == ["db is away, its rows are kept: connection refused"]
    assert len([t for t in told if "takes rows again" in t]) == 1
    await log.close()


async def test_pauses_grow_to_the_limit_and_begin_anew_after_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, sink, pauses = await open_log(tmp_path), Memory(), list[float]()
    asked: list[float | None] = [None] * 6 + [0.25, 99.0]

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    def away(_: Batch) -> Sequence[Refusal]:
        if asked:
            raise Unavailable("busy", after_s=asked.pop(0))
        return ()

    monkeypatch.setattr(asyncio, "sleep", pause)
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    sink.answer = away
    await fill(log, 1)
    going = Delivery("db", log, sink, log.clock, Counters(), 10, backoff_max_s=4.0, _backoff_s=0.5)
    while await going.step():
        pass
    assert pauses == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 0.25, 4.0]
    assert going._backoff_s == deliver._FIRST_BACKOFF_S
    await log.close()


async def test_refused_rows_are_dead_letters_in_the_servers_words(tmp_path: Path) -> None:
    """Rows 1 and 3 of five are refused: the letters and the cursor are one commit, and the rest stands."""
    log, sink = await open_log(tmp_path), Memory()
    words = 'partial write: field type conflict: input field "power_kw" is type float, already exists as string'
    sink.answer = lambda _: [Refusal(np.array([1, 3]), b"energy power_kw=1\n" * 2_000, words)]
    await fill(log, 1, rows=5)
    going = delivery(log, sink)
    before = log.writer.commits
    await going.step()
    assert log.writer.commits == before + 1
    ((component, reason, raw),) = dead(log)
    assert (component, reason, len(raw)) == ("sink.db", words, 16_384)
    assert sink.stored == [0.0, 2.0, 4.0]
    assert (going.counters.delivered, going.counters.rejected) == (3, 2)
    assert log.reader.cursor("db").position == log.position
    await log.close()


async def test_two_sinks_go_their_own_way(tmp_path: Path) -> None:
    log, quick, stuck = await open_log(tmp_path), Memory(), Memory()
    stuck.gate.clear()
    one, other = delivery(log, quick, "quick"), delivery(log, stuck, "stuck")
    tasks = [asyncio.create_task(d.run()) for d in (one, other)]
    values = await fill(log, 5)
    await until(lambda: quick.stored == values)
    assert stuck.stored == []
    stuck.gate.set()
    await until(lambda: stuck.stored == values)
    await settled(log)
    cursors = dict(log.reader.query("SELECT consumer, position FROM cursors"))
    assert cursors == {"quick": log.position, "stuck": log.position}
    for task in tasks:
        task.cancel()
    await log.close()


async def test_a_commit_is_offered_at_once_and_the_next_after_the_pace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, sink = await open_log(tmp_path), Memory()
    monkeypatch.setattr(deliver, "_PACE_S", 3_600.0)
    task = asyncio.create_task(delivery(log, sink).run())
    values = await fill(log, 1)
    await until(lambda: sink.stored == values)
    await fill(log, 3, first=1)
    assert sink.stored == values
    task.cancel()
    await log.close()


async def test_a_defect_of_the_sink_comes_out_and_skips_nothing(tmp_path: Path) -> None:
    log, sink = await open_log(tmp_path), Memory()
    await fill(log, 1)

    def broken(_: Batch) -> Sequence[Refusal]:
        raise KeyError("a defect")

    sink.answer = broken
    going = delivery(log, sink)
    with pytest.raises(KeyError):
        await going.run()
    assert going.position == 0
    await log.close()


async def test_giving_up_is_exact_counted_and_recorded(tmp_path: Path) -> None:
    log, sink = await open_log(tmp_path), Memory()
    values = await fill(log, 6, rows=2)
    positions = [w.position for w in log.read(0)]
    going = delivery(log, sink)
    await going.give_up(positions[2], "more than 1 MB waited")
    ((component, reason, _),) = dead(log)
    assert component == "sink.db"
    assert reason == f"6 rows at positions 1 to {positions[2]} given up: more than 1 MB waited"
    assert going.counters.rejected == 6
    assert log.reader.cursor("db").position == positions[2]
    await going.give_up(positions[1], "again")  # nothing more to give up
    assert len(dead(log)) == 1
    while await going.step():
        pass
    assert sink.stored == values[6:]
    await log.close()


async def test_rows_in_flight_are_not_given_up(tmp_path: Path) -> None:
    """The policy strikes while the sink takes the oldest rows: each row is either stored or given up, never both."""
    log, sink = await open_log(tmp_path), Memory()
    values = await fill(log, 6, rows=2)
    positions = [w.position for w in log.read(0)]
    going = delivery(log, sink, batch_rows=4)
    sink.gate.clear()
    step = asyncio.create_task(going.step())
    await until(lambda: sink.offered)
    giving = asyncio.create_task(going.give_up(positions[3], "too old"))
    await log.append(Entry())
    sink.gate.set()
    await asyncio.gather(step, giving)
    assert going.position == positions[3]
    assert going.counters.delivered == 4
    assert going.counters.rejected == 4
    assert f"4 rows at positions {positions[1] + 1} to {positions[3]} given up" in dead(log)[0][1]
    while await going.step():
        pass
    assert sink.stored == [*values[:4], *values[8:]]
    await settled(log)
    assert log.reader.cursor("db").position == log.position
    await log.close()
