"""Coroutines a collector runs beside itself in; they end with it, and a defect in one of them comes out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Errands:
    """The tasks of a collector, from `begin` to `end`."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Allow tasks; a defect in one of them cancels whoever is in here."""
        await self._group.__aenter__()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a task beside the others."""
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Cancel all tasks and wait for them; raises the defect of the first that had one."""
        for task in self._tasks:
            task.cancel()
        # The group is told of its own tasks' errors only: what the collector's body raised goes on as it is.
        try:
            await self._group.__aexit__(None, None, None)
        except ExceptionGroup as defects:
            raise defects.exceptions[0] from None
