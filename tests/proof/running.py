"""A gateway → one that runs while a test looks on; and what its history holds of a series afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from config.load import Loaded, load
from sinks.history_query import Answer
from tanflow.gateway import Gateway

_EVER = 2**62


def written(folder: Path, text: str) -> Loaded:
    """Return the checked configuration of a file with this text."""
    path = folder / "gateway.yaml"
    path.write_text(text, "utf-8")
    return load(path)


@asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[asyncio.Task[None]]:
    """Run the gateway until the block is left, then stop it in order; its own failure is raised."""
    stop = asyncio.Event()
    task = asyncio.create_task(gateway.run(stop), name="gateway")
    try:
        yield task
    finally:
        stop.set()
        await task


def newest(gateway: Gateway, key: str) -> float:
    """Return the last accepted value of a series."""
    return float(gateway.latest.value[gateway.table.ids[key]])


async def stored(gateway: Gateway, key: str) -> Answer:
    """Return all rows the history holds of a series, by time."""
    return await gateway.history.query([gateway.table.ids[key]], 0, _EVER, limit=10**6)
