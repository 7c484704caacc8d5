"""Fixture: a recorder in front of every server a test opens; what the gateway must never send fails the test."""

from __future__ import annotations

from asyncio.base_events import BaseEventLoop
from collections.abc import Iterator

import pytest

from tests.recording import Recorder, recorded


@pytest.fixture(autouse=True)
def recorder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Read along with all that is sent to the servers of this test.

    Where a foreign client writes on purpose, or the user allows to publish, the test says so: `writes("why")`.
    """
    recorder = Recorder()
    monkeypatch.setattr(BaseEventLoop, "create_server", recorded(recorder, BaseEventLoop.create_server))
    yield recorder
    if request.node.get_closest_marker("writes") is None:
        said = "sent to a device; where a foreign client does so on purpose, mark the test `writes(why)`"
        assert recorder.forbidden == [], f"{said}: {sorted(set(recorder.forbidden))}"
