"""Fixture: a recorder in front of every server a test opens; what the gateway must never send fails the test."""

from __future__ import annotations

from asyncio.base_events import BaseEventLoop
from collections import Counter
from collections.abc import Iterator

import pytest
from asyncua.client.ua_client import UASocketProtocol

from simulators.serial_port import SerialPort
from tests.client_recording import CLIENT, asking
from tests.interop import saw
from tests.recording import Recorder, heard, recorded, sent


@pytest.fixture(scope="session")
def recorded_so_far() -> Iterator[Counter[str]]:
    """Count what all tests sent to their servers, but for those that write on purpose."""
    asked: Counter[str] = Counter()
    yield asked
    for protocol in ("Modbus", "DL/T 645", "OPC UA", CLIENT):
        count = sum(n for what, n in asked.items() if what.startswith(protocol))
        if count:
            saw(
                "Read-only",
                "recorder around the suite's servers",
                protocol,
                "{count} requests, all of them read",
                count,
            )


@pytest.fixture(autouse=True)
def recorder(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, recorded_so_far: Counter[str]
) -> Iterator[Recorder]:
    """Read along with all that is sent to the servers of this test.

    Where a foreign client writes on purpose, or the user allows to publish, the test says so: `writes("why")`.
    """
    recorder = Recorder()
    monkeypatch.setattr(BaseEventLoop, "create_server", recorded(recorder, BaseEventLoop.create_server))
    monkeypatch.setattr(BaseEventLoop, "create_connection", sent(recorder, BaseEventLoop.create_connection))
    monkeypatch.setattr(UASocketProtocol, "_send_request", asking(recorder, UASocketProtocol._send_request))
    monkeypatch.setattr(SerialPort, "__init__", heard(recorder, SerialPort.__init__))
    yield recorder
    recorder.close()
    if request.node.get_closest_marker("writes") is None:
        said = "sent to a device; where a foreign client does so on purpose, mark the test `writes(why)`"
        assert recorder.forbidden == [], f"{said}: {sorted(set(recorder.forbidden))}"
        recorded_so_far.update(recorder.asked)
