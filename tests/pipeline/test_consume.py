"""Stages over the log: each output row once whatever dies, nothing from their own stratum or above."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch import ALERT, DERIVED, INPUT, WINDOW, Batch, Header, concat, empty, make
from pipeline.clock import Clock
from pipeline.consume import Consumer, State
from pipeline.counters import Counters
from pipeline.log.log import Log
from pipeline.log.writer import Entry, LogFailed
from tests.pipeline.journal import Row, held, open_log, plain
from tests.pipeline.tables import HEADER, START, readings
from tests.waiting import until

SUM = 50


@dataclass
class RunningSum:
    """A stage that appends the sum of all it has seen whenever it passes a multiple of `every`."""

    name: str = "sum"
    stratum: int = WINDOW
    every: float = 3.0
    series: int = SUM
    seen: list[int] = field(default_factory=list)  # strata

    def fold(self, state: State, batch: Batch, header: Header) -> tuple[State, Batch]:
        self.seen.append(batch.header.stratum)
        total, told, rows = state.get("total", 0.0), state.get("told", 0), []
        for value, time_ns in zip(batch.value.tolist(), batch.time_ns.tolist(), strict=True):
            total += value
            if total // self.every > told:
                told = int(total // self.every)
                rows.append((time_ns, total))
        state = {"total": total, "told": told}
        if not rows:
            return state, empty(header)
        return state, make(header, [t for t, _ in rows], [self.series] * len(rows), [v for _, v in rows])


def consumer(log: Log, stage: RunningSum) -> Consumer:
    return Consumer(log, stage, log.clock, 7, Counters())


async def drained(follower: Consumer) -> None:
    while await follower.step():
        pass


async def test_rows_and_cursor_are_one_commit_and_come_once(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.append(Entry([readings([0, 1], [1.0, 3.0])]))
    follower = consumer(log, RunningSum())
    await drained(follower)
    (out,) = [b for w in log.read(0) for b in w.batches if b.header.stratum == WINDOW]
    assert (out.header.connection, out.header.revision, out.header.boot) == ("sum", 7, log.clock.boot)
    assert out.value.tolist() == [4.0]
    assert log.reader.cursor("sum").position == 1  # in the commit that holds the row, which it has not passed yet
    assert (follower.counters.received, follower.counters.committed, follower.counters.backlog) == (2, 1, 0)
    await log.close()


@pytest.mark.parametrize("dies", range(6))
async def test_a_row_comes_once_wherever_the_process_dies(tmp_path: Path, dies: int) -> None:
    """Windows one by one; after `dies` steps a new process with what is on disk goes on: riding cursors are lost."""
    log = await open_log(tmp_path)
    follower = consumer(log, RunningSum())
    for n in range(6):
        await log.append(Entry([readings([n], [float(n)])]))
        if n < dies:
            await follower.step()
    log.writer._riding.clear()  # what only waited for the next commit dies with the process
    await log.close()
    log = await open_log(tmp_path)
    await drained(consumer(log, RunningSum()))
    assert [(r[1], r[3]) for r in held(log, WINDOW)] == [(2, "3.0"), (3, "6.0"), (4, "10.0"), (5, "15.0")]
    await log.close()


async def test_cancelled_within_its_commit_a_row_comes_once(tmp_path: Path) -> None:
    log = await open_log(tmp_path, commit_s=0.1)
    await log.append(Entry([readings([0], [4.0])]))
    step = asyncio.create_task(consumer(log, RunningSum()).step())
    await until(lambda: log.writer._waiting)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    await log.close()
    log = await open_log(tmp_path)
    await drained(consumer(log, RunningSum()))
    assert [r[3] for r in held(log, WINDOW)] == ["4.0"]
    await log.close()


async def test_a_failed_commit_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.append(Entry([readings([0], [4.0])]))
    follower = consumer(log, RunningSum())
    log.writer._db.execute("DROP TABLE cursors")
    with pytest.raises(LogFailed):
        await follower.step()
    assert (follower.position, follower._state) == (0, {})
    assert held(log, WINDOW) == []
    await log.close()


async def test_a_stage_sees_only_what_is_below_it(tmp_path: Path) -> None:
    """Every stratum in the log, alone and together in one window; also what the stage appended itself."""
    log = await open_log(tmp_path)
    batches = [
        replace(readings([s], [4.0]), header=replace(HEADER, stratum=s)) for s in (INPUT, DERIVED, WINDOW, ALERT)
    ]
    for batch in batches:
        await log.append(Entry([batch]))
    await log.append(Entry(batches))
    windows, alerts = RunningSum(), RunningSum("alert", ALERT, every=1e9)
    for stage in (windows, alerts):
        await drained(consumer(log, stage))
    assert windows.seen == [INPUT, DERIVED, INPUT, DERIVED]
    assert ALERT not in alerts.seen
    assert alerts.seen.count(WINDOW) == 2 + 4  # two given, four batches of the window stage's own
    await log.close()


async def test_it_waits_for_more_and_follows(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    follower = consumer(log, RunningSum())
    task = asyncio.create_task(follower.run())
    for n in range(3):
        await log.append(Entry([readings([n], [3.0])]))
    await until(lambda: len(held(log, WINDOW)) == 3)
    await until(lambda: follower.position == log.position)
    commits = log.writer.commits
    await log.append(Entry([readings([9], [0.0])]))
    await until(lambda: follower.position == log.position)
    assert log.writer.commits == commits + 1  # its own cursor is not a reason to commit
    task.cancel()
    await log.close()


async def test_rows_of_an_untrusted_boot_hold_it_until_the_clock_is_set(tmp_path: Path) -> None:
    clock = Clock(anchor_ns=0, trusted=False)
    log = await open_log(tmp_path, clock)
    await log.append(Entry([replace(readings([0], [4.0]), header=replace(HEADER, boot=clock.boot))]))
    follower = consumer(log, RunningSum())
    assert not await follower.step()
    await log.release_boot(clock.boot, START, readings([9], [0.0]))
    await drained(follower)
    assert [r[3] for r in held(log, WINDOW)] == ["4.0"]
    await log.close()


async def output(values: list[float], edges: list[int], crashes: set[int]) -> list[Row]:
    """Return what a stage appends over values committed in windows between `edges`, with restarts after some."""
    with tempfile.TemporaryDirectory() as folder:
        log = await open_log(Path(folder))
        follower = consumer(log, RunningSum())
        for number, (a, b) in enumerate(itertools.pairwise(edges)):
            await log.append(Entry([readings(list(range(a, b)), values[a:b])]))
            if number in crashes:
                await follower.step()
                log.writer._riding.clear()
                await log.close()
                log = await open_log(Path(folder))
                follower = consumer(log, RunningSum())
        await drained(follower)
        rows = held(log, WINDOW)
        await log.close()
    return rows


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 5).map(float), min_size=1, max_size=15), st.data())
async def test_windows_of_any_size_and_restarts_give_the_same_rows(values: list[float], data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(1, len(values)), max_size=6))
    edges = sorted({0, len(values), *cuts})
    crashes = data.draw(st.sets(st.integers(0, len(edges))))
    uninterrupted = await output(values, [0, len(values)], set())
    assert await output(values, edges, crashes) == uninterrupted
    state, out = RunningSum().fold({}, concat(HEADER, [readings(list(range(len(values))), values)]), HEADER)
    assert uninterrupted == plain([out])
    assert state["total"] == sum(values)
