"""Reading all items of a session again and again → intake; a cycle that does not come in time is missed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from collectors.opcua_columns import columns_of
from collectors.opcua_intake import Intake
from collectors.opcua_session import Session
from collectors.opcua_values import NO_SUCH_NODE
from pipeline.clock import SECOND_NS, Clock
from pipeline.counters import Counters

_RETRY_MISSING_S: Final = 60.0  # a server may load parts of its address space late


async def poll(
    session: Session,
    intake: Intake,
    clock: Clock,
    counters: Counters,
    on_news: Callable[[], None],
    on_miss: Callable[[str], None],
) -> None:
    """Read every period until cancelled; raises what the library raises when the server does not answer."""
    every_ns = int(session.connection.every_s * SECOND_NS)
    nodes = [item.node for item in intake.items]
    due_ns = clock.now_ns()
    while True:
        asked_s = time.monotonic()
        await session.locate(nodes, again_s=_RETRY_MISSING_S)
        values = await session.read(nodes)
        counters.took(time.monotonic() - asked_s)
        now_ns = clock.now_ns()
        skipped = max(0, now_ns - due_ns) // every_ns
        if skipped:
            on_miss("reading takes longer than the period")
        columns = columns_of(enumerate(values))
        there = np.ones(len(values), np.bool_)
        for row in np.flatnonzero(columns.status).tolist() if not intake.missing else range(len(values)):
            status = int(columns.status[row])
            there[row] = intake.exists(row, status if status in NO_SUCH_NODE else 0, session.places[nodes[row]].words)
        intake.renew()  # a poll may read again what it has read before
        intake.take(columns.take(there), now_ns)
        on_news()
        due_ns += (skipped + 1) * every_ns
        await clock.sleep((due_ns - clock.now_ns()) / SECOND_NS)
