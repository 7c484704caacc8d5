"""A connection at work: what it reads is taken when a commit can take it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from config.protocols.modbus import ModbusConnection
from pipeline.batch import Batch, Times
from pipeline.clock import Clock
from pipeline.ports import Origin
from tanflow.source import Source
from tests.pipeline.journal import ingest_of, open_log
from tests.pipeline.tables import meter_table, readings
from tests.waiting import until

COMMIT_S = 0.2


class Ready:
    """A collector that always has a reading; it notes how long ago the last commit had begun when it was asked."""

    def __init__(self, source: Source) -> None:
        self.writer = source.ingest.log.writer
        self.asked_s: list[float] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def resume(self, tokens: list[bytes], newest_ns: Times) -> None: ...

    async def batches(self) -> AsyncGenerator[Batch]:
        while True:
            self.asked_s.append(time.monotonic() - self.writer.begun_s)
            yield readings([len(self.asked_s)], [1.0])


async def test_readings_are_taken_shortly_before_the_commit_they_go_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken as soon as the last commit is done they would wait for the next one: a whole interval later."""
    log = await open_log(tmp_path, commit_s=COMMIT_S)
    source = Source(Origin("m", 1, Clock()), ModbusConnection(protocol="modbus"), (), {}, ingest_of(log, meter_table()))
    collector = Ready(source)
    monkeypatch.setattr(Source, "_made", lambda _: collector)
    source.begin()
    await until(lambda: len(collector.asked_s) > 4)
    await source.end()
    assert min(collector.asked_s[1:]) > 0.8 * COMMIT_S
    await log.close()
