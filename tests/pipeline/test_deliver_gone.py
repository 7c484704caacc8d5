"""A sink whose rows the log has let go of: taken out and put back, new, or known to an earlier version."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from config.errors import Unavailable
from pipeline.batch import Batch
from pipeline.log.log import Log
from pipeline.log.writer import Cursor, Entry
from pipeline.ports import Refusal
from tests.pipeline.journal import open_log
from tests.pipeline.test_deliver import Memory, dead, delivery, fill, settled


async def let_go(log: Log, upto: int) -> Log:
    """Let the log forget what came up to a position, as it does when no reader holds it; return it of a new process."""
    log.writer.floor = upto
    await log.append(Entry())
    assert log.reader.first_position() == upto + 1
    await log.close()
    return await open_log(log.writer.directory)


@pytest.mark.parametrize("was", ["up", "away"])
async def test_what_the_log_let_go_of_while_a_sink_was_not_configured_is_accounted_for(
    tmp_path: Path, was: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It took two commits, or never one; it comes back when the log holds the last two of ten."""
    log, sink = await open_log(tmp_path), Memory()

    def away(_: Batch) -> Sequence[Refusal]:
        raise Unavailable("away")

    await fill(log, 2, rows=3)
    sink.answer = sink.answer if was == "up" else away
    await delivery(log, sink).step()
    await settled(log)
    await fill(log, 8, rows=3, first=6)
    log = await let_go(log, 8)
    sink.answer = lambda _: ()
    going = delivery(log, sink)
    while await going.step():
        pass
    assert sink.stored[-6:] == [24.0, 25.0, 26.0, 27.0, 28.0, 29.0]
    rows, first = (18, 3) if was == "up" else (24, 1)
    ((component, reason, _),) = dead(log)
    assert component == "sink.db"
    assert reason.startswith(f"{rows} rows at positions {first} to 8 given up: the log let go of them")
    assert reason.endswith(f": tanflow resend --sink db --positions {first}-8")
    assert [r.message for r in caplog.records if r.levelno == logging.ERROR] == [f"db: {reason}"]
    assert going.counters.rejected == rows
    await settled(log)
    again = delivery(log, sink)
    assert not await again.step()
    assert len(dead(log)) == 1
    await log.close()


async def test_a_new_sink_begins_where_the_log_does_and_misses_nothing(tmp_path: Path) -> None:
    log, sink = await open_log(tmp_path), Memory()
    values = await fill(log, 5)
    log = await let_go(log, 3)
    going = delivery(log, sink)
    while await going.step():
        pass
    assert sink.stored == values[3:]
    assert dead(log) == []
    await log.close()


async def test_a_cursor_of_a_version_that_did_not_count_is_told_by_its_positions(tmp_path: Path) -> None:
    log, sink = await open_log(tmp_path), Memory()
    await fill(log, 5)
    log.ride(Cursor("db", 1))
    log = await let_go(log, 3)
    await delivery(log, sink).step()
    ((_, reason, _),) = dead(log)
    assert reason.startswith("rows at positions 2 to 3 given up")
    assert reason.endswith(": tanflow resend --sink db --positions 2-3")
    await log.close()
