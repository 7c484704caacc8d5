"""Named tasks that are started again when they end, with backoff; one line per change of state."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

from config.errors import Unavailable
from pipeline.counters import Counters
from pipeline.log.writer import LogFailed

logger = logging.getLogger("tanflow.supervise")

_FIRST_S: Final = 0.5
_STEADY_S: Final = 30.0  # a task that ran this long starts again without delay


async def supervise(name: str, work: Callable[[], Awaitable[None]], counters: Counters, backoff_max_s: float) -> None:
    """Run `work` until cancelled. Unavailable waits and tries again; a defect is told with its traceback, counted and
    tries again; a failed log ends everything, because nothing may be accepted any more.
    """
    loop = asyncio.get_running_loop()
    backoff, told = _FIRST_S, ""
    while True:
        started = loop.time()
        counters.state = "running"
        try:
            await work()
            error: Exception = RuntimeError("ended by itself")
        except LogFailed:
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            error = RuntimeError("cancelled from within")  # a library let its own cancellation out
        except Exception as caught:  # noqa: BLE001  whatever ends a task, the others go on
            error = caught
        if loop.time() - started > _STEADY_S:
            backoff, told = _FIRST_S, ""
        after = _record(name, error, counters, known=str(error) == told)
        told = str(error)
        await asyncio.sleep(min(after if after is not None else backoff * random.uniform(0.5, 1.0), backoff_max_s))
        backoff = min(backoff * 2, backoff_max_s)


def _record(name: str, error: Exception, counters: Counters, *, known: bool) -> float | None:
    """Count and tell why a task ended, the same reason once; return the wait it asks for."""
    counters.state = "down"
    counters.last_error = str(error)
    if isinstance(error, Unavailable):
        counters.retried += 1
        if not known:
            logger.warning("%s: %s", name, error)
        return error.after_s
    counters.restarts += 1
    logger.error("%s failed and is started again", name, exc_info=None if known else error)
    return None
