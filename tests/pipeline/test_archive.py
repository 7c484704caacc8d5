"""Cuts of the log into the history: every row once, whatever ends between two cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from config import model
from config.errors import Unavailable
from pipeline import archive
from pipeline.archive import Archivist
from pipeline.batch import Batch, Header, make
from pipeline.counters import Counters
from pipeline.log.log import Log
from pipeline.log.writer import Entry
from sinks.history import History
from sinks.history_cut import Cut
from tests.pipeline.journal import open_log
from tests.pipeline.tables import HOUR, START, readings
from tests.waiting import until

HEADER = Header("floor", 1, "boot", START, 0)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Log, History]]:
    log = await open_log(folder)
    history = History(folder / "history", model.History())
    await history.open()
    yield log, history
    await history.close()
    await log.close()


def archivist(log: Log, history: History, cut_s: float = 1e6, cut_rows: int = 1_000_000) -> Archivist:
    return Archivist(log, history, log.clock, Counters(), cut_s, cut_rows)


async def fill(log: Log, start: int, end: int) -> None:
    for n in range(start, end):
        await log.append(Entry([readings([n], [float(n)])]))


async def stored(history: History) -> list[float]:
    answer = await history.query([0], START, START + HOUR)
    return sorted(answer.value.tolist())


async def test_every_row_once_over_cuts_and_restarts(tmp_path: Path) -> None:
    for begin in (0, 5, 10):
        async with opened(tmp_path) as (log, history):
            assert history.cursor == begin
            await fill(log, begin, begin + 5)
            keeper = archivist(log, history, cut_rows=2)
            await keeper.cut()
            assert history.cursor == log.position
            assert keeper.counters.delivered == 5
            assert keeper.counters.backlog == 0
            assert await keeper.tail([0]) == (log.position, None)
            await keeper.cut()  # nothing to do
            assert await stored(history) == [float(n) for n in range(begin + 5)]


async def test_a_cut_of_many_rows_goes_band_by_band(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_BAND_ROWS", 10)
    monkeypatch.setattr(archive, "_APART_ROWS", 16)
    monkeypatch.setattr(archive, "_PIECE_ROWS", 7)
    async with opened(tmp_path) as (log, history):
        for n in range(30):
            await log.append(Entry([make(HEADER, START + n, range(n % 3, 40, 3), np.arange(n % 3, 40, 3) + n / 64)]))
        await archivist(log, history, cut_rows=200).cut()
        assert history.cursor == log.position
        answer = await history.query(range(40), START, START + HOUR)
        assert list(zip(answer.series.tolist(), (answer.time_ns - START).tolist(), strict=True)) == [
            (series, n) for series in range(40) for n in range(30) if n % 3 == series % 3
        ]
        assert answer.value.tolist() == [s + n / 64 for s in range(40) for n in range(30) if n % 3 == s % 3]
        assert (await history.query(range(40), START, START + HOUR, 60 * 10**9, "count")).value.tolist() == [10.0] * 40
        cuts = [p for p in (tmp_path / "history" / "raw").iterdir() if p.suffix == ".parquet"]
        assert len(cuts) == 2


async def test_what_is_not_cut_yet_is_the_tail(tmp_path: Path) -> None:
    async with opened(tmp_path) as (log, history):
        await fill(log, 0, 3)
        keeper = archivist(log, history)
        await keeper.cut()
        await fill(log, 3, 5)
        after, tail = await keeper.tail([0])
        assert after == history.cursor
        assert isinstance(tail, Batch)
        assert tail.value.tolist() == [3.0, 4.0]
        _, other = await keeper.tail([99])
        assert isinstance(other, Batch)
        assert len(other) == 0


async def test_it_cuts_by_itself_when_there_are_enough_rows_or_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_POLL_S", 0.005)
    async with opened(tmp_path) as (log, history):
        keeper = archivist(log, history, cut_rows=10)
        task = asyncio.create_task(keeper.run())
        await fill(log, 0, 9)
        await until(lambda: keeper.counters.backlog == 9)
        assert history.cursor == 0
        await fill(log, 9, 10)
        await until(lambda: history.cursor == log.position)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await fill(log, 10, 11)
        task = asyncio.create_task(archivist(log, history, cut_s=0.02).run())
        await until(lambda: history.cursor == log.position)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await stored(history) == [float(n) for n in range(11)]


async def test_cancelled_within_a_cut_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    async with opened(tmp_path) as (log, history):
        await fill(log, 0, 20)
        cutting = asyncio.create_task(archivist(log, history, cut_rows=3).cut())
        await until(lambda: history.cursor > 0)
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)
        await archivist(log, history).cut()
        assert await stored(history) == [float(n) for n in range(20)]


async def test_a_write_that_ends_although_it_was_cancelled_is_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as (log, history):
        await fill(log, 0, 3)
        keeper = archivist(log, history)
        task = asyncio.ensure_future(keeper.cut())
        commit = Cut.commit

        def committing(cut: Cut) -> None:
            commit(cut)
            asyncio.run_coroutine_threadsafe(_cancelled(task), loop).result(60)

        loop = asyncio.get_running_loop()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Cut, "commit", committing)
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (history.cursor, keeper.counters.delivered) == (log.position, 3)
        assert await history.count() == 3


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()


async def test_a_full_disk_keeps_the_rows_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as (log, history):
        await fill(log, 0, 3)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("sinks.history_cut.publish", full)
        with pytest.raises(Unavailable, match="No space left"):
            await archivist(log, history).cut()
        assert history.cursor == 0
        monkeypatch.undo()
        await archivist(log, history).cut()
        assert await stored(history) == [0.0, 1.0, 2.0]
