"""What a supervised task may end with, and what follows: waiting, restarting with backoff, or the end of everything."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import pytest

from config.errors import Unavailable
from pipeline import supervise as module
from pipeline.counters import Counters
from pipeline.log.writer import LogFailed
from pipeline.supervise import supervise
from tests.waiting import until


class Script:
    """Work that ends as the test says, attempt by attempt, and then runs for ever."""

    def __init__(self, *ends: BaseException | None) -> None:
        self.ends = list(ends)
        self.attempts = 0
        self.running = asyncio.Event()

    async def __call__(self) -> None:
        self.attempts += 1
        if not self.ends:
            self.running.set()
            await asyncio.Event().wait()
        end = self.ends.pop(0)
        if end is not None:
            raise end


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses asked for; none is made."""
    asked: list[float] = []
    sleep: Callable[[float], object] = asyncio.sleep

    async def note(seconds: float) -> None:
        asked.append(seconds)
        await sleep(0)  # type: ignore[misc]

    monkeypatch.setattr(module.asyncio, "sleep", note)
    monkeypatch.setattr(module.random, "uniform", lambda low, high: high)
    return asked


async def played(script: Script, backoff_max_s: float = 60.0) -> Counters:
    """Run a script to its standstill and return what was counted."""
    counters = Counters()
    task = asyncio.create_task(supervise("part", script, counters, backoff_max_s))
    await asyncio.wait_for(script.running.wait(), 300)
    assert counters.state == "running"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return counters


async def test_what_is_away_is_tried_again_and_told_once(
    pauses: Sequence[float], caplog: pytest.LogCaptureFixture
) -> None:
    counters = await played(Script(*(Unavailable("no route to host") for _ in range(4))))
    assert (counters.retried, counters.restarts, counters.last_error) == (4, 0, "no route to host")
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [(logging.WARNING, "part: no route to host")]
    assert pauses == [0.5, 1.0, 2.0, 4.0]


async def test_another_reason_is_told_too(pauses: Sequence[float], caplog: pytest.LogCaptureFixture) -> None:
    await played(Script(Unavailable("refused"), Unavailable("refused"), Unavailable("timeout")))
    assert [r.getMessage() for r in caplog.records] == ["part: refused", "part: timeout"]


async def test_the_wait_asked_for_is_kept_within_the_limit(pauses: Sequence[float]) -> None:
    await played(Script(Unavailable("busy", 3.0), Unavailable("busy", 0.0), Unavailable("busy", 500.0)), 20.0)
    assert pauses == [3.0, 0.0, 20.0]


async def test_backoff_stops_growing_at_its_limit(pauses: Sequence[float]) -> None:
    await played(Script(*(Unavailable("away") for _ in range(6))), 5.0)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


async def test_a_defect_is_counted_told_with_its_traceback_and_started_again(
    pauses: Sequence[float], caplog: pytest.LogCaptureFixture
) -> None:
    counters = await played(Script(KeyError("x"), KeyError("x"), ZeroDivisionError("y")))
    assert (counters.retried, counters.restarts) == (0, 3)
    assert [bool(r.exc_info) for r in caplog.records] == [True, False, True]
    assert {r.levelno for r in caplog.records} == {logging.ERROR}


async def test_work_that_ends_by_itself_is_a_defect(pauses: Sequence[float]) -> None:
    counters = await played(Script(None))
    assert (counters.restarts, counters.last_error) == (1, "ended by itself")


async def test_a_cancellation_from_within_is_a_defect_and_not_the_end(pauses: Sequence[float]) -> None:
    """A library that cancels its own inner task lets CancelledError out; nobody asked this task to stop."""
    counters = await played(Script(asyncio.CancelledError()))
    assert counters.restarts == 1


async def test_a_failed_log_ends_it(pauses: Sequence[float]) -> None:
    counters = Counters()
    with pytest.raises(LogFailed, match="disk"):
        await supervise("part", Script(LogFailed("disk")), counters, 60.0)
    assert pauses == []


async def test_a_long_run_clears_the_backoff(pauses: Sequence[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STEADY_S", -1.0)
    await played(Script(*(Unavailable("away") for _ in range(3))))
    assert pauses == [0.5, 0.5, 0.5]


async def test_cancelling_stops_work_and_pause() -> None:
    script = Script()
    task = asyncio.create_task(supervise("part", script, Counters(), 60.0))
    await script.running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    counters = Counters()
    task = asyncio.create_task(supervise("part", Script(Unavailable("away", 1e4)), counters, 1e5))
    await until(lambda: counters.state == "down")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
