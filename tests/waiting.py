"""Wait for a condition with a deadline: never sleep for luck."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

DEADLINE_S: Final = 400.0  # guards against hanging for ever; a slow machine is no failure


async def until(condition: Callable[[], object], timeout_s: float = DEADLINE_S, what: str = "") -> None:
    """Return as soon as `condition()` is true; AssertionError with `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what or condition}"
        await asyncio.sleep(0.01)


def until_sync(
    condition: Callable[[], object], timeout_s: float = DEADLINE_S, what: str = "", every_s: float = 0.01
) -> None:
    """Like `until`, for code outside an event loop."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what or condition}"
        time.sleep(every_s)
