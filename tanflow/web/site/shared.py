"""One computation for many who ask: an answer is kept for a few seconds, and who comes meanwhile waits for it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Answers by question, at most `kept` of them, each as old as `keep_s` at most.

    `asking` bounds how many are computed at once.
    """

    def __init__(self, asking: asyncio.Semaphore, keep_s: float = math.inf, kept: int = 32) -> None:
        self._asking = asking
        self._keep_s = keep_s
        self._kept = kept
        self._known: dict[Hashable, tuple[float, asyncio.Future[T]]] = {}

    async def get(self, question: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        """Return the answer; raises what computing it raised, to all who waited for it."""
        made, answer = self._known.get(question, (0.0, None))
        if answer is None or (answer.done() and time.monotonic() - made > self._keep_s):
            answer = asyncio.ensure_future(self._computed(question, compute))
            self._known.pop(question, None)
            self._known[question] = time.monotonic(), answer
            while len(self._known) > self._kept:
                self._known.pop(next(iter(self._known)))
        return await asyncio.shield(answer)  # a client that goes away takes nothing from the others

    async def _computed(self, question: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        try:
            async with self._asking:
                return await compute()
        except BaseException:
            self._known.pop(question, None)  # the next one tries again
            raise
