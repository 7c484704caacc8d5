"""Ended between any two steps, by a crash, a kill or a failing disk, the history neither loses nor doubles a row."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from config.errors import Unavailable
from sinks import history_files
from sinks.history import History
from sinks.history_files import HOURS, MINUTES, Level
from sinks.history_parquet import Columns, Parquet
from sinks.history_query import Question, Reader
from sinks.history_rollup import PARTIAL, merge
from sinks.parquet_file import ParquetFile
from tests.sinks.history_oracle import ALL, DAY, HOUR, S, expected, multiset, opened, stored
from tests.sinks.history_writer import PER_POSITION, log, logged
from tests.waiting import DEADLINE_S, until_sync

CUTS = [(0, 3), (3, 10), (10, 40)]
AGGREGATES = ("count", "sum", "min", "max", "first", "last", "integral")


@pytest.fixture
def one_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """One DuckDB for all histories of a test, never closed: opening it would take most of the time."""
    shared = Parquet()
    monkeypatch.setattr(shared, "rest", lambda: None)
    monkeypatch.setattr("sinks.history.Parquet", lambda: shared)
    monkeypatch.setattr("sinks.history_query.Parquet", lambda: shared)


class CrashError(BaseException):
    """The process is gone: nothing of ours catches it."""


class Steps:
    """Stands before every touch of the disk; at the chosen one it raises instead, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
        self.error, self.at, self.taken = error, -1, 0
        for name in ("fsync", "replace", "unlink"):
            monkeypatch.setattr(history_files.os, name, self._guarded(getattr(os, name)))
        monkeypatch.setattr(ParquetFile, "append", self._half_written(ParquetFile.append))
        monkeypatch.setattr(ParquetFile, "close", self._guarded(ParquetFile.close))

    def arm(self, at: int) -> None:
        self.at, self.taken = at, 0

    @property
    def fired(self) -> bool:
        return self.taken > self.at >= 0

    def _step(self) -> None:
        self.taken += 1
        if self.taken == self.at + 1:
            raise self.error

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._step()
            return function(*args, **kwargs)

        return call

    def _half_written(self, append: Callable[..., None]) -> Callable[..., None]:
        def call(file: ParquetFile, columns: Columns) -> None:
            append(file, columns)
            self._step()

        return call


class Figures(Reader):
    """Reads partials as a query does, but every figure of them at once: one query each would take most of the time."""

    def of(self, level: Level) -> npt.NDArray[np.float64]:
        files = self._files(level, Question((0, 1, 2), 0, DAY), 0, DAY)
        nothing = {name: np.empty(0, dtype) for name, dtype in PARTIAL.items()}
        partials = merge([*self._read(files, tuple(PARTIAL), "true", ALL["limit"]), nothing])
        return np.array([partials[name] for name in PARTIAL], float)


@functools.cache
def told(upto: int, step_ns: int) -> npt.NDArray[np.float64]:
    """Return what partials of the log up to a position must say, a row a figure; each value of it tells its time."""
    rows = log(0, upto)
    apart = {name: expected(rows, step_ns, name) for name in AGGREGATES}
    keys = sorted(apart["count"])
    figures = {name: np.array([of[key][0] for key in keys]) for name, of in apart.items()}
    series, bucket_ns = np.array(keys).reshape(-1, 2).T
    figures |= {"series": series, "bucket_ns": bucket_ns, "bad": np.zeros(len(keys)), "quality": np.zeros(len(keys))}
    figures |= {f"{end}_ns": figures[end] // 3 * S for end in ("first", "last")}
    return np.array([figures[name] for name in PARTIAL], float)


async def is_whole(history: History, folder: Path) -> None:
    """Every row of the log up to the cursor is there once, in each level and in each of its figures."""
    answer = await history.query(range(3), 0, DAY, **ALL)
    assert multiset(stored(answer)) == multiset(log(0, history.cursor))
    figures = Figures(folder)
    for level in (MINUTES, HOURS):
        found, wanted = figures.of(level), told(history.cursor, level.step_ns)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, err_msg=f"{level.name}: {', '.join(PARTIAL)}")


async def replay(history: History) -> None:
    """Write what the log holds beyond the cursor, in other cuts than before: the first one narrower."""
    while history.cursor < CUTS[-1][1]:
        after, upto = history.cursor, min(history.cursor + 1 + 5 * (history.cursor % 3), CUTS[-1][1])
        await history.write(logged(after, upto), after, upto)


async def work(history: History) -> None:
    for after, upto in CUTS:
        await history.write(logged(after, upto), after, upto)
    await history.compact()
    await history.retain(DAY)


@pytest.mark.usefixtures("one_database")
async def test_a_crash_between_any_two_steps_leaves_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, CrashError())
    crashes = 0
    for at in range(1_000):
        folder = tmp_path / str(at)
        history = await opened(folder)
        steps.arm(at)
        try:
            await work(history)
        except CrashError:
            crashes += 1
        if not steps.fired:
            break
        steps.arm(-1)
        again = await opened(folder)
        await is_whole(again, folder)
        assert not [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".parquet"]
        await replay(again)
        await again.compact()
        await is_whole(again, folder)
        await again.close()
    assert crashes >= 45, "each write has 12 steps, compaction more"


@pytest.mark.usefixtures("one_database")
async def test_a_failing_disk_leaves_it_whole_and_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, OSError(28, "No space left on device"))
    said: set[str] = set()
    for at in range(1_000):
        folder = tmp_path / str(at)
        history = await opened(folder)
        steps.arm(at)
        try:
            await work(history)
        except Unavailable as error:
            said.add(str(error).rpartition("; ")[2])
        except RuntimeError as error:
            said.add(str(error).rpartition(": ")[2])
            history = await opened(folder)
        if not steps.fired:
            break
        steps.arm(-1)
        await is_whole(history, folder)
        await replay(history)
        await is_whole(history, folder)
        assert history.cursor == CUTS[-1][1]
        await history.close()
    # Only the sync after a raw file's rename leaves a doubt.
    advice = "free space, or make it writable. The log keeps the rows meanwhile"
    assert said == {advice, *(f"the commit of position {upto} is in doubt" for _, upto in CUTS)}


def started(folder: Path, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.sinks.history_writer", str(folder), str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_killed_at_random_moments_it_misses_and_doubles_nothing(tmp_path: Path) -> None:
    choose = random.Random(7)
    reader = Reader(tmp_path)
    last = 0
    for seed in range(6):
        process = started(tmp_path, seed)
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("open"), "the writer did not start"
            goal = last + choose.randint(1, 60)
            until_sync(lambda goal=goal: reader.cursor() >= goal)
            deadline = time.monotonic() + choose.random() * 0.02
            while time.monotonic() < deadline:  # anywhere within a write, not at its end
                pass
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        last = reader.cursor()
        assert numbers(reader) == list(range(last * PER_POSITION))

    async def reopened() -> None:
        history = await opened(tmp_path)
        assert history.cursor == last
        await is_whole(history, tmp_path)
        await history.compact()
        await is_whole(history, tmp_path)

    asyncio.run(reopened())


def test_another_process_reads_while_the_gateway_writes_and_compacts(tmp_path: Path) -> None:
    process = started(tmp_path, 1)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("open")
        reader = Reader(tmp_path)
        looks, seen = 0, 0
        until = time.monotonic() + DEADLINE_S
        while looks < 60 or seen < 500:
            assert time.monotonic() < until, "the writer does not get on"
            before = reader.cursor()
            found = numbers(reader)
            assert found == list(range(len(found)))
            assert len(found) >= before * PER_POSITION
            assert rolled_up(reader) >= before * PER_POSITION
            looks, seen = looks + 1, before
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def numbers(reader: Reader) -> list[int]:
    answer = reader.answer(Question((0, 1, 2), 0, 10**9 * S, limit=1_000_000))
    return sorted(answer.value.astype(int).tolist())


def rolled_up(reader: Reader) -> int:
    return int(reader.answer(Question((0, 1, 2), 0, 10**9 * S, HOUR, "count")).value.sum())
