"""Work → named tasks, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final

_CANCEL_AGAIN_S: Final = 3.0


def start(name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start a task under its name."""
    return asyncio.create_task(work, name=name)


async def end(sources: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel sources until they are silent: a library may lose a cancellation (`asyncio.wait_for` before Python 3.12
    does when its answer comes at the same moment). Followers are asked once: they may be writing.
    """
    pending = set(sources)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
    await cancel(sources)


async def cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks, once, and wait for their end; what they raise is nobody's any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
