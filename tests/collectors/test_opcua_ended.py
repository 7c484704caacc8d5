"""A server that ends the session: told as what it is, and opened again, also where its answer comes too late."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.ua_client import UASocketProtocol

from collectors.opcua import OpcuaCollector
from pipeline.counters import Counters
from pipeline.supervise import supervise
from tests.collectors.driving import origin
from tests.collectors.test_opcua_history import Plant
from tests.services.opcua_history import Start
from tests.waiting import until

TOLD = {"poll": "The session id is not valid", "subscribe": "is lost: the server has ended the session"}


@pytest.mark.parametrize("mode", list(TOLD))
async def test_an_ended_session_is_a_lost_connection_and_opened_again(
    start_history: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    """The loop stands still while the session is closed, so that the answer and the end of the patience are one."""
    server = start_history("node-opcua", items=1, step_ms=50)
    plant, counters, taken = Plant(server, 1, mode=mode, stale_s=60), Counters(), asyncio.Event()
    collector = OpcuaCollector(origin(), plant.connection, [plant.device], plant.ids, counters)
    send = UASocketProtocol._send_request

    def sent(self: UASocketProtocol, request: Any, *given: Any, **options: Any) -> Any:
        future = send(self, request, *given, **options)
        if isinstance(request, ua.CloseSessionRequest):
            time.sleep(1.0)  # twice the patience with a session that is over
        return future

    async def read() -> None:
        async with collector:
            async for _ in collector.batches():
                taken.set()

    monkeypatch.setattr(UASocketProtocol, "_send_request", sent)
    task = asyncio.create_task(supervise("collector.plc", read, counters, 1.0))
    await until(taken.is_set, what="values")
    server.order("expire")
    await until(lambda: counters.retried + counters.restarts, what="the end of the session")
    assert counters.restarts == 0, caplog.text
    assert TOLD[mode] in counters.last_error
    assert [r.levelno for r in caplog.records if r.name == "tanflow.supervise"] == [logging.WARNING]
    taken.clear()
    await until(taken.is_set, what="values of a new session")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
