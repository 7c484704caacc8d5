"""Simulated units behind a port, served from a thread of their own while commands run in the test's."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

from simulators.registers import Block
from simulators.serve_modbus import ModbusServer, Unit


def unit(first: int, words: Sequence[int], table: str = "holding") -> Unit:
    """Return a unit whose registers from `first` on are these words, and no others."""
    made = Unit()
    made.show({table: Block(first, first + len(words), struct.pack(f">{len(words)}H", *words))})
    return made


@contextmanager
def in_thread(made: Callable[[], AbstractAsyncContextManager[Any]]) -> Iterator[Any]:
    """Serve what `made` returns in a thread of its own and yield it."""
    ready, stop = threading.Event(), threading.Event()
    held: list[Any] = []

    async def serve() -> None:
        async with made() as server:
            held.append(server)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(300), "the simulator does not come up"
    try:
        yield held[0]
    finally:
        stop.set()
        thread.join(300)


@contextmanager
def serving(units: Mapping[int, Unit]) -> Iterator[ModbusServer]:
    """Serve units over Modbus TCP on a free port."""
    with in_thread(lambda: ModbusServer(units=units)) as server:
        yield server
